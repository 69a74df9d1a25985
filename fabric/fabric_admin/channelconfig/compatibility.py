"""Whether a channel may go from one config to the next: supported capabilities, sections and MSP IDs that stay.

Follows ``checkResources`` of ``fabric: orderer/common/multichannel/ledger_resources.go`` and ``ValidateNew`` of
``common/channelconfig/bundle.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fabric_protos.common import configtx_pb2

from fabric_admin.capabilities import Line
from fabric_admin.errors import ConfigUpdateRefused

if TYPE_CHECKING:
    from fabric_admin.channelconfig.channel import ChannelConfig
    from fabric_admin.channelconfig.organizations import Organization

STAGE: Final = "compatible"
_KEEP_MSP_ID: Final = "keep the MSP ID, or remove the organization and add it under another group name"


def check_compatible(current: ChannelConfig, proposed: ChannelConfig, line: Line = Line.FABRIC_3) -> None:
    """Refuse a config that orderers cannot run or that may not follow the current one; raises ConfigUpdateRefused."""
    _check_supported(proposed, line)
    _check_orderer(current, proposed)
    _check_application(current, proposed)
    _check_consortiums(current, proposed)


def _check_supported(proposed: ChannelConfig, line: Line) -> None:
    prefix = "config update is not compatible"
    if not _has(proposed, "Orderer"):
        raise _refused(
            f"{prefix}: config does not contain orderer config", "/Channel/Orderer", "keep the Orderer section"
        )
    for section, path in (("Orderer", "/Channel/Orderer/Capabilities"), ("Channel", "/Channel/Capabilities")):
        unknown = proposed.capabilities.unknown(section, line)
        if unknown:
            reason = f"{section} capability {unknown[0]} is required but not supported"
            raise _refused(
                f"{prefix}: config requires unsupported {section.lower()} capabilities: {reason}: {reason}",
                path,
                "require only levels that every node knows",
            )


def _check_orderer(current: ChannelConfig, proposed: ChannelConfig) -> None:
    if not _has(current, "Orderer"):
        return
    before, after = current.consensus.type, proposed.consensus.type
    if before != after and not current.capabilities.organization_endpoints:
        raise _refused(
            f"attempted to change consensus type from {before} to {after}",
            "/Channel/Orderer/ConsensusType",
            "raise the channel's capabilities first",
        )
    if proposed.capabilities.organization_endpoints_only and not current.capabilities.organization_endpoints_only:
        for name, organization in proposed.orderer_organizations.items():
            if not organization.endpoints:
                raise _refused(
                    f"illegal orderer config update detected: endpoints of org {name} are missing",
                    f"/Channel/Orderer/{name}/Endpoints",
                    "set the organization's orderer endpoints first",
                )
    _check_msp_ids("orderer", "Orderer", current.orderer_organizations, proposed.orderer_organizations)


def _check_application(current: ChannelConfig, proposed: ChannelConfig) -> None:
    if not _has(current, "Application"):
        return
    if not _has(proposed, "Application"):
        raise _refused(
            "current config has application section, but new config does not",
            "/Channel/Application",
            "keep the Application section",
        )
    _check_msp_ids("application", "Application", current.organizations, proposed.organizations)


def _check_consortiums(current: ChannelConfig, proposed: ChannelConfig) -> None:
    before, after = _has(current, "Consortiums"), _has(proposed, "Consortiums")
    if before != after:
        reason = ("consortiums section", "does not") if before else ("no consortiums section", "does")
        raise _refused(
            f"current config has {reason[0]}, but new config {reason[1]}",
            "/Channel/Consortiums",
            "leave consortiums as they are; nodes of Fabric 3 have no use for them",
        )


def _check_msp_ids(
    kind: str, section: str, before: Mapping[str, Organization], after: Mapping[str, Organization]
) -> None:
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name].msp_id, after[name].msp_id
        if old != new:
            raise _refused(
                f"{kind} org {name} attempted to change MSP ID from {old} to {new}",
                f"/Channel/{section}/{name}/MSP",
                _KEEP_MSP_ID,
            )


def _has(config: ChannelConfig, section: str) -> bool:
    root: configtx_pb2.ConfigGroup = config.config.channel_group
    return section in root.groups


def _refused(reason: str, element: str, remedy: str) -> ConfigUpdateRefused:
    return ConfigUpdateRefused(STAGE, reason, element=element, remedy=remedy)
