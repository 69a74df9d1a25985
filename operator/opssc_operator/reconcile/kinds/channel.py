"""Proposals of kind Channel: their looks at configurations, signing, and submitting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import ClassVar, Final

from fabric_admin.capabilities import Line
from fabric_admin.channelconfig import assemble, sign
from fabric_admin.clock import new_moment
from opssc_chaincode.model import ChannelContent, Evidence, Facts, Outcome, Proposal, Step
from opssc_operator.api.channel_proposal import ChannelProposal
from opssc_operator.api.conditions import Reason
from opssc_operator.api.proposal import ProposalObject
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import Vote
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.content import references
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.channels.judgement import Judged, is_same_change, judge
from opssc_operator.domain.channels.planning import ChannelPlanning, next_revision, plan_channel, plan_successor
from opssc_operator.domain.channels.signatures import encode_signature, read_signatures, valid_signatures
from opssc_operator.domain.channels.verification import UpdateRules, delta_of
from opssc_operator.domain.kinds.admission_work import JoinPeers
from opssc_operator.domain.kinds.channel import ChannelKind
from opssc_operator.domain.kinds.channel_work import (
    NO_ATTEMPTS,
    Attempts,
    ChannelChange,
    SignUpdate,
    SubmitUpdate,
    UpdateWork,
    moved_on,
)
from opssc_operator.domain.kinds.consenter_work import JoinConsenter
from opssc_operator.domain.kinds.creation_work import JoinOrderer, JoinPeer
from opssc_operator.domain.newest import Newest
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.planning import Plan, Preview
from opssc_operator.domain.releases import PEERS_NOT_ASKED, judge_releases
from opssc_operator.domain.report import own_report
from opssc_operator.domain.verdict import Verdict, no, unknown
from opssc_operator.domain.verification import Grounds, verify_proposal
from opssc_operator.domain.work_action import WorkAction
from opssc_operator.errors import Bug, TerminalError, TransientError
from opssc_operator.kube.client import KubeClient
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.ledger.submission import UpdateRefused, submit_update
from opssc_operator.reconcile.definitions import read_definitions
from opssc_operator.reconcile.joining import admit
from opssc_operator.reconcile.kinds.consenters import join_consenter, observe_consenters
from opssc_operator.reconcile.kinds.creation import find_taken, join, observe_creation, review_creation, verify_creation

logger = logging.getLogger(__name__)

STALENESS_SECONDS: Final = 5.0
FRESH_SECONDS: Final = 1.0
MOST_REVISIONS: Final = 20
KEPT: Final = 1024
"""As many as the open proposals of 20 creators that are mirrored, of which every resync looks at all."""
KEPT_APPLIED: Final = 1024

_Key = tuple[str, ProposalRef]


@dataclass(frozen=True, slots=True)
class _Basis:
    """What a judgement depends on, but for the config block: the content, its signatures, and the own identities."""

    content_hash: str
    signatures: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """The last judgement on a proposal, and the config block it was made on."""

    block: int
    basis: _Basis
    judged: Judged


@dataclass(slots=True)
class ChannelWorker:
    """Works on channel proposals; remembers since when each could be submitted, and what orderers answered."""

    kube: KubeClient
    kind: ClassVar = ChannelKind()
    _possible_since: dict[_Key, float] = field(default_factory=dict)
    _attempts: dict[_Key, tuple[float, int, str]] = field(default_factory=dict)
    """Own submissions: when the last was (loop time), refusals in a row, the orderer's words."""
    _judged: Newest[tuple[str, str], _Kept] = field(default_factory=lambda: Newest(KEPT))
    """By namespace and proposal."""
    _applied: Newest[str, ChannelChange] = field(default_factory=lambda: Newest(KEPT_APPLIED))
    """What applied updates changed, by content hash."""

    async def plan(
        self, observed: ProposalObserved, manifest: ProposalObject, session: OrganizationSession
    ) -> Plan | Preview | Verdict:
        """Compute the manifest's delta on the configuration as it is now, definitions read from where they are."""
        if not isinstance(manifest, ChannelProposal):
            raise Bug(f"{manifest.metadata.name} is no ChannelProposal")
        spec = manifest.spec
        try:
            definitions = await read_definitions(self.kube, manifest.metadata.namespace, references(spec))
        except TerminalError as exc:
            return no(Reason(exc.reason), exc.message)
        governance = session.settings.governance_channel
        taken = None if spec.create is None else await find_taken(spec.channel, observed.ref, session)
        if taken is not None:
            return taken
        block = await session.config_blocks.in_force(spec.channel if spec.create is None else governance)
        planning = ChannelPlanning(
            own_msp_id=session.msp_id,
            proposal_id=observed.ref.id,
            spec=spec,
            view=block.view,
            config=block.config,
            definitions=definitions,
            governance=spec.channel == governance,
            charter=(await session.charters.succession()).current,
            now=observed.now,
        )
        planned = await asyncio.to_thread(plan_channel, planning)
        if planned is PEERS_NOT_ASKED:
            asked = replace(planning, peers=await session.peers.fetch_releases(spec.channel))
            planned = await asyncio.to_thread(plan_channel, asked)
        return planned

    async def verify(self, proposal: Proposal, grounds: Grounds, session: OrganizationSession) -> Verdict:
        """Compute the delta anew on the pinned configuration, and compare."""
        content, pinned = _content(proposal), grounds.pinned
        if not isinstance(pinned, ChannelView):
            return verify_proposal(self.kind, proposal, grounds)
        if content.create is not None:
            return await verify_creation(proposal, content, content.create, grounds, session)
        block = await session.config_blocks.at(proposal.snapshot.channel, proposal.snapshot.config_block)
        if block is None:
            return unknown(Reason.AWAITING_VERIFICATION, "the pinned config block cannot be read now")
        governance = _is_governance(content, session)
        proposed = proposal.created_time
        delta = await asyncio.to_thread(delta_of, content, block.config, governance=governance, at=proposed)
        rules = UpdateRules(content, delta)
        if rules.refused:
            return rules.judge_content(proposal)
        all_of_them = replace(pinned, members=block.config.all_members)
        return verify_proposal(rules, proposal, replace(grounds, pinned=all_of_them))

    async def review(self, observed: ProposalObserved, facts: Facts, session: OrganizationSession) -> ProposalObserved:
        """See whether configuration in force and own peers take the update, and what it changes there."""
        proposal = facts.proposal
        if not observed.verified.holds:
            return observed
        content = _content(proposal)
        if content.create is not None:
            return await review_creation(observed, facts, content, content.create, session)
        current = await session.reader.current(content.channel, max_age_seconds=STALENESS_SECONDS)
        judged = await self._judge(facts, current, session)
        if not judged.misfit:
            unfit = await _find_unfit(judged, content, session)
            return replace(observed, review=judged.change, verified=unfit or observed.verified)
        successor, succeeded_by = await _successor(observed, proposal, session)
        verdict = no(Reason.STALE, moved_on(judged.misfit))
        return replace(observed, stale=verdict, successor=successor, succeeded_by=succeeded_by)

    async def observe(
        self, observed: ProposalObserved, facts: Facts, session: OrganizationSession, votes: Sequence[Vote]
    ) -> ProposalObserved:
        """Look for the update in the chain, at the signatures, and at what an orderer would say."""
        del votes
        proposal = facts.proposal
        content, key = _content(proposal), (session.settings.namespace, observed.ref)
        if content.create is not None:
            return await observe_creation(observed, facts, content, content.create, session)
        told = own_report(facts, session.msp_id, Step.APPLIED)
        if told is not None and told.outcome is Outcome.DONE and told.evidence is not None:
            # The own peer showed it when it was reported, and a block never goes; a removed member cannot ask again.
            self._attempts.pop(key, None)
            applied = AppliedIn(told.evidence.config_block or 0, told.evidence.config_hash or "", "")
            nodes = await observe_consenters(observed, facts, content, session, applied=True)
            return replace(observed, work=UpdateWork(await self._shown(facts, session), applied, nodes=nodes))
        current = await session.reader.current(content.channel, max_age_seconds=FRESH_SECONDS)
        judged = await self._judge(facts, current, session)
        nodes = await observe_consenters(observed, facts, content, session, applied=judged.applied is not None)
        if judged.applied is not None:
            return replace(observed, work=UpdateWork(await self._shown(facts, session), judged.applied, nodes=nodes))
        if judged.misfit:
            successor, succeeded_by = await _successor(observed, proposal, session)
            work = UpdateWork(judged.change, None, misfit=judged.misfit, successor=successor, succeeded_by=succeeded_by)
            return replace(observed, work=work)
        unfit = await _find_unfit(judged, content, session)
        if unfit is not None:
            return replace(observed, review=judged.change, verified=unfit)
        work = UpdateWork(
            judged.change,
            None,
            refusal=judged.refusal,
            own_problem=judged.own_problem,
            ready_seconds=self._possible_for(key, possible=not judged.refusal),
            attempts=self._attempts_of(key),
            nodes=nodes,
            audience=judged.audience,
            unheard=not session.peers.know(content.channel),
        )
        return replace(observed, work=work)

    async def _judge(self, facts: Facts, current: ChannelView, session: OrganizationSession) -> Judged:
        """What an update is on the configuration in force; computed once for the same block and signatures."""
        reports = tuple(report.tx_id for report in facts.reports if report.step is Step.SIGNED)
        basis = _Basis(facts.proposal.content_hash, reports, session.settings.fingerprint)
        key = session.settings.namespace, facts.proposal.name
        known = self._judged.get(key)
        if known is None or known.basis != basis or known.block < current.config_block:
            content, snapshot = _content(facts.proposal), facts.proposal.snapshot
            newest = await session.config_blocks.in_force(content.channel)
            applied = await session.config_blocks.find_update(
                newest, content.update_bytes, after_block=snapshot.config_block
            )
            governance, admin = _is_governance(content, session), session.settings.admin
            judged = await asyncio.to_thread(
                judge, facts, newest.config, applied, admin.creator, governance=governance, now=datetime.now(UTC)
            )
            # The block that was read may be a later one than the view's.
            known = self._judged[key] = _Kept(newest.view.config_block, basis, judged)
        return known.judged

    async def _shown(self, facts: Facts, session: OrganizationSession) -> ChannelChange:
        """What an applied update changed, by the configuration it was computed on; empty when that is not to be had."""
        proposal = facts.proposal
        content, known = _content(proposal), self._applied.get(proposal.content_hash)
        if known is None:
            known = ChannelChange(content.channel, (), ())
            try:
                pinned = await session.config_blocks.at(content.channel, proposal.snapshot.config_block)
            except TransientError:
                # A member that was removed may not read the channel any more.
                return known
            if pinned is not None:
                governance = _is_governance(content, session)
                proposed = proposal.created_time
                delta = await asyncio.to_thread(delta_of, content, pinned.config, governance=governance, at=proposed)
                lines = () if isinstance(delta, ChangeRefused) else delta.lines
                signed = read_signatures(facts, pinned.config, content.update_bytes)
                known = ChannelChange.brief(content.channel, lines, signed=signed)
            self._applied[proposal.content_hash] = known
        return known

    def _possible_for(self, key: _Key, *, possible: bool) -> float:
        """Seconds since this operator first saw that an orderer would take the update."""
        if not possible:
            self._possible_since.pop(key, None)
            return 0.0
        now = asyncio.get_running_loop().time()
        return now - self._possible_since.setdefault(key, now)

    def _attempts_of(self, key: _Key) -> Attempts:
        known = self._attempts.get(key)
        if known is None:
            return NO_ATTEMPTS
        at, refusals, refused = known
        return Attempts(asyncio.get_running_loop().time() - at, refusals, refused)

    async def perform(self, action: WorkAction, observed: ProposalObserved, session: OrganizationSession) -> None:
        """Sign, submit, or join."""
        facts = observed.facts
        if facts is None:
            raise Bug(f"{observed.ref}: nothing was observed to act on")
        content = _content(facts.proposal)
        match action:
            case SignUpdate():
                await _sign(observed.ref, content, session)
            case SubmitUpdate():
                await self._submit(observed, facts, content, session)
            case JoinConsenter():
                await join_consenter(action, content, session)
            case JoinOrderer() | JoinPeer():
                await join(action, content, session)
            case JoinPeers():
                await admit(action, observed, session)
            case _:
                raise Bug(f"{observed.ref}: {action} is no step of a channel proposal")

    async def _submit(
        self, observed: ProposalObserved, facts: Facts, content: ChannelContent, session: OrganizationSession
    ) -> None:
        key = session.settings.namespace, observed.ref
        block = await session.config_blocks.in_force(content.channel)
        signatures = valid_signatures(read_signatures(facts, block.config, content.update_bytes))
        admin, now = session.settings.admin, asyncio.get_running_loop().time()
        envelope = assemble(content.channel, content.update_bytes, signatures, submitter=admin, moment=new_moment())
        try:
            await submit_update(session.peers, block.config, envelope, admin)
        except UpdateRefused as exc:
            _, refusals, _ = self._attempts.get(key, (0.0, 0, ""))
            self._attempts[key] = now, refusals + 1, exc.answer
            raise
        self._attempts[key] = now, 0, ""
        logger.info("submitted", extra={"proposal": str(observed.ref), "namespace": session.settings.namespace})


async def _find_unfit(judged: Judged, content: ChannelContent, session: OrganizationSession) -> Verdict | None:
    """Why own peers would stop at an update, or may; asked at every look, since peers are upgraded and come back."""
    if judged.line is Line.FABRIC_2_5:
        return None
    return judge_releases(judged.line, await session.peers.fetch_releases(content.channel))


def _content(proposal: Proposal) -> ChannelContent:
    if not isinstance(proposal.content, ChannelContent):
        raise Bug(f"{proposal.name} is no channel proposal")
    return proposal.content


def _is_governance(content: ChannelContent, session: OrganizationSession) -> bool:
    return content.channel == session.settings.governance_channel


async def _successor(
    observed: ProposalObserved, proposal: Proposal, session: OrganizationSession
) -> tuple[Plan | None, str]:
    """What the creator would propose in place of a stale change, and the proposal that has taken its place already."""
    content, proposal_id = _content(proposal), proposal.id
    for _ in range(MOST_REVISIONS):
        following = next_revision(proposal_id)
        if following is None:
            return None, ""
        ref = ProposalRef(proposal.creator.msp_id, following)
        known = await session.view.get(ref)
        if known is None:
            break
        if is_same_change(known.proposal, content) and known.closing is None:
            return None, str(ref)
        proposal_id = following
    else:
        return None, ""
    if session.msp_id != proposal.creator.msp_id or not observed.may_propose_anew:
        return None, ""
    block = await session.config_blocks.in_force(content.channel)
    charter = (await session.charters.succession()).current
    governance = _is_governance(content, session)
    planned = await asyncio.to_thread(
        plan_successor,
        proposal,
        following,
        block.view,
        block.config,
        charter=charter,
        governance=governance,
        now=observed.now,
    )
    return planned, ""


async def _sign(ref: ProposalRef, content: ChannelContent, session: OrganizationSession) -> None:
    """Sign as the organization's admin and report it; nothing but the contract ever gets the signature."""
    signature = sign(session.settings.admin, content.update_bytes)
    evidence = Evidence(config_signature=encode_signature(signature)).canonical()
    await session.contract.report(ref, Step.SIGNED, Outcome.DONE, evidence, "", as_admin=True)
    session.view.mark(ref)
    logger.info("signed", extra={"proposal": str(ref), "namespace": session.settings.namespace})
