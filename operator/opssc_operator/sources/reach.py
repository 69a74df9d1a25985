"""How far fetching may reach: trusted places, and what is shown to each host. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from opssc_operator.api.trust import Trust, host_of
from opssc_operator.domain.trust import trusts_repository


@dataclass(frozen=True, slots=True)
class Credential:
    """What one host asks for: a name with a password, or a token."""

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def header(self) -> str:
        """The value of the Authorization header."""
        if self.token:
            return f"Bearer {self.token}"
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Reach:
    """The allow-lists of an organization with the credentials and PEM certificates of single hosts."""

    trust: Trust
    credentials: Mapping[str, Credential] = field(default_factory=dict, repr=False)
    authorities: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def allows_archive(self, url: str) -> bool:
        """Whether an archive may be downloaded from a URL."""
        return url.startswith("https://") and host_of(url) in self.trust.archive_hosts

    def allows_repository(self, url: str) -> bool:
        """Whether a URL is that of a trusted repository, or below it."""
        return url.startswith("https://") and trusts_repository(self.trust, url)
