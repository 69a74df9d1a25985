"""Proposals of kind Channel: their looks at configurations, signing, and submitting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

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
from opssc_operator.domain.channels.planning import (
    ChannelPlanning,
    change_of,
    next_revision,
    plan_channel,
    plan_successor,
)
from opssc_operator.domain.channels.signatures import encode_signature, read_signatures, valid_signatures
from opssc_operator.domain.channels.verification import UpdateRules, delta_of, judge_standing
from opssc_operator.domain.kinds.channel import ChannelKind
from opssc_operator.domain.kinds.channel_work import ChannelChange, SignUpdate, SubmitUpdate, UpdateWork
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.planning import Plan, Preview
from opssc_operator.domain.verdict import Verdict, no, unknown
from opssc_operator.domain.verification import MOVED_ON, Grounds, verify_proposal
from opssc_operator.domain.work_action import WorkAction
from opssc_operator.errors import Bug, TerminalError
from opssc_operator.kube.client import KubeClient
from opssc_operator.ledger.config_blocks import ConfigBlock
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.ledger.submission import UpdateRefused, submit_update
from opssc_operator.reconcile.definitions import read_definitions

logger = logging.getLogger(__name__)

STALENESS_SECONDS: Final = 5.0
KEPT: Final = 1024

_Key = tuple[str, ProposalRef]


@dataclass(slots=True)
class ChannelWorker:
    """Works on channel proposals; remembers since when each could be submitted, and what orderers answered."""

    kube: KubeClient
    kind: ClassVar = ChannelKind()
    _possible_since: dict[_Key, float] = field(default_factory=dict)
    _refusals: dict[_Key, str] = field(default_factory=dict)
    _changes: dict[tuple[str, int], ChannelChange] = field(default_factory=dict)
    """What an open proposal (by content hash) changes on top of a config block: computed once."""

    async def plan(
        self, observed: ProposalObserved, manifest: ProposalObject, session: OrganizationSession
    ) -> Plan | Preview | Verdict:
        """Compute the manifest's delta on the configuration as it is now, definitions read from where they are."""
        if not isinstance(manifest, ChannelProposal):
            raise Bug(f"{manifest.metadata.name} is no ChannelProposal")
        spec = manifest.spec
        if spec.create is not None:
            return no(Reason.UNSUPPORTED_BY_THIS_VERSION, "new channels are not created by this version")
        try:
            definitions = await read_definitions(self.kube, manifest.metadata.namespace, references(spec))
        except TerminalError as exc:
            return no(Reason(exc.reason), exc.message)
        block = await session.config_blocks.in_force(spec.channel)
        return plan_channel(
            ChannelPlanning(
                own_msp_id=session.msp_id,
                proposal_id=observed.ref.id,
                spec=spec,
                view=block.view,
                config=block.config,
                definitions=definitions,
                governance=spec.channel == session.settings.governance_channel,
                charter=(await session.charters.succession()).current,
                now=observed.now,
            )
        )

    async def verify(self, proposal: Proposal, grounds: Grounds, session: OrganizationSession) -> Verdict:
        """Compute the delta anew on the pinned configuration, and compare."""
        content, pinned = _content(proposal), grounds.pinned
        if not isinstance(pinned, ChannelView):
            return verify_proposal(self.kind, proposal, grounds)
        if content.create is not None:
            return no(Reason.UNSUPPORTED_BY_THIS_VERSION, "new channels are not created by this version")
        block = await session.config_blocks.at(proposal.snapshot.channel, proposal.snapshot.config_block)
        if block is None:
            return unknown(Reason.AWAITING_VERIFICATION, "the pinned config block cannot be read now")
        rules = UpdateRules(content, delta_of(content, block.config, governance=_is_governance(content, session)))
        if rules.refused:
            return rules.judge_content(proposal)
        all_of_them = replace(pinned, members=block.config.all_members)
        return verify_proposal(rules, proposal, replace(grounds, pinned=all_of_them))

    async def review(self, observed: ProposalObserved, facts: Facts, session: OrganizationSession) -> ProposalObserved:
        """See whether the configuration in force still takes the update, and what it changes there."""
        proposal = facts.proposal
        content = _content(proposal)
        if not observed.verified.holds:
            return observed
        current = await session.reader.current(content.channel, max_age_seconds=STALENESS_SECONDS)
        key = proposal.content_hash, current.config_block
        if key not in self._changes:
            block = await session.config_blocks.in_force(content.channel)
            delta = judge_standing(proposal, block.config, governance=_is_governance(content, session))
            if isinstance(delta, ChangeRefused):
                successor, succeeded_by = await _successor(observed, proposal, block, session)
                return replace(
                    observed, stale=no(Reason.STALE, MOVED_ON), successor=successor, succeeded_by=succeeded_by
                )
            if len(self._changes) >= KEPT:
                self._changes.pop(next(iter(self._changes)))
            self._changes[key] = change_of(content.channel, delta)
        return replace(observed, review=self._changes[key])

    async def observe(
        self, observed: ProposalObserved, facts: Facts, session: OrganizationSession, votes: Sequence[Vote]
    ) -> ProposalObserved:
        """Look for the update in the chain, at the signatures, and at what an orderer would say."""
        del votes
        proposal = facts.proposal
        content = _content(proposal)
        update, channel = content.update_bytes, content.channel
        applied = await session.config_blocks.find_update(channel, update, after_block=proposal.snapshot.config_block)
        if applied is not None:
            pinned = await session.config_blocks.at(channel, proposal.snapshot.config_block)
            signed = () if pinned is None else read_signatures(facts, pinned.config, update)
            lines = () if pinned is None else _lines(content, pinned, session)
            return replace(observed, work=UpdateWork(ChannelChange(channel, lines, (), signed), applied))
        block = await session.config_blocks.in_force(channel)
        delta = judge_standing(proposal, block.config, governance=_is_governance(content, session))
        signed = read_signatures(facts, block.config, update)
        if isinstance(delta, ChangeRefused):
            successor, succeeded_by = await _successor(observed, proposal, block, session)
            work = UpdateWork(
                ChannelChange(channel, (), (), signed),
                None,
                misfit=str(delta),
                successor=successor,
                succeeded_by=succeeded_by,
            )
            return replace(observed, work=work)
        signatures = valid_signatures(signed)
        forecast = block.config.forecast(update, signatures, now=observed.now)
        verdicts = forecast.verdicts or delta.verdicts
        key = session.settings.namespace, observed.ref
        work = UpdateWork(
            ChannelChange(channel, delta.lines, verdicts, signed),
            None,
            refusal="" if forecast.refusal is None else forecast.refusal.explanation,
            refused=self._refusals.get(key, ""),
            ready_seconds=self._possible_for(key, possible=forecast.accepted),
        )
        return replace(observed, work=work)

    def _possible_for(self, key: _Key, *, possible: bool) -> float:
        """Seconds since this operator first saw that an orderer would take the update."""
        if not possible:
            self._possible_since.pop(key, None)
            return 0.0
        now = asyncio.get_running_loop().time()
        return now - self._possible_since.setdefault(key, now)

    async def perform(self, action: WorkAction, observed: ProposalObserved, session: OrganizationSession) -> None:
        """Sign, or submit."""
        facts = observed.facts
        if facts is None:
            raise Bug(f"{observed.ref}: nothing was observed to act on")
        content = _content(facts.proposal)
        match action:
            case SignUpdate():
                await _sign(observed.ref, content, session)
            case SubmitUpdate():
                await self._submit(observed, facts, content, session)
            case _:
                raise Bug(f"{observed.ref}: {action} is no step of a channel proposal")

    async def _submit(
        self, observed: ProposalObserved, facts: Facts, content: ChannelContent, session: OrganizationSession
    ) -> None:
        key = session.settings.namespace, observed.ref
        block = await session.config_blocks.in_force(content.channel)
        signatures = valid_signatures(read_signatures(facts, block.config, content.update_bytes))
        admin = session.settings.admin
        envelope = assemble(content.channel, content.update_bytes, signatures, submitter=admin, moment=new_moment())
        try:
            await submit_update(session.peers, block.config, envelope, admin)
        except UpdateRefused as exc:
            self._refusals[key] = exc.answer
            raise
        self._refusals.pop(key, None)
        logger.info("submitted", extra={"proposal": str(observed.ref), "namespace": session.settings.namespace})


def _content(proposal: Proposal) -> ChannelContent:
    if not isinstance(proposal.content, ChannelContent):
        raise Bug(f"{proposal.name} is no channel proposal")
    return proposal.content


def _is_governance(content: ChannelContent, session: OrganizationSession) -> bool:
    return content.channel == session.settings.governance_channel


def _lines(content: ChannelContent, pinned: ConfigBlock, session: OrganizationSession) -> tuple[str, ...]:
    """What the update changed, for people, once it is applied."""
    delta = delta_of(content, pinned.config, governance=_is_governance(content, session))
    return () if isinstance(delta, ChangeRefused) else delta.lines


async def _successor(
    observed: ProposalObserved, proposal: Proposal, block: ConfigBlock, session: OrganizationSession
) -> tuple[Plan | None, str]:
    """What the creator would propose in place of a stale change, and the proposal that has taken its place already."""
    proposal_id = next_revision(proposal.id)
    if proposal_id is None:
        return None, ""
    ref = ProposalRef(proposal.creator.msp_id, proposal_id)
    if await session.view.get(ref) is not None:
        return None, str(ref)
    if session.msp_id != proposal.creator.msp_id:
        return None, ""
    governance = _is_governance(_content(proposal), session)
    charter = (await session.charters.succession()).current
    planned = plan_successor(
        proposal, block.view, block.config, charter=charter, governance=governance, now=observed.now
    )
    return planned, ""


async def _sign(ref: ProposalRef, content: ChannelContent, session: OrganizationSession) -> None:
    """Sign as the organization's admin and report it; nothing but the contract ever gets the signature."""
    signature = sign(session.settings.admin, content.update_bytes)
    evidence = Evidence(config_signature=encode_signature(signature)).canonical()
    await session.contract.report(ref, Step.SIGNED, Outcome.DONE, evidence, "", as_admin=True)
    session.view.mark(ref)
    logger.info("signed", extra={"proposal": str(ref), "namespace": session.settings.namespace})
