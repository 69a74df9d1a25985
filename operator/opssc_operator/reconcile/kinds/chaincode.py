"""Proposals of kind Chaincode: their looks at the own peers, and the steps of a deployment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from opssc_chaincode.model import ChaincodeContent, Facts, Proposal, Step
from opssc_operator.api.chaincode_proposal import ChaincodeProposal
from opssc_operator.api.conditions import Reason
from opssc_operator.api.proposal import ProposalObject
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import Vote
from opssc_operator.domain.choices import choose, refuse
from opssc_operator.domain.content import build_definition
from opssc_operator.domain.deployment import Approve, Commit, Target, has_passed, is_committed
from opssc_operator.domain.initialization import Initialize, holders, needs_look, read_runtime, reported_calls
from opssc_operator.domain.installation import Install
from opssc_operator.domain.kinds.chaincode import ChaincodeKind
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork, OwnCommit
from opssc_operator.domain.observation import ProposalObserved, rank_seed
from opssc_operator.domain.planning import Outset, Plan, PlanningObserved, plan_proposal
from opssc_operator.domain.report import own_report
from opssc_operator.domain.runtime import RuntimeSeen
from opssc_operator.domain.server_address import find_server, name_server
from opssc_operator.domain.verdict import Verdict, unknown
from opssc_operator.domain.verification import Grounds, judge_staleness, verify_proposal
from opssc_operator.domain.work_action import WorkAction
from opssc_operator.errors import Bug
from opssc_operator.ledger.runtime import Runtime
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.kinds.chaincode_package import (
    fetch_planned,
    fetch_to_install,
    find_package,
    verify_package,
)
from opssc_operator.reconcile.kinds.chaincode_rivals import find_winner, is_same_definition, was_committed
from opssc_operator.reconcile.packages import Packages
from opssc_operator.reconcile.serverbook import ServerBook

logger = logging.getLogger(__name__)

STALENESS_SECONDS: Final = 5.0
"""How old the configuration may be by which open proposals are judged; one reading serves all of a channel."""


@dataclass(slots=True)
class ChaincodeWorker:
    """Works on chaincode proposals; remembers the commits this process made."""

    servers: ServerBook
    packages: Packages
    kind: ClassVar = ChaincodeKind()
    _commits: dict[tuple[str, ProposalRef], OwnCommit] = field(default_factory=dict)

    async def plan(
        self, observed: ProposalObserved, manifest: ProposalObject, session: OrganizationSession
    ) -> Plan | Verdict:
        """Resolve the manifest against the channel and the committed definition as they are now."""
        if not isinstance(manifest, ChaincodeProposal):
            raise Bug(f"{manifest.metadata.name} is no ChaincodeProposal")
        channel = manifest.spec.channel
        view, committed, fetched, succession = await asyncio.gather(
            session.reader.current(channel, max_age_seconds=0.0),
            session.deployments.fetch_committed(channel, manifest.spec.chaincode.name),
            fetch_planned(manifest.spec, observed.ref, session, self.packages),
            session.charters.succession(),
        )
        definition = None if committed is None else committed.definition
        outset = Outset(session.msp_id, observed.ref.id, view, succession.current, observed.now)
        return plan_proposal(PlanningObserved(outset, manifest.spec, definition, fetched))

    async def verify(self, proposal: Proposal, grounds: Grounds, session: OrganizationSession) -> Verdict:
        """Judge by the pinned block and by what is computed here; what has to be fetched for it comes last."""
        verdict = verify_proposal(self.kind, proposal, grounds)
        if not verdict.holds or not isinstance(proposal.content, ChaincodeContent):
            return verdict
        ref = ProposalRef(proposal.creator.msp_id, proposal.id)
        return await verify_package(proposal.content, ref, session, self.packages) or verdict

    async def review(self, observed: ProposalObserved, facts: Facts, session: OrganizationSession) -> ProposalObserved:
        """See whether members or LifecycleEndorsement of the channel changed."""
        snapshot = facts.proposal.snapshot
        current = await session.reader.current(snapshot.channel, max_age_seconds=STALENESS_SECONDS)
        return replace(observed, stale=judge_staleness(self.kind, snapshot, current))

    async def observe(
        self, observed: ProposalObserved, facts: Facts, session: OrganizationSession, votes: Sequence[Vote]
    ) -> ProposalObserved:
        """Look at the deployment on the own peers, and for a proposal decided later."""
        # What the Votes say of the package stands in the wishes.
        del votes
        content = facts.proposal.content
        if not isinstance(content, ChaincodeContent):
            raise Bug(f"{observed.ref} is no chaincode proposal")
        view = await session.reader.current(content.channel)
        if view.rule is None:
            return replace(observed, verified=unknown(Reason.UNSUPPORTED_BY_THIS_VERSION, view.rule_problem))
        choice = choose(observed.wishes, content)
        kept = await find_package(choice, observed.ref, session, self.packages)
        if kept.fetching is not None and kept.fetching.fails:
            choice = refuse(choice, kept.fetching)
        target = Target(
            channel=content.channel,
            definition=build_definition(content),
            package_id=kept.package_id,
            not_known=kept.missing,
            rank_seed=rank_seed(observed.ref),
            already_committed=own_report(facts, session.msp_id, Step.COMMITTED) is not None,
        )
        deployment, winner = await asyncio.gather(
            session.deployments.observe(target, view.rule), find_winner(observed.ref, content, session)
        )
        if has_passed(target, deployment) and not target.already_committed:
            target = replace(target, already_committed=await was_committed(facts, target, session))
        work = ChaincodeWork(
            target=target,
            deployment=deployment,
            superseded_by=winner if winner != observed.ref else None,
            rival_is_same=await is_same_definition(winner, content, session),
            commit=self._commits.get((session.settings.namespace, observed.ref)),
            choice=choice,
            fetching=kept.fetching,
            origin=kept.origin,
            server=self.servers.look(session.settings.namespace, observed, choice.content, target.package_id),
        )
        channel, definition, asks_init = target.channel, target.definition, needs_look(target, deployment)
        done = asks_init and await session.initializations.prove(channel, definition, reported_calls(facts))
        work = replace(work, runtime=_look_at_runtime(work, observed, session, init_due=asks_init and not done))
        if asks_init:
            shown = read_runtime(definition.name, holders(deployment), work.runtime)
            work = replace(work, initialization=session.initializations.tell(channel, definition, shown))
        return replace(observed, work=work)

    async def perform(self, action: WorkAction, observed: ProposalObserved, session: OrganizationSession) -> None:
        """Install, approve, commit or initialize."""
        work, namespace = observed.work, session.settings.namespace
        if not isinstance(work, ChaincodeWork) or not isinstance(action, Install | Approve | Commit | Initialize):
            raise Bug(f"{observed.ref}: nothing was observed to act on")
        if isinstance(action, Initialize):
            target = work.target
            await session.initializations.call(target.channel, target.definition, action.init, action.peer)
            logger.info("initialized", extra={"proposal": str(observed.ref), "namespace": namespace})
            return
        package = None
        if isinstance(action, Install):
            package = await fetch_to_install(work, observed.ref, session, self.packages)
        done = await session.deployments.perform(action, work.target, package)
        if isinstance(action, Commit) and done.transaction_id:
            self._commits[namespace, observed.ref] = OwnCommit(done.transaction_id, done.block_number)
            logger.info("committed", extra={"proposal": str(observed.ref), "namespace": namespace})


def _look_at_runtime(
    work: ChaincodeWork, observed: ProposalObserved, session: OrganizationSession, *, init_due: bool
) -> RuntimeSeen | None:
    """What the server of a committed definition and own peers say; they are asked beside this reconcile."""
    target, peers = work.target, tuple(peer.name for peer in work.deployment.peers if peer.installed)
    # Which packages share an address is not known before the ledger is.
    known = session.view.loaded and is_committed(target, work.deployment)
    if target.package_id is None or not peers or not known or not _runs(work):
        return None

    def changed() -> None:
        session.wake(observed.ref)

    content = None if work.choice is None else work.choice.content
    named = name_server(content) or session.package_servers.find(target.package_id, peers, changed)
    if named is None:
        return None
    definition, installed = target.definition, {each for peer in session.peers.all for each in peer.packages}
    runtime = Runtime(
        target.channel,
        definition.name,
        definition.sequence,
        target.package_id,
        peers,
        find_server(named, target.package_id, session.view.outlines(), installed),
        init_due=init_due,
    )
    return session.runtimes.look(runtime, changed)


def _runs(work: ChaincodeWork) -> bool:
    """Whether own peers run this proposal's package: another accepted one may have the same definition."""
    approval = work.deployment.approval
    is_given_up = work.superseded_by is not None and work.rival_is_same
    return not is_given_up and (approval is None or approval.package_id == work.target.package_id)
