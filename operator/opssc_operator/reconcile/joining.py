"""Own peers join the channels that let their organization in: the governance channel, and what proposals opened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fabric_protos.common import common_pb2

from opssc_chaincode.model import Proposal
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import FabricOrganization, FabricOrganizationSpec, JoinMode
from opssc_operator.domain.joining import (
    LONGEST_GOVERNANCE_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    JoiningDecision,
    JoiningObserved,
    JoiningPeer,
    decide_joining,
)
from opssc_operator.domain.kinds.admission_work import AdmissionWork, JoinPeers
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.outline import target_of
from opssc_operator.errors import Bug, PartialError, TransientError
from opssc_operator.ledger.session import OrganizationSession

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Joining:
    """What was decided about the governance channel, and whether a peer joined it just now."""

    decision: JoiningDecision
    observed: JoiningObserved
    is_news: bool = False

    @property
    def blocks(self) -> bool:
        """Whether nothing can be done with the contract before a peer joins; without Automatic, others say so."""
        automatic = self.observed.mode is JoinMode.AUTOMATIC
        return automatic and not self.observed.joined and not self.observed.silent

    @property
    def notes(self) -> tuple[str, ...]:
        """What keeps some of the peers from joining where another one has."""
        automatic = self.observed.mode is JoinMode.AUTOMATIC
        lacks = automatic and self.observed.joined and not self.decision.verdict.holds
        return (self.decision.verdict.message,) if lacks else ()


async def join_governance(organization: FabricOrganization, session: OrganizationSession) -> Joining:
    """Have the own peers join the governance channel, as far as the organization wants that and is a member.

    Whether they show it already is not asked.
    """
    spec = organization.spec
    observed = _observe(session, spec.governance.channel, spec.join_channels, suspended=spec.suspend)
    observed, genesis = await _ask(observed, session)
    decision = decide_joining(observed)
    if not decision.join or genesis is None:
        return Joining(decision, observed)
    problems = await join_peers(decision.join, genesis, session)
    again = _observe(session, observed.channel, observed.mode, suspended=observed.suspended)
    again = replace(again, admission=observed.admission, problems=problems)
    return Joining(decide_joining(again), again, is_news=True)


async def explain_unread(spec: FabricOrganizationSpec, session: OrganizationSession) -> JoiningDecision:
    """Why own peers that are in the governance channel refuse their own organization there."""
    observed = _observe(session, spec.governance.channel, spec.join_channels, suspended=spec.suspend)
    observed, _ = await _ask(replace(observed, reads=False), session)
    return decide_joining(observed)


async def observe_admission(
    observed: ProposalObserved, proposal: Proposal, session: OrganizationSession
) -> ProposalObserved:
    """Look at the own peers, and at the orderers where a peer has not joined; raises TransientError."""
    channel = target_of(proposal)
    forgotten = [peer for peer in session.peers.all if not peer.joined and peer.silence is None]
    await asyncio.gather(*(peer.look() for peer in forgotten))
    seen = _observe(session, channel, observed.join_channels, suspended=observed.is_suspended)
    if seen.joined:
        seen = replace(seen, reads=await is_read(channel, session))
    seen, genesis = await _ask(seen, session)
    return replace(observed, admission=AdmissionWork(seen, genesis))


async def is_read(channel: str, session: OrganizationSession) -> bool:
    """Whether an own peer that is in a channel takes its own organization for a member; raises TransientError."""
    try:
        await session.reader.current(channel)
    except TransientError as exc:
        if exc.reason != Reason.UNKNOWN_MSP:
            raise
        session.note_unread(channel)
        return False
    session.note_read(channel)
    return True


async def admit(action: JoinPeers, observed: ProposalObserved, session: OrganizationSession) -> None:
    """Have own peers join what an update opened; raises PartialError."""
    work = observed.admission
    if not isinstance(work, AdmissionWork) or work.genesis is None:
        raise Bug(f"{observed.ref}: nothing was observed to join")
    channel = work.seen.channel
    session.note_unread(channel)
    problems = await join_peers(action.names, work.genesis, session)
    if problems:
        raise PartialError("; ".join(problems), reason=Reason.JOIN_FAILED)
    logger.info("joined", extra={"channel": channel, "namespace": session.settings.namespace})


async def join_peers(names: Sequence[str], genesis: common_pb2.Block, session: OrganizationSession) -> tuple[str, ...]:
    """Have own peers join; returns what failed, in words."""
    results = await asyncio.gather(
        *(session.new_channels.join_peer(name, genesis) for name in names), return_exceptions=True
    )
    problems = []
    for result in results:
        if isinstance(result, PartialError):
            problems.append(result.message)
        elif isinstance(result, BaseException):
            raise result
    return tuple(problems)


def _observe(session: OrganizationSession, channel: str, mode: JoinMode, *, suspended: bool) -> JoiningObserved:
    peers = session.peers.all
    return JoiningObserved(
        channel=channel,
        own_msp_id=session.msp_id,
        mode=mode,
        suspended=suspended,
        peers=tuple(JoiningPeer(peer.name, channel in peer.joined, peer.silence is not None) for peer in peers),
        orderers_known=session.admissions.available,
        joined_channels=len({joined for peer in peers for joined in peer.joined}),
    )


async def _ask(
    observed: JoiningObserved, session: OrganizationSession
) -> tuple[JoiningObserved, common_pb2.Block | None]:
    """Ask the listed orderers if the decision depends on them."""
    if not decide_joining(observed).ask:
        return observed, None
    governs = observed.channel == session.settings.governance_channel
    longest = LONGEST_GOVERNANCE_PAUSE_SECONDS if governs else LONGEST_PAUSE_SECONDS
    offer = await session.admissions.look(observed.channel, longest, first=governs)
    return replace(observed, admission=offer.admission), offer.genesis
