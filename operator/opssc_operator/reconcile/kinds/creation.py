"""Channel proposals that create a channel: verified by building its first block anew, carried out on own nodes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from fabric_protos.common import common_pb2

from fabric_admin.blocks import header_hash
from opssc_chaincode.model import ChannelContent, Decision, Facts, Proposal, Recipe, Step
from opssc_operator.api.conditions import Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.channels.founding import describe_creation
from opssc_operator.domain.channels.verification import CreationRules
from opssc_operator.domain.kinds.channel_work import ChannelChange
from opssc_operator.domain.kinds.creation_work import (
    CreationWork,
    JoinOrderer,
    JoinPeer,
    describe_others,
    other_channels,
    unshown_channels,
)
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.report import was_done
from opssc_operator.domain.verdict import Verdict, no, unknown
from opssc_operator.domain.verification import Grounds, verify_proposal
from opssc_operator.domain.voting import own_vote
from opssc_operator.ledger.session import OrganizationSession


async def verify_creation(
    proposal: Proposal, content: ChannelContent, recipe: Recipe, grounds: Grounds, session: OrganizationSession
) -> Verdict:
    """Judge a new channel by the ops channel, which shows this organization as it is; raises TransientError."""
    governance = session.settings.governance_channel
    pinned = grounds.pinned
    if not isinstance(pinned, ChannelView) or proposal.snapshot.channel != governance:
        message = f"a new channel is proposed on channel {governance}, not on {proposal.snapshot.channel}; disagree"
        return no(Reason.SNAPSHOT_MISMATCH, message)
    block = await session.config_blocks.at(governance, proposal.snapshot.config_block)
    if block is None:
        return unknown(Reason.AWAITING_VERIFICATION, "the pinned config block cannot be read now")
    if session.msp_id not in block.config.all_members:
        return unknown(Reason.NOT_A_MEMBER, f"config block {block.view.config_block} does not show {session.msp_id}")
    rules = CreationRules(content, block.config.organization(session.msp_id))
    agreeing = replace(pinned, members=recipe.organizations)
    return await asyncio.to_thread(verify_proposal, rules, proposal, replace(grounds, pinned=agreeing))


async def review_creation(
    observed: ProposalObserved, facts: Facts, content: ChannelContent, recipe: Recipe, session: OrganizationSession
) -> ProposalObserved:
    """What people see of a new channel; not true for an organization whose nodes have another one of that name.

    What it has agreed to it cannot take back: then carrying it out says so.
    """
    observed = replace(observed, review=_change(content, recipe))
    if own_vote(facts, session.msp_id) is Decision.AGREE:
        return observed
    expected = header_hash(_block(content).header).hex()
    seen = await session.own_looks.look(content.channel, observed.ref)
    if seen is None:
        return replace(observed, verified=_unanswered(content.channel))
    orderers, peers = seen
    others, unshown = other_channels(orderers, peers, expected), unshown_channels(orderers)
    if others:
        return replace(observed, verified=no(Reason.INVALID_SPEC, describe_others(content.channel, others)))
    if unshown:
        return replace(observed, verified=unknown(Reason.AWAITING_VERIFICATION, "; ".join(unshown)))
    return observed


async def find_taken(channel: str, ref: ProposalRef, session: OrganizationSession) -> Verdict | None:
    """Why a channel of this name cannot be proposed, or not yet: own nodes are in one already, or have not answered."""
    remedy = "choose another name, or action Update"
    if channel == session.settings.governance_channel:
        return no(Reason.INVALID_SPEC, f"channel {channel} exists; {remedy}")
    seen = await session.own_looks.look(channel, ref)
    if seen is None:
        return _unanswered(channel)
    orderers, peers = seen
    nodes = {each.name for each in orderers if each.joined} | {f"peer {each.name}" for each in peers if each.joined}
    if not nodes:
        return None
    return no(Reason.INVALID_SPEC, f"channel {channel} exists on {', '.join(sorted(nodes))}; {remedy}")


def _unanswered(channel: str) -> Verdict:
    return unknown(Reason.AWAITING_VERIFICATION, f"asking own orderers and peers about a channel {channel}")


def _change(content: ChannelContent, recipe: Recipe) -> ChannelChange:
    return ChannelChange.brief(content.channel, describe_creation(recipe))


async def observe_creation(
    observed: ProposalObserved, facts: Facts, content: ChannelContent, recipe: Recipe, session: OrganizationSession
) -> ProposalObserved:
    """Look at the own nodes, unless this organization has said before that it is done; raises TransientError."""
    change, expected = _change(content, recipe), header_hash(_block(content).header).hex()
    own, channel = session.msp_id, content.channel
    if was_done(facts, own, Step.APPLIED):
        return replace(observed, work=CreationWork(change, expected, told=True))
    consenters = tuple(
        f"{consenter.host}:{consenter.port}"
        for orderer in recipe.orderers
        if orderer.msp_id == own
        for consenter in orderer.consenters
    )
    is_member = any(member.msp_id == own for member in recipe.members)
    work = CreationWork(
        change,
        expected,
        orderers=await session.new_channels.see_orderers(channel, consenters),
        peers=await session.new_channels.see_peers(channel) if is_member else (),
    )
    return replace(observed, work=work)


async def join(action: JoinOrderer | JoinPeer, content: ChannelContent, session: OrganizationSession) -> None:
    """Have one own node join; raises PartialError."""
    block = _block(content)
    if isinstance(action, JoinOrderer):
        await session.orderers.join(action.address, block)
        return
    await session.new_channels.join_peer(action.name, block)
    session.wake_channel(content.channel)


def _block(content: ChannelContent) -> common_pb2.Block:
    return common_pb2.Block.FromString(content.block_bytes)
