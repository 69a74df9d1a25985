"""Which release of Fabric nodes are, and what follows from it for a network; knows nothing of files or processes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from fabric_admin.capabilities import Line

_VERSION: Final = re.compile(r"^\s*Version: v?(\d+)\.(\d+)\.(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A version of Fabric, ordered by age."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what `peer version` prints; None when it names no release."""
        match = _VERSION.search(text)
        return cls(*(int(part) for part in match.groups())) if match else None

    def __str__(self) -> str:
        """Write it as Fabric does, `2.5.16`."""
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def line(self) -> Line:
        """The line this release belongs to, as the library tells them apart."""
        return Line.FABRIC_3 if self >= FABRIC_3_0 else Line.FABRIC_2_5

    @property
    def channel_capability(self) -> str:
        """The newest channel capability nodes of this release know (``fabric: common/capabilities/channel.go``)."""
        return "V3_0" if self >= FABRIC_3_0 else "V2_0"


FABRIC_2_5: Final = Release(2, 5)
FABRIC_3_0: Final = Release(3, 0)
FABRIC_3_1: Final = Release(3, 1)
FABRIC_3_1_2: Final = Release(3, 1, 2)
FABRIC_3_1_5: Final = Release(3, 1, 5)
