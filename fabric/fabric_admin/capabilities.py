"""Which feature levels a channel requires of its nodes, and what they imply (``fabric: common/capabilities``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fabric_admin.msp import MSPVersion

_MSP_VERSIONS: Final = (
    ("V3_0", MSPVersion.V3_0),
    ("V2_0", MSPVersion.V1_4_3),
    ("V1_4_3", MSPVersion.V1_4_3),
    ("V1_4_2", MSPVersion.V1_3),
    ("V1_3", MSPVersion.V1_3),
    ("V1_1", MSPVersion.V1_1),
)
_LIFECYCLE: Final = frozenset({"V2_0", "V2_5"})
_ORGANIZATION_ENDPOINTS: Final = frozenset({"V1_4_2", "V1_4_3", "V2_0", "V3_0"})
_ORDERER_MIGRATION: Final = frozenset({"V1_4_2", "V2_0"})

CHANNEL_LEVELS: Final = frozenset({"V1_1", "V1_3", "V1_4_2", "V1_4_3", "V2_0", "V3_0"})
ORDERER_LEVELS: Final = frozenset({"V1_1", "V1_4_2", "V2_0"})
APPLICATION_LEVELS: Final = frozenset({"V1_1", "V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5"})
_ACLS: Final = APPLICATION_LEVELS - {"V1_1"}
KNOWN_LEVELS: Final[Mapping[str, frozenset[str]]] = {
    "Channel": CHANNEL_LEVELS,
    "Orderer": ORDERER_LEVELS,
    "Application": APPLICATION_LEVELS | {"V1_1_PVTDATA_EXPERIMENTAL", "V1_1_RESOURCETREE_EXPERIMENTAL"},
}
"""Every level the nodes of Fabric 3.1 know, by section; those of 2.5 lack V3_0."""


class Line(StrEnum):
    """A line of Fabric releases whose nodes decide alike."""

    FABRIC_2_5 = "2.5"
    FABRIC_3 = "3"

    def known_levels(self, section: str) -> frozenset[str]:
        """Return the capability levels of a section that nodes of this line know."""
        return KNOWN_LEVELS[section] - ({"V3_0"} if self is Line.FABRIC_2_5 else frozenset())


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capability names by section."""

    channel: frozenset[str] = frozenset({"V3_0"})
    orderer: frozenset[str] = frozenset({"V2_0"})
    application: frozenset[str] = frozenset({"V2_5"})

    @property
    def msp_version(self) -> MSPVersion:
        """The rules the channel's MSPs are read by."""
        return next((version for name, version in _MSP_VERSIONS if name in self.channel), MSPVersion.V1_0)

    @property
    def organization_endpoints_only(self) -> bool:
        """Whether orderer addresses must be given per organization (channel V3_0)."""
        return "V3_0" in self.channel

    @property
    def organization_endpoints(self) -> bool:
        """Whether orderer addresses may be given per organization, and consensus migration is known to the peers."""
        return bool(self.channel & _ORGANIZATION_ENDPOINTS)

    @property
    def consensus_migration(self) -> bool:
        """Whether orderers know the maintenance mode."""
        return bool(self.orderer & _ORDERER_MIGRATION)

    @property
    def expiration_check(self) -> bool:
        """Whether orderers refuse messages of expired identities."""
        return bool(self.orderer & ORDERER_LEVELS)

    @property
    def acls(self) -> bool:
        """Whether the application section may have ACLs."""
        return bool(self.application & _ACLS)

    @property
    def lifecycle(self) -> bool:
        """Whether the channel has the ``_lifecycle`` of Fabric 2 and later."""
        return bool(self.application & _LIFECYCLE)

    def unknown(self, section: str, line: Line = Line.FABRIC_3) -> tuple[str, ...]:
        """Return the levels of a section (``Channel``, ``Orderer``, ``Application``) nodes do not know, sorted."""
        required = {"Channel": self.channel, "Orderer": self.orderer, "Application": self.application}[section]
        return tuple(sorted(required - line.known_levels(section)))
