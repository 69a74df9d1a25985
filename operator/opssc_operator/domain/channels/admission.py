"""Whether a proposed update of a channel lets an organization in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fabric_protos.common import configtx_pb2
from fabric_protos.msp import msp_config_pb2
from google.protobuf.message import DecodeError

from opssc_chaincode.model import Action, ChannelContent, Content, Proposal
from opssc_chaincode.model.changes import RemoveOrganization, Section

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


def sends_away(content: Content, msp_id: str) -> str | None:
    """The channel that a proposal takes ``msp_id`` out of; None where it does not say so in its changes.

    What a raw update removes is not told apart: nothing is cleared up for it.
    """
    if not isinstance(content, ChannelContent) or content.action is not Action.UPDATE:
        return None
    members = (change.member for change in content.changes or ())
    gone = any(
        isinstance(member, RemoveOrganization) and member.msp_id == msp_id and Section.APPLICATION in member.groups
        for member in members
    )
    return content.channel if gone else None


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
