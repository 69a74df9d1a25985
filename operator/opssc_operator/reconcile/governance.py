"""The governance contract of one organization: whether it is committed and usable, and its bootstrap until then."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from fabric_admin.channelconfig import policy_rule
from fabric_admin.errors import InvalidInput
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import Bootstrap, FabricOrganizationSpec, GovernanceStatus
from opssc_operator.domain.bootstrap import bootstrap_target, build_bootstrap_package
from opssc_operator.domain.content import ContentError
from opssc_operator.domain.contractpolicy import judge_contract_policy
from opssc_operator.domain.deployment import Committed, DeploymentDecision, Target, decide_deployment
from opssc_operator.domain.verdict import Verdict, no, yes
from opssc_operator.errors import OperatorError, PartialError, TransientError
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.gathering import MIRROR_LIMIT

ROUNDS: Final = 6
"""More steps than a bootstrap has (install, approve, commit, read back), so that it ends in one reconcile if it can."""


@dataclass(frozen=True, slots=True)
class GovernanceLook:
    """What was found, and when to look again when no event comes."""

    verdict: Verdict
    status: GovernanceStatus
    requeue_seconds: float | None = None


class Governance:
    """Looks at the contract, deploys it where the organization consented to, and starts the block stream."""

    def __init__(self) -> None:
        self._shortfalls: dict[str, tuple[Target, str]] = {}
        """By namespace: what failed of which deployment although it is committed and may well be usable."""

    async def look(
        self, spec: FabricOrganizationSpec, session: OrganizationSession, *, resync: bool = False
    ) -> GovernanceLook:
        """Bring the contract as far as this organization can; raises TransientError or TerminalError.

        What is left to do once the contract is committed is tried once, and again at every ``resync``.
        """
        if resync:
            self._shortfalls.pop(session.settings.namespace, None)
        channel, name = spec.governance.channel, spec.governance.chaincode
        try:
            await session.peers.on(channel)
        except TransientError:
            message = f"no own peer has joined the governance channel {channel}; join one, or correct the name"
            return GovernanceLook(no(Reason.CHANNEL_NOT_FOUND, message), GovernanceStatus())
        bootstrap = spec.governance.bootstrap
        if bootstrap is not None:
            decision = await self._bootstrap(spec, bootstrap, session)
            if not decision.committed.holds:
                return _bootstrapping(decision)
        committed = await session.deployments.fetch_committed(channel, name)
        if committed is None:
            message = f"chaincode {name} is not committed on {channel}; deploy it, or set governance.bootstrap"
            return GovernanceLook(no(Reason.CONTRACT_NOT_COMMITTED, message), GovernanceStatus())
        weak = await self._judge_policy(session, channel, committed)
        if weak is not None:
            return GovernanceLook(weak, GovernanceStatus())
        try:
            version = await session.contract.fetch_version()
        except TransientError as exc:
            hint = f"{name} does not answer; check that this organization's server of it runs"
            raise TransientError(f"{hint}: {exc.message}", exc.retry_after, reason=exc.reason) from exc
        session.follow_governance()
        with suppress(TransientError):
            # What cannot be judged yet is said on the proposals that it concerns.
            await session.charters.succession()
        return self.count(spec, session, version)

    def count(self, spec: FabricOrganizationSpec, session: OrganizationSession, version: str) -> GovernanceLook:
        """Say what the session knows of a contract that is committed and runs; asks nobody."""
        governance = spec.governance
        _, shortfall = self._shortfalls.get(session.settings.namespace, (None, ""))
        notes = _crowd_note(session) + _left_out_note(session) + (f"; {shortfall}" if shortfall else "")
        message = f"{governance.chaincode} {version} on channel {governance.channel}{notes}"
        return GovernanceLook(yes(Reason.CONTRACT_COMMITTED, message), _status(session, version))

    async def _judge_policy(self, session: OrganizationSession, channel: str, committed: Committed) -> Verdict | None:
        config = await session.reader.config(channel)
        try:
            rule = policy_rule(config, committed.definition.validation_parameter)
        except InvalidInput as exc:
            return no(Reason.CONTRACT_POLICY_TOO_WEAK, f"the contract's endorsement policy cannot be judged: {exc}")
        return await asyncio.to_thread(judge_contract_policy, rule, tuple(config.members))

    async def _bootstrap(
        self, spec: FabricOrganizationSpec, bootstrap: Bootstrap, session: OrganizationSession
    ) -> DeploymentDecision:
        channel = spec.governance.channel
        try:
            package = build_bootstrap_package(spec.governance, bootstrap)
            target = bootstrap_target(spec.governance, bootstrap, package.package_id)
        except ContentError as exc:
            message = no(Reason.INVALID_SPEC, f"governance.bootstrap: {exc}")
            return DeploymentDecision((), message, message, message, message, stalled=True)
        view = await session.reader.current(channel)
        if view.rule is None:
            message = no(Reason.UNSUPPORTED_BY_THIS_VERSION, f"LifecycleEndorsement: {view.rule_problem}")
            return DeploymentDecision((), message, message, message, message, stalled=True)
        session.follow_channel(channel)
        decision = decide_deployment(target, await session.deployments.observe(target, view.rule))
        for _ in range(ROUNDS):
            failed, _ = self._shortfalls.get(session.settings.namespace, (None, ""))
            if not decision.actions or (decision.committed.holds and failed == target):
                break
            await self._perform(decision, target, package.data, session)
            decision = decide_deployment(target, await session.deployments.observe(target, view.rule))
        return decision

    async def _perform(
        self, decision: DeploymentDecision, target: Target, package: bytes, session: OrganizationSession
    ) -> None:
        results = await asyncio.gather(
            *(session.deployments.perform(action, target, package) for action in decision.actions),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, OperatorError) and decision.committed.holds:
                # One peer without a builder must not keep the others from working with the contract.
                self._shortfalls[session.settings.namespace] = (target, result.message)
            elif isinstance(result, BaseException) and not isinstance(result, PartialError):
                # What a peer said to an install stands in the next decision, by which others may go on.
                raise result


def _bootstrapping(decision: DeploymentDecision) -> GovernanceLook:
    steps = (decision.installed, decision.approved, decision.commit_ready, decision.committed)
    failing = next(verdict for verdict in steps if not verdict.holds)
    reason = failing.reason if decision.stalled or failing.reason in PLAIN else Reason.BOOTSTRAPPING
    message = failing.message
    if reason is Reason.SEQUENCE_CONFLICT:
        reason = Reason.CONTRACT_MISMATCH
        message = f"{message.partition(';')[0]}; make governance.bootstrap what is committed, or remove it"
    return GovernanceLook(no(reason, message), GovernanceStatus(), decision.requeue_seconds)


PLAIN: Final = frozenset(
    {Reason.INSTALL_FAILED, Reason.EXTERNAL_BUILDER_MISSING, Reason.PEER_UNREACHABLE, Reason.NO_PEERS}
)
"""Reasons that say more than Bootstrapping does."""


def _crowd_note(session: OrganizationSession) -> str:
    """Say whose open proposals are too many to be mirrored."""
    waiting = (outline.ref.creator for outline in session.view.outlines() if not outline.ended)
    counts = Counter(creator for creator in waiting if creator != session.msp_id)
    crowded = sorted(creator for creator, count in counts.items() if count > MIRROR_LIMIT)
    return f"; only {MIRROR_LIMIT} open proposals of {', '.join(crowded)} are mirrored" if crowded else ""


def _left_out_note(session: OrganizationSession) -> str:
    """Say which accepted charter, of which too few members are there to hold things up, is not followed or refuted."""
    first = session.charters.left_out[:1]
    return "".join(
        f"; charter {name} cannot be judged and is left out; list a peer that has all blocks" for name in first
    )


def _status(session: OrganizationSession, version: str) -> GovernanceStatus:
    now = datetime.now(UTC)
    still_open = [outline for outline in session.view.outlines() if outline.open_at(now)]
    mine = [outline for outline in still_open if outline.awaits_own_vote]
    return GovernanceStatus(
        block=session.latest_block,
        contract_version=version,
        charter_version=session.charters.known.current.version,
        open=len(still_open),
        awaiting_my_vote=len(mine),
    )
