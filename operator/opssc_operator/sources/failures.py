"""Why something could not be fetched; each says whether trying again may help.

::

    FetchError
    ├─ Unavailable    the server, the network or the credentials: tried again
    ├─ WrongContent   other bytes than were asked for: tried again, seldom
    └─ Unusable       what was fetched never becomes a package
"""

from __future__ import annotations


class FetchError(Exception):
    """Anything that keeps a package from being fetched; the text is fit for a status."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unavailable(FetchError):
    """It could not be had now."""


class WrongContent(FetchError):
    """What the server gave is not what was asked for."""


class Unusable(FetchError):
    """What was fetched is no package, or cannot become one."""
