"""Which feature levels a channel requires of its nodes, and what they imply."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capability names by section (``fabric: common/capabilities``)."""

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
    def lifecycle(self) -> bool:
        """Whether the channel has the ``_lifecycle`` of Fabric 2 and later."""
        return bool(self.application & _LIFECYCLE)
