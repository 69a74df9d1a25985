"""Whether a proposed update of a channel lets an organization in, or takes it out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fabric_protos.common import configtx_pb2
from fabric_protos.msp import msp_config_pb2
from google.protobuf.message import DecodeError

from fabric_admin.channelconfig import ChannelConfig
from opssc_chaincode.model import Action, ChannelContent, Document, Proposal
from opssc_chaincode.model.changes import RemoveOrganization, Section
from opssc_operator.domain.membership import MembershipChange, ShownMembership

APPLICATION: Final = "Application"
MSP_VALUE: Final = "MSP"


def lets_in(proposal: Proposal, msp_id: str) -> bool:
    """Whether an update writes the definition of ``msp_id`` into the Application section, as addOrganization does.

    Read from the update itself, which also says it of updates that were computed elsewhere.
    """
    change = membership_change(proposal, msp_id)
    return change is not None and change.admits


def membership_change(proposal: Proposal, msp_id: str) -> MembershipChange | None:
    """What a proposal makes of the membership of ``msp_id``; None when it says nothing about it."""
    content = proposal.content
    if not isinstance(content, ChannelContent) or content.action is not Action.UPDATE:
        return None
    application = configtx_pb2.ConfigUpdate.FromString(content.update_bytes).write_set.groups[APPLICATION]
    admits = msp_id in set(_written_organizations(application))
    if not admits and not _takes_out(content, proposal, msp_id):
        return None
    return MembershipChange(content.channel, admits, application.version, proposal.snapshot.config_sequence)


def shown_membership(config: ChannelConfig, msp_id: str) -> ShownMembership:
    """What a configuration shows of the membership of ``msp_id``."""
    version = config.config.channel_group.groups[APPLICATION].version
    return ShownMembership(msp_id in config.members, version, config.sequence)


def removes(proposal: Proposal, msp_id: str) -> bool:
    """Whether a proposal takes ``msp_id``, which it pins as a member, out of its channel, and says so in its changes.

    What a raw update removes is not told apart: nothing is cleared up for it.
    """
    change = membership_change(proposal, msp_id)
    return change is not None and not change.admits


def _takes_out(content: ChannelContent, proposal: Proposal, msp_id: str) -> bool:
    gone = any(_removes(change.member, msp_id) for change in content.changes)
    return gone and msp_id in proposal.snapshot.members


def _removes(member: Document, msp_id: str) -> bool:
    return isinstance(member, RemoveOrganization) and member.msp_id == msp_id and Section.APPLICATION in member.groups


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
