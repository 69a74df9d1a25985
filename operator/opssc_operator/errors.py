"""The operator's one tree of errors.

::

    OperatorError
    ├─ TransientError(message, retry_after, reason)   may heal by itself: network, conflict, 429, 5xx
    │  ├─ AccessDenied(message)                       the API server says 403: heals when the Role is fixed
    │  ├─ PartialError(message, reason)               one of several parts failed: tried again by itself
    │  └─ NotProved(message)                          no own peer keeps it, and no orderer proves it
    ├─ TerminalError(reason, message)                 heals only when the spec or the ledger changes
    ├─ ConfigError(message)                           this process is mis-deployed: exit at start
    └─ Bug(message)                                   a promise inside this program was broken

Adapters translate at their edge with ``raise X from exc``; only the reconcile runner catches what is left. Messages say
what happened, to which object, and what the user can do; they never carry secrets or payloads.
"""

from __future__ import annotations


class OperatorError(Exception):
    """Anything this program raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TransientError(OperatorError):
    """A failure that may heal by itself; tried again after `retry_after` seconds, or the runner's backoff."""

    def __init__(
        self, message: str, retry_after: float | None = None, *, reason: str = "TemporarilyUnavailable"
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.reason = reason


class AccessDenied(TransientError):
    """The API server refused this operator's credential; tried again seldom, until somebody grants the right."""

    def __init__(self, message: str, retry_after: float | None = 30.0) -> None:
        super().__init__(message, retry_after, reason="KubernetesAccessDenied")


class PartialError(TransientError):
    """One of several independent parts failed, such as one peer; it is tried again by itself, and holds up nothing."""


class NotProved(TransientError):
    """No own peer keeps a block or a position, and no orderer gives it with a proof: only a user can mend that."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="AwaitingVerification")


class TerminalError(OperatorError):
    """A failure no retry heals; `reason` is the stable CamelCase word that conditions and events show."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ConfigError(OperatorError):
    """This process cannot start as it is deployed; the message names what to fix."""


class Bug(OperatorError):
    """A promise inside this program was broken."""
