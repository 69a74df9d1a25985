"""Observing everything about one proposal: its objects, its facts, the own peers. Decides nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from opssc_chaincode.model import Facts
from opssc_chaincode.model import Kind as LedgerKind
from opssc_chaincode.tally import Tally, derive
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import WITHDRAW_FINALIZER
from opssc_operator.api.organization import FabricOrganization, VotingMode
from opssc_operator.api.proposal import Origin, Phase, ProposalObject
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import Vote
from opssc_operator.domain.channels.admission import lets_in, removes
from opssc_operator.domain.channels.planning import is_revision
from opssc_operator.domain.kinds.catalog import of_objects, on_ledger
from opssc_operator.domain.observation import ManifestState, ProposalObserved
from opssc_operator.domain.outline import ended, target_of
from opssc_operator.domain.silence import silent_members
from opssc_operator.domain.verdict import Verdict, no, unknown
from opssc_operator.domain.voting import VoteWish, VotingRules
from opssc_operator.errors import Bug, TransientError
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.joining import observe_admission
from opssc_operator.reconcile.kinds.grounds import look_up_grounds
from opssc_operator.reconcile.kinds.newcomer import is_committed_here, is_to_be_shown
from opssc_operator.reconcile.kinds.port import KindWorker
from opssc_operator.reconcile.kinds.workers import Workers
from opssc_operator.reconcile.leaving import describe_refusal
from opssc_operator.reconcile.objects import Objects, find_objects
from opssc_operator.reconcile.store import ObjectStore

MIRROR_LIMIT: Final = 50
"""Open proposals of one creator that are mirrored at most."""
ENDED: Final = frozenset(
    {
        Phase.COMMITTED,
        Phase.APPLIED,
        Phase.IN_FORCE,
        Phase.SUPERSEDED,
        Phase.REJECTED,
        Phase.WITHDRAWN,
        Phase.EXPIRED,
    }
)

REVOCABLE: Final = frozenset({Reason.PACKAGE_ID_MISMATCH, Reason.PACKAGE_INVALID, Reason.UNTRUSTED_SOURCE})
"""Refusals that the organization, or whoever serves a package, may take back."""


@dataclass(slots=True)
class Gatherer:
    """Gathers observations for one operator; remembers verdicts on what never changes."""

    store: ObjectStore
    workers: Workers
    _verified: dict[tuple[str, ProposalRef, str, str], Verdict] = field(default_factory=dict)

    async def gather(
        self, organization: FabricOrganization, session: OrganizationSession, ref: ProposalRef
    ) -> ProposalObserved:
        """Everything the decision needs; raises TransientError when the own peers do not answer."""
        namespace, now = organization.metadata.namespace, datetime.now(UTC)
        facts = await session.view.get(ref)
        objects = find_objects(self.store, namespace, ref, None if facts is None else facts.proposal.kind)
        tally = None if facts is None else derive(facts, now, session.view.positions)
        observed = ProposalObserved(
            now=now,
            ref=ref,
            own_msp_id=session.msp_id,
            execution=organization.spec.execution,
            suspended=organization.spec.suspend,
            rules=VotingRules(
                organization.spec.voting.mode,
                organization.spec.voting.rules,
                organization.metadata.name,
                organization.spec.trust,
            ),
            manifest=_state(objects.manifest, session.msp_id, facts),
            mirror=_state(objects.mirror, session.msp_id, None),
            mirror_wanted=self._mirror_wanted(organization, session, facts, tally, objects),
            mirror_until=retained_until(facts, tally, organization.spec.mirror.retention),
            wishes=tuple(_wish(vote) for vote in objects.votes),
            facts=facts,
            tally=tally,
            catch_up=organization.spec.catch_up,
            join_channels=organization.spec.join_channels,
            governance_channel=organization.spec.governance.channel,
        )
        if facts is None or tally is None:
            manifest = objects.manifest
            if manifest is None or observed.manifest is None or observed.manifest.origin is not Origin.LOCAL:
                return observed
            worker = self.workers.by_object[manifest.kind]
            return replace(observed, plan=await worker.plan(observed, manifest, session))
        observed = await self._gather_ledger(replace(observed, facts=facts, tally=tally), session, objects)
        if organization.spec.mirror.enabled and is_to_be_shown(observed):
            return replace(observed, mirror_wanted=True, mirror_until=None)
        return observed

    async def _gather_ledger(
        self, observed: ProposalObserved, session: OrganizationSession, objects: Objects
    ) -> ProposalObserved:
        facts, tally = observed.facts, observed.tally
        if facts is None or tally is None:
            raise Bug(f"{observed.ref} is gathered from the ledger without its facts")
        proposal = facts.proposal
        if tally.accepted and removes(proposal, session.msp_id):
            await self._check_removal(observed.ref, facts, session)
        if session.is_refused(target_of(proposal)):
            raise describe_refusal(target_of(proposal), session)
        if session.msp_id not in proposal.snapshot.members:
            observed = await self._gather_left_out(replace(observed, facts=facts, tally=tally), facts, session)
            if not observed.newcomer:
                return observed
        elif tally.open and not _is_watched(observed):
            return observed
        worker = self.workers.by_ledger.get(proposal.kind)
        if worker is None:
            message = f"proposals of kind {proposal.kind} are not carried out here"
            return replace(observed, verified=no(Reason.UNSUPPORTED_BY_THIS_VERSION, message))
        verified = await self._verify(worker, observed.ref, facts, session)
        observed = replace(observed, verified=verified)
        if tally.open and verified.reason is not Reason.CHANNEL_NOT_FOUND:
            governing = await session.reader.current(observed.governance_channel)
            silent = silent_members(proposal.snapshot.members, governing.members)
            return await worker.review(replace(observed, silent=silent), facts, session)
        if not tally.accepted or not verified.holds:
            return observed
        return await worker.observe(observed, facts, session, objects.votes)

    async def _check_removal(self, ref: ProposalRef, facts: Facts, session: OrganizationSession) -> None:
        """Have nobody removed by a proposal that does not say the truth, whoever accepted it."""
        worker = self.workers.by_ledger.get(facts.proposal.kind)
        if worker is None:
            return
        # Who was removed may not read the pinned block any more: what was known of the proposal stands then.
        with suppress(TransientError):
            session.note_truth(ref, refuted=(await self._verify(worker, ref, facts, session)).fails)

    async def _gather_left_out(
        self, observed: ProposalObserved, facts: Facts, session: OrganizationSession
    ) -> ProposalObserved:
        """What a proposal whose members leave this organization out is to it: an admission, or maybe to catch up on."""
        observed = replace(observed, verified=await self._judge_left_out(observed.ref, facts, session))
        if observed.tally is None or not observed.tally.accepted:
            return observed
        if lets_in(facts.proposal, session.msp_id):
            return await observe_admission(observed, facts.proposal, session)
        if observed.verified.fails or not await is_committed_here(facts, session):
            return observed
        return replace(observed, newcomer=True)

    async def _judge_left_out(self, ref: ProposalRef, facts: Facts, session: OrganizationSession) -> Verdict:
        """Judge a proposal whose members leave this organization out: a lie when it is on the channel all the same."""
        proposal = facts.proposal
        worker = self.workers.by_ledger.get(proposal.kind)
        if (
            worker is not None
            and proposal.kind is LedgerKind.CHAINCODE
            and session.peers.know(proposal.snapshot.channel)
        ):
            verified = await self._verify(worker, ref, facts, session)
            if verified.fails:
                return verified
        message = f"{session.msp_id} was not a member of channel {target_of(proposal)} when this was proposed"
        return unknown(Reason.NOT_A_MEMBER, message)

    async def _verify(
        self, worker: KindWorker, ref: ProposalRef, facts: Facts, session: OrganizationSession
    ) -> Verdict:
        proposal = facts.proposal
        charter = await session.charters.at(proposal)
        # Another charter may turn out to have been in force than the one that was known first.
        key = (session.settings.namespace, ref, proposal.content_hash, charter.proposal or "")
        known = self._verified.get(key)
        if known is None:
            try:
                if proposal.kind is not LedgerKind.CHANNEL:
                    # Who orders a channel without a peer there takes part in changes of the channel alone.
                    await session.peers.on(proposal.snapshot.channel)
                grounds = await look_up_grounds(session, proposal)
            except TransientError as exc:
                if exc.reason != Reason.CHANNEL_NOT_FOUND:
                    raise
                # Anybody can propose for a channel that does not exist: it is shown, and not asked for at every turn.
                return unknown(Reason.CHANNEL_NOT_FOUND, exc.message)
            known = await worker.verify(proposal, grounds, session)
            if known.status != "Unknown" and known.reason not in REVOCABLE:
                self._verified[key] = known
        return known

    def _mirror_wanted(
        self,
        organization: FabricOrganization,
        session: OrganizationSession,
        facts: Facts | None,
        tally: Tally | None,
        objects: Objects,
    ) -> bool:
        spec = organization.spec
        if facts is None or tally is None or not spec.mirror.enabled:
            return False
        ref = ProposalRef(facts.proposal.creator.msp_id, facts.proposal.id)
        if ref.creator == spec.msp_id and not is_revision(ref.id):
            return False
        kind = on_ledger(facts.proposal.kind)
        if kind is None or not kind.is_shown(facts.proposal.content):
            return False
        until = retained_until(facts, tally, spec.mirror.retention)
        if until is not None and datetime.now(UTC) > until:
            return False
        return ended(tally) or objects.mirror is not None or self._room(organization, session, ref)

    def _room(self, organization: FabricOrganization, session: OrganizationSession, ref: ProposalRef) -> bool:
        """Whether another open proposal of this creator may be mirrored.

        Where this organization is no member its objects never show an end, so the ledger says which are over.
        """
        over = {outline.ref for outline in session.view.outlines() if outline.ended}
        mirrored = (
            known
            for known in self.store.proposals_all(organization.metadata.namespace)
            if known.metadata.mirrored
            and known.spec.creator == ref.creator
            and known.status.get("phase") not in ENDED
            and known.ref(session.msp_id) not in over
        )
        return sum(1 for _ in mirrored) < MIRROR_LIMIT


def retained_until(facts: Facts | None, tally: Tally | None, retention: timedelta) -> datetime | None:
    """When the mirror of a proposal that is over has been there long enough; None while it is not over."""
    if facts is None or tally is None or not ended(tally):
        return None
    said = [vote.time for vote in facts.votes] + [report.time for report in facts.reports]
    if facts.closing is not None:
        said.append(facts.closing.time)
    return max([facts.proposal.created_time, *said]) + retention


def _is_watched(observed: ProposalObserved) -> bool:
    """Whether an open proposal is shown here, or may be voted on: members can make any number of others."""
    shown = observed.manifest is not None or observed.mirror is not None or observed.mirror_wanted
    return shown or bool(observed.wishes) or observed.rules.mode is VotingMode.RULES


def _state(known: ProposalObject | None, own_msp_id: str, facts: Facts | None) -> ManifestState | None:
    if known is None:
        return None
    return ManifestState(
        name=known.metadata.name,
        origin=known.origin(own_msp_id),
        created=known.metadata.creation_timestamp or datetime.now(UTC),
        withdraw=known.spec.withdraw,
        suspend=known.spec.suspend,
        deleting=known.metadata.deleting,
        deletion_policy=known.spec.deletion_policy,
        has_finalizer=WITHDRAW_FINALIZER in known.metadata.finalizers,
        conflicts=() if facts is None else of_objects(known.kind).conflicts(known.spec, facts.proposal.content),
        binds=of_objects(known.kind).binds(known.spec),
    )


def _wish(vote: Vote) -> VoteWish:
    return VoteWish(
        name=vote.metadata.name,
        created=vote.metadata.creation_timestamp or datetime.now(UTC),
        decision=vote.spec.decision,
        reason=vote.spec.reason or "",
        content_hash=vote.spec.content_hash,
        local=vote.spec.local.package if vote.spec.local is not None else None,
    )
