"""Observing everything about one proposal: its objects, its facts, the own peers. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from opssc_chaincode.model import ChaincodeContent, Facts, Step
from opssc_chaincode.ranking import decided_last
from opssc_chaincode.tally import Tally, derive
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import WITHDRAW_FINALIZER
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.proposal import ChaincodeProposal, Origin, Phase
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import LocalPackageType, Vote
from opssc_operator.domain.content import build_definition, build_package, conflicting_fields, is_buildable
from opssc_operator.domain.deployment import Target, has_passed, is_same
from opssc_operator.domain.outline import ended, slot_of
from opssc_operator.domain.planning import Plan, PlanningObserved, plan_proposal
from opssc_operator.domain.proposal import ManifestState, ProposalObserved, rank_seed
from opssc_operator.domain.reporting import own_report, reported_commits
from opssc_operator.domain.verdict import Verdict, unknown
from opssc_operator.domain.verification import is_stale, verify_proposal
from opssc_operator.domain.voting import VoteWish, VotingRules
from opssc_operator.errors import Bug, TransientError
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.store import ObjectStore

MIRROR_LIMIT: Final = 50
"""Open proposals of one creator that are mirrored at most."""
STALENESS_SECONDS: Final = 5.0
"""How old the configuration may be by which open proposals are judged; one reading serves all of a channel."""
ENDED: Final = frozenset({Phase.COMMITTED, Phase.SUPERSEDED, Phase.REJECTED, Phase.WITHDRAWN, Phase.EXPIRED})


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one proposal in the namespace, oldest first."""

    manifest: ChaincodeProposal | None
    duplicates: tuple[ChaincodeProposal, ...]
    mirror: ChaincodeProposal | None
    votes: tuple[Vote, ...]

    @property
    def shown(self) -> ChaincodeProposal | None:
        """The object whose status tells about the proposal."""
        return self.manifest or self.mirror


def find_objects(store: ObjectStore, namespace: str, ref: ProposalRef) -> Objects:
    """The objects about a proposal as the watch last showed them."""
    proposals = store.proposals(namespace, ref)
    manifests = [known for known in proposals if not known.metadata.mirrored]
    mirrors = [known for known in proposals if known.metadata.mirrored]
    return Objects(
        manifest=manifests[0] if manifests else None,
        duplicates=tuple(manifests[1:]),
        mirror=mirrors[0] if mirrors else None,
        votes=store.votes(namespace, ref),
    )


@dataclass(slots=True)
class Gatherer:
    """Gathers observations for one operator; remembers verdicts on what never changes."""

    store: ObjectStore
    _verified: dict[tuple[str, ProposalRef, str], Verdict] = field(default_factory=dict)

    async def gather(
        self, organization: FabricOrganization, session: OrganizationSession, ref: ProposalRef
    ) -> ProposalObserved:
        """Everything the decision needs; raises TransientError when the own peers do not answer."""
        namespace, now = organization.metadata.namespace, datetime.now(UTC)
        objects = find_objects(self.store, namespace, ref)
        facts = await session.view.get(ref)
        tally = None if facts is None else derive(facts, now, session.view.positions)
        observed = ProposalObserved(
            now=now,
            ref=ref,
            own_msp_id=session.msp_id,
            execution=organization.spec.execution,
            suspended=organization.spec.suspend,
            rules=VotingRules(organization.spec.voting.mode, organization.spec.voting.rules),
            manifest=_state(objects.manifest, session.msp_id, facts),
            mirror=_state(objects.mirror, session.msp_id, None),
            mirror_wanted=self._mirror_wanted(organization, ref, facts, tally, objects),
            wishes=tuple(_wish(vote) for vote in objects.votes),
            facts=facts,
            tally=tally,
        )
        if facts is None or tally is None:
            manifest = objects.manifest
            if manifest is None or observed.manifest is None or observed.manifest.origin is not Origin.LOCAL:
                return observed
            return replace(observed, plan=await _plan(manifest, session, ref, now))
        return await self._gather_ledger(replace(observed, facts=facts, tally=tally), session, objects)

    async def _gather_ledger(
        self, observed: ProposalObserved, session: OrganizationSession, objects: Objects
    ) -> ProposalObserved:
        facts, tally = observed.facts, observed.tally
        if facts is None or tally is None:
            raise Bug(f"{observed.ref} is gathered from the ledger without its facts")
        proposal = facts.proposal
        if session.msp_id not in proposal.snapshot.members:
            message = f"{session.msp_id} is not a member of channel {proposal.snapshot.channel}"
            return replace(observed, verified=unknown(Reason.NOT_A_MEMBER, message))
        verified = await self._verify(observed.ref, facts, session)
        observed = replace(observed, verified=verified)
        if verified.reason is Reason.CHANNEL_NOT_FOUND:
            return observed
        if tally.open:
            channel = proposal.snapshot.channel
            current = await session.reader.current(channel, max_age_seconds=STALENESS_SECONDS)
            return replace(observed, stale=is_stale(proposal.snapshot, current))
        if not tally.accepted or not verified.holds or not isinstance(proposal.content, ChaincodeContent):
            return observed
        return await _gather_deployment(observed, facts, proposal.content, session, objects.votes)

    async def _verify(self, ref: ProposalRef, facts: Facts, session: OrganizationSession) -> Verdict:
        key = (session.settings.namespace, ref, facts.proposal.content_hash)
        known = self._verified.get(key)
        if known is None:
            snapshot = facts.proposal.snapshot
            try:
                pinned = await session.reader.at(snapshot.channel, snapshot.config_block)
            except TransientError as exc:
                if exc.reason != Reason.CHANNEL_NOT_FOUND:
                    raise
                # Anybody can propose for a channel that does not exist: it is shown, and not asked for at every turn.
                return unknown(Reason.CHANNEL_NOT_FOUND, exc.message)
            known = verify_proposal(facts.proposal, pinned)
            if known.status != "Unknown":
                self._verified[key] = known
        return known

    def _mirror_wanted(
        self,
        organization: FabricOrganization,
        ref: ProposalRef,
        facts: Facts | None,
        tally: Tally | None,
        objects: Objects,
    ) -> bool:
        spec = organization.spec
        if facts is None or tally is None or ref.creator == spec.msp_id or not spec.mirror.enabled:
            return False
        content = facts.proposal.content
        if not isinstance(content, ChaincodeContent) or not is_buildable(content):
            return False
        last = max(
            [facts.proposal.created_time]
            + [vote.time for vote in facts.votes]
            + [report.time for report in facts.reports]
            + ([facts.closing.time] if facts.closing else [])
        )
        if ended(tally) and datetime.now(UTC) - last > spec.mirror.retention:
            return False
        return ended(tally) or objects.mirror is not None or self._room(organization, ref)

    def _room(self, organization: FabricOrganization, ref: ProposalRef) -> bool:
        """Whether another open proposal of this creator may be mirrored."""
        mirrored = (
            known
            for known in self.store.proposals_all(organization.metadata.namespace)
            if known.metadata.mirrored and known.spec.creator == ref.creator and known.status.get("phase") not in ENDED
        )
        return sum(1 for _ in mirrored) < MIRROR_LIMIT


async def _plan(
    manifest: ChaincodeProposal, session: OrganizationSession, ref: ProposalRef, now: datetime
) -> Plan | Verdict:
    channel = manifest.spec.channel
    view, committed = await asyncio.gather(
        session.reader.current(channel, max_age_seconds=0.0),
        session.deployments.fetch_committed(channel, manifest.spec.chaincode.name),
    )
    definition = None if committed is None else committed.definition
    return plan_proposal(PlanningObserved(session.msp_id, ref.id, manifest.spec, view, definition, now))


async def _gather_deployment(
    observed: ProposalObserved,
    facts: Facts,
    content: ChaincodeContent,
    session: OrganizationSession,
    votes: Sequence[Vote],
) -> ProposalObserved:
    view = await session.reader.current(content.channel)
    if view.rule is None:
        return replace(observed, verified=unknown(Reason.UNSUPPORTED_BY_THIS_VERSION, view.rule_problem))
    target = Target(
        channel=content.channel,
        definition=build_definition(content),
        package_id=None if _without_package(votes) else content.package_id,
        rank_seed=rank_seed(observed.ref),
        already_committed=own_report(facts, session.msp_id, Step.COMMITTED) is not None,
    )
    deployment, winner = await asyncio.gather(
        session.deployments.observe(target, view.rule), find_winner(observed.ref, content, session)
    )
    if has_passed(target, deployment) and not target.already_committed:
        target = replace(target, already_committed=await was_committed(facts, target, session))
    superseded_by = winner if winner != observed.ref else None
    return replace(observed, target=target, deployment=deployment, superseded_by=superseded_by)


async def was_committed(facts: Facts, target: Target, session: OrganizationSession) -> bool:
    """Whether the own peer proves one of the reported commits: a valid transaction with this very definition."""
    for transaction_id in reported_commits(facts):
        found = await session.deployments.fetch_commit(target.channel, transaction_id)
        if found is not None and is_same(target.definition, found):
            return True
    return False


def _without_package(votes: Sequence[Vote]) -> bool:
    """Whether the organization's own vote asks to approve without a package."""
    local = votes[0].spec.local if votes else None
    return local is not None and local.package is not None and local.package.type is LocalPackageType.NONE


def rivals_of(content: ChaincodeContent, session: OrganizationSession) -> tuple[ProposalRef, ...]:
    """All proposals on the ledger for the same channel, chaincode and sequence, the given one among them."""
    return tuple(outline.ref for outline in session.view.outlines() if outline.slot == slot_of(content))


async def find_winner(ref: ProposalRef, content: ChaincodeContent, session: OrganizationSession) -> ProposalRef:
    """Of all accepted proposals for the same channel, chaincode and sequence, the one decided last on the ledger."""
    now = datetime.now(UTC)
    # A rival that a block has just changed is read again: it may be the one to carry out from now on.
    slot = slot_of(content)
    asked = [
        outline.ref
        for outline in session.view.outlines()
        if outline.slot == slot and (outline.accepted or session.view.is_marked(outline.ref))
    ]
    current = await asyncio.gather(*(session.view.get(rival) for rival in asked))
    rivals = [facts for facts in current if facts is not None and derive(facts, now).accepted]
    if len(rivals) < 2:  # noqa: PLR2004 - one proposal alone has no rival
        return ref
    votes = [vote.tx_id for facts in rivals for vote in facts.votes]
    await session.locate(votes)
    decided = {
        facts.proposal.name: tally.deciding.position
        for facts in rivals
        if (tally := derive(facts, now, session.view.positions)).deciding is not None
        and await _verifies(facts, session)
    }
    winner = decided_last(decided)
    return ref if winner is None else ProposalRef.parse(winner)


async def _verifies(facts: Facts, session: OrganizationSession) -> bool:
    snapshot = facts.proposal.snapshot
    return verify_proposal(facts.proposal, await session.reader.at(snapshot.channel, snapshot.config_block)).holds


def package_of(observed: ProposalObserved) -> bytes | None:
    """The package to install for an accepted proposal."""
    if observed.facts is None or not isinstance(observed.facts.proposal.content, ChaincodeContent):
        return None
    return build_package(observed.facts.proposal.content).data


def _state(known: ChaincodeProposal | None, own_msp_id: str, facts: Facts | None) -> ManifestState | None:
    if known is None:
        return None
    content = facts.proposal.content if facts is not None else None
    return ManifestState(
        name=known.metadata.name,
        origin=known.origin(own_msp_id),
        created=known.metadata.creation_timestamp or datetime.now(UTC),
        withdraw=known.spec.withdraw,
        suspend=known.spec.suspend,
        deleting=known.metadata.deleting,
        deletion_policy=known.spec.deletion_policy,
        has_finalizer=WITHDRAW_FINALIZER in known.metadata.finalizers,
        conflicts=conflicting_fields(known.spec, content) if isinstance(content, ChaincodeContent) else (),
    )


def _wish(vote: Vote) -> VoteWish:
    return VoteWish(
        name=vote.metadata.name,
        created=vote.metadata.creation_timestamp or datetime.now(UTC),
        decision=vote.spec.decision,
        reason=vote.spec.reason or "",
        content_hash=vote.spec.content_hash,
    )
