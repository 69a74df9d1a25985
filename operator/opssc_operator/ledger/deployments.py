"""Chaincode definitions on the organization's own peers: observe one deployment, and carry out one step of it.

Owns the lifecycle calls. What to do is decided in ``domain.deployment``; here it is only looked at and done.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fabric_admin.definition import Definition, Readiness
from fabric_admin.errors import ChaincodeError, CommitFailed, DeadlineExceeded, GatewayError
from fabric_admin.policy import NOutOf
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import (
    Approval,
    Approve,
    Commit,
    Committed,
    DeploymentAction,
    DeploymentObserved,
    Target,
    approval_mismatches,
)
from opssc_operator.domain.installation import Install
from opssc_operator.domain.newest import Newest
from opssc_operator.ledger.approvals import fetch_own_approval
from opssc_operator.ledger.commits import committed_by
from opssc_operator.ledger.peers import OwnPeers
from opssc_operator.ledger.translate import translated

QUERY_SECONDS: Final = 10.0
APPROVE_SECONDS: Final = 20.0
"""A peer can hold an approval back for minutes while it tries to pass the text on to an own peer that has just died;
once it knows of that death, the next attempt does not wait."""
COMMIT_SECONDS: Final = 60.0
KEPT_COMMITS: Final = 10_000
DONE_BEFORE: Final = (
    "with unchanged content",
    "attempted to redefine the current committed sequence",
    "but new definition must be sequence",
)
"""Texts by which a peer says that this very step was taken already (by us, or by another organization)."""

_Slot = tuple[str, str, int]
"""Channel, chaincode name and sequence: what can be committed once."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """A lifecycle transaction of ours that is on the ledger; empty and 0 when somebody had done it before."""

    transaction_id: str = ""
    block_number: int = 0


class Deployments:
    """Lifecycle of chaincode definitions, through the own peers."""

    def __init__(self, own_msp_id: str, peers: OwnPeers, wake: Callable[[str], None] = lambda _: None) -> None:
        self._own_msp_id = own_msp_id
        self._peers = peers
        self._wake = wake
        """Told of a channel where an install ended that nobody waited for."""
        self._possible_since: dict[_Slot, float] = {}
        self._passed: set[_Slot] = set()
        self._failed_commits: Counter[_Slot] = Counter()
        self._commits: Newest[tuple[str, str], Definition | None] = Newest(KEPT_COMMITS)

    async def fetch_committed(self, channel: str, name: str) -> Committed | None:
        """The committed definition the own peer shows, or None; raises TransientError or TerminalError."""
        with translated(f"reading the definition of {name} on channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
            found = await self._peers.ask(
                channel, lambda peer: peer.lifecycle.query_committed(channel, name, timeout_seconds=QUERY_SECONDS)
            )
        return None if found is None else Committed(found.definition, dict(found.approvals))

    async def fetch_commit(self, channel: str, transaction_id: str) -> Definition | None:
        """The definition a transaction committed, as the own peer shows it; None when it has none such.

        A transaction never changes, so it is read once. Raises TransientError or TerminalError.
        """
        key = channel, transaction_id
        if key not in self._commits:
            with translated(f"reading a commit on channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
                try:
                    processed = await self._peers.ask(
                        channel,
                        lambda peer: peer.system.transaction(channel, transaction_id, timeout_seconds=QUERY_SECONDS),
                    )
                except ChaincodeError:
                    return None
            self._commits[key] = committed_by(processed)
        return self._commits[key]

    async def observe(self, target: Target, rule: NOutOf) -> DeploymentObserved:
        """Everything about one deployment that own peers can show; raises TransientError or TerminalError."""
        peers, committed, (approval, unreadable), readiness = await asyncio.gather(
            self._peers.observe(target.channel, target.package_id),
            self.fetch_committed(target.channel, target.definition.name),
            self._fetch_approval(target),
            self._fetch_readiness(target),
        )
        if readiness is None and _is_next(target, committed):
            committed = await self.fetch_committed(target.channel, target.definition.name)
        self._remember(target, committed)
        approvals: Mapping[str, bool] = {}
        mismatches: Mapping[str, Sequence[str]] = {}
        if readiness is not None and _is_next(target, committed):
            approvals = readiness.approvals
            mismatches = readiness.mismatches or self._own_mismatches(target, approval)
        elif committed is not None and committed.definition.sequence == target.definition.sequence:
            approvals = committed.approvals
        return DeploymentObserved(
            own_msp_id=self._own_msp_id,
            peers=peers,
            committed=committed,
            approval=approval,
            approvals=approvals,
            mismatches=mismatches,
            rule=rule,
            unreadable_approval=unreadable,
            ready_seconds=self._possible_for(target, rule, approvals),
            failed_commits=self._failed_commits[_slot(target)],
        )

    def _own_mismatches(self, target: Target, approval: Approval | None) -> Mapping[str, Sequence[str]]:
        """In what the own approval differs, for peers that do not say so themselves."""
        parts = () if approval is None else approval_mismatches(target.definition, approval.definition)
        return {self._own_msp_id: parts} if parts else {}

    def _remember(self, target: Target, committed: Committed | None) -> None:
        """Note whether readiness has nothing more to say: the sequence, or a later one, is committed."""
        if committed is not None and committed.definition.sequence >= target.definition.sequence:
            self._passed.add(_slot(target))
            self._failed_commits.pop(_slot(target), None)
        else:
            self._passed.discard(_slot(target))

    def _possible_for(self, target: Target, rule: NOutOf, approvals: Mapping[str, bool]) -> float:
        """Seconds since this operator first saw that the commit would be endorsed."""
        key = _slot(target)
        if not rule.satisfied_by({msp_id for msp_id, done in approvals.items() if done}):
            self._possible_since.pop(key, None)
            return 0.0
        now = asyncio.get_running_loop().time()
        return now - self._possible_since.setdefault(key, now)

    async def _fetch_approval(self, target: Target) -> tuple[Approval | None, tuple[str, ...]]:
        """The own approval, and the peers that know of one and lack its text when no other peer can show it."""
        name, sequence = target.definition.name, target.definition.sequence
        with translated(f"reading the approval of {name} on channel {target.channel}"):
            found, lost = await fetch_own_approval(self._peers, target.channel, name, sequence)
        return (None if found is None else Approval(found.definition, found.package_id)), lost

    async def _fetch_readiness(self, target: Target) -> Readiness | None:
        """Who has approved; None when the sequence is not the next one, as far as is known already or by the answer."""
        if _slot(target) in self._passed:
            return None
        definition = target.definition
        with translated(f"reading the commit readiness of {definition.name} on channel {target.channel}"):
            try:
                return await self._peers.ask(
                    target.channel,
                    lambda peer: peer.lifecycle.check_commit_readiness(
                        target.channel, definition, timeout_seconds=QUERY_SECONDS
                    ),
                )
            except ChaincodeError as exc:
                if _done_before(exc.message):
                    return None
                raise

    async def perform(self, action: DeploymentAction, target: Target, package: bytes | None) -> StepDone:
        """Carry out one step; having been done before is success. Raises TransientError or TerminalError."""
        match action:
            case Install(peer=name):
                if package is None or target.package_id is None:
                    return StepDone()
                await self._install(name, package, target.package_id, target.channel)
                return StepDone()
            case Approve():
                return await self._approve(target)
            case Commit(endorsing_organizations=organizations):
                return await self._commit(target, organizations)

    async def _install(self, name: str, package: bytes, package_id: str, channel: str) -> None:
        peer = self._peers.get(name)
        if await peer.installs.install(package, package_id, lambda: self._wake(channel)):
            peer.packages.add(package_id)

    async def _approve(self, target: Target) -> StepDone:
        lifecycle = (await self._peers.on(target.channel)).lifecycle
        definition = target.definition
        doing = f"approving sequence {definition.sequence} of {definition.name} on channel {target.channel}"
        with translated(doing, reason=Reason.APPROVAL_FAILED):
            try:
                submitted = await lifecycle.approve(
                    target.channel, definition, target.package_id, timeout_seconds=APPROVE_SECONDS
                )
            except (GatewayError, ChaincodeError) as exc:
                if _done_before(str(exc)):
                    return StepDone()
                raise
        return StepDone(submitted.transaction_id, submitted.block_number)

    async def _commit(self, target: Target, organizations: tuple[str, ...]) -> StepDone:
        lifecycle = (await self._peers.on(target.channel)).lifecycle
        definition = target.definition
        doing = f"committing sequence {definition.sequence} of {definition.name} on channel {target.channel}"
        with translated(doing, reason=Reason.COMMIT_FAILED):
            try:
                submitted = await lifecycle.commit(
                    target.channel, definition, endorsing_organizations=organizations, timeout_seconds=COMMIT_SECONDS
                )
            except (GatewayError, ChaincodeError) as exc:
                if _done_before(str(exc)):
                    return StepDone()
                self._failed_commits[_slot(target)] += 1
                raise
            except CommitFailed as exc:
                if exc.retryable:
                    return StepDone()
                self._failed_commits[_slot(target)] += 1
                raise
            except DeadlineExceeded:
                self._failed_commits[_slot(target)] += 1
                raise
        return StepDone(submitted.transaction_id, submitted.block_number)


def _slot(target: Target) -> _Slot:
    return target.channel, target.definition.name, target.definition.sequence


def _is_next(target: Target, committed: Committed | None) -> bool:
    """Whether the target's sequence is the one to be committed next."""
    current = 0 if committed is None else committed.definition.sequence
    return current + 1 == target.definition.sequence


def _done_before(text: str) -> bool:
    return any(phrase in text for phrase in DONE_BEFORE)
