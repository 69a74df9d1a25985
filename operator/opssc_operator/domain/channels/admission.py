"""Whether a proposed update of a channel lets an organization in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fabric_protos.common import configtx_pb2
from fabric_protos.msp import msp_config_pb2
from google.protobuf.message import DecodeError

from opssc_chaincode.model import Action, ChannelContent, Proposal

APPLICATION: Final = "Application"
MSP_VALUE: Final = "MSP"


def lets_in(proposal: Proposal, msp_id: str) -> bool:
    """Whether an update writes the definition of ``msp_id`` into the Application section, as addOrganization does.

    Read from the update itself, which also says it of updates that were computed elsewhere.
    """
    content = proposal.content
    if not isinstance(content, ChannelContent) or content.action is not Action.UPDATE:
        return False
    update = configtx_pb2.ConfigUpdate.FromString(content.update_bytes)
    return msp_id in set(_written_organizations(update.write_set.groups[APPLICATION]))


def _written_organizations(application: configtx_pb2.ConfigGroup) -> Iterator[str]:
    for group in application.groups.values():
        if MSP_VALUE in group.values:
            yield _msp_id(group.values[MSP_VALUE].value)


def _msp_id(value: bytes) -> str:
    """The MSP ID in a pb(MSPConfig); empty where there is none."""
    try:
        config = msp_config_pb2.MSPConfig.FromString(value)
        return msp_config_pb2.FabricMSPConfig.FromString(config.config).name
    except DecodeError:
        return ""
