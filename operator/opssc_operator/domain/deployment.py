"""What this organization does next to bring one chaincode definition onto one channel.

Owns the decision install -> approve -> commit -> read back, for proposals and for the contract's own bootstrap alike.
It is pure: everything it needs was observed before, on the organization's own peers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fabric_admin.definition import Definition
from fabric_admin.policy import NOutOf
from opssc_chaincode.ranking import rank_by
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.installation import Install, PeerState, decide_installation
from opssc_operator.domain.pauses import soonest
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.domain.work_action import WorkAction

TAKEOVER_SECONDS: Final = 5.0
"""How long each next organization waits for the ones ranked before it takes over."""
MANIFEST_NAMES: Final = {
    "endorsement_plugin": "endorsementPlugin",
    "init_required": "initRequired",
    "validation_parameter": "endorsementPolicy",
    "validation_plugin": "validationPlugin",
}
"""What people call the fields of a definition whose name is another one there."""


@dataclass(frozen=True, slots=True)
class Approval:
    """The own organization's approval at the target sequence, as the own peer shows it."""

    definition: Definition
    package_id: str | None


@dataclass(frozen=True, slots=True)
class Committed:
    """The definition the own peer shows as committed, at whatever sequence, and who has approved it."""

    definition: Definition
    approvals: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be brought about; ``package_id`` None approves without a package.

    ``not_known`` says why it is not known which package that is, so that nothing is approved.
    """

    channel: str
    definition: Definition
    package_id: str | None
    rank_seed: bytes
    commit_allowed: bool = True
    already_committed: bool = False
    """True when this commit is proved by the own peer, now or before, so that a later sequence supersedes it."""
    not_known: Verdict | None = None


@dataclass(frozen=True, slots=True)
class DeploymentObserved:
    """Everything ``decide_deployment`` looks at.

    ``unreadable_approval`` names the own peers that know of an approval and lack its text, when no other peer has it.
    ``ready_seconds`` is how long the commit has been possible, ``failed_commits`` how often this operator failed.
    """

    own_msp_id: str
    peers: tuple[PeerState, ...]
    committed: Committed | None
    approval: Approval | None
    approvals: Mapping[str, bool]
    mismatches: Mapping[str, Sequence[str]]
    rule: NOutOf
    unreadable_approval: tuple[str, ...] = ()
    ready_seconds: float = 0.0
    failed_commits: int = 0


@dataclass(frozen=True, slots=True)
class Approve(WorkAction):
    """Approve the definition for the own organization."""


@dataclass(frozen=True, slots=True)
class Commit(WorkAction):
    """Commit the definition, endorsed by these organizations."""

    endorsing_organizations: tuple[str, ...]


DeploymentAction = Install | Approve | Commit


@dataclass(frozen=True, slots=True)
class DeploymentDecision:
    """The next actions (they may run in parallel), what holds now, and when to look again without any event."""

    actions: tuple[DeploymentAction, ...]
    installed: Verdict
    approved: Verdict
    commit_ready: Verdict
    committed: Verdict
    stalled: bool = False
    commit_possible: bool = False
    requeue_seconds: float | None = None


def decide_deployment(target: Target, observed: DeploymentObserved) -> DeploymentDecision:
    """Decide the next idempotent steps towards ``target`` from what the own peers show."""
    past = _judge_committed(target, observed)
    if past is not None and not past.committed.holds:
        return past
    superseded = past is not None and past.committed.reason == Reason.SUPERSEDED
    if superseded and past is not None:
        return past
    installation = decide_installation(target.channel, target.package_id, observed.peers, target.not_known)
    approved, approves = _judge_approved(target, observed)
    if past is not None:
        return DeploymentDecision(
            actions=(*installation.installs, *approves),
            installed=installation.verdict,
            approved=approved,
            commit_ready=past.commit_ready,
            committed=past.committed,
            requeue_seconds=installation.requeue_seconds,
        )
    agreed = frozenset(msp_id for msp_id, done in observed.approvals.items() if done)
    possible = observed.rule.satisfied_by(agreed)
    commit_ready = _judge_commit_ready(observed, agreed, possible=possible)
    commits, takeover = _decide_commit(target, observed, agreed, approved=approved, possible=possible)
    return DeploymentDecision(
        actions=(*installation.installs, *approves, *commits),
        installed=installation.verdict,
        approved=approved,
        commit_ready=commit_ready,
        committed=no(Reason.AWAITING_COMMIT, "waiting for the commit transaction" if possible else ""),
        commit_possible=possible,
        requeue_seconds=soonest(takeover, installation.requeue_seconds),
    )


def _judge_committed(target: Target, observed: DeploymentObserved) -> DeploymentDecision | None:
    """What the committed definition says: None while the target's sequence is still to be committed."""
    if observed.committed is None:
        return None if target.definition.sequence == 1 else _too_early(target, 0)
    shown, wanted = observed.committed.definition, target.definition
    if shown.sequence > wanted.sequence:
        return _passed(target, shown.sequence)
    if shown.sequence == wanted.sequence:
        return _same_sequence(target, observed.committed)
    return None if shown.sequence + 1 == wanted.sequence else _too_early(target, shown.sequence)


def _same_sequence(target: Target, committed: Committed) -> DeploymentDecision:
    """The target's sequence is taken: by the target itself, or by another definition."""
    differing = differing_fields(target.definition, committed.definition)
    if not differing:
        message = f"sequence {target.definition.sequence} is committed on channel {target.channel}"
        return _settled(yes(Reason.COMMITTED, message))
    words = ", ".join(MANIFEST_NAMES.get(name, name) for name in differing)
    return _settled(
        no(
            Reason.SEQUENCE_CONFLICT,
            f"sequence {target.definition.sequence} of {target.definition.name} was committed with other "
            f"{words}; propose again without a sequence, or with the next one",
        ),
        stalled=True,
    )


def _passed(target: Target, current: int) -> DeploymentDecision:
    """A later sequence is committed already."""
    if target.already_committed:
        return _settled(yes(Reason.SUPERSEDED, f"was committed; sequence {current} has replaced it since"))
    return _settled(
        unknown(
            Reason.SUPERSEDED,
            f"sequence {target.definition.sequence} has passed; whether this definition was the one committed cannot "
            "be proved on the own peer",
        )
    )


def has_passed(target: Target, observed: DeploymentObserved) -> bool:
    """Whether the own peer shows a later sequence than the target's, which hides what was committed at its own."""
    return observed.committed is not None and observed.committed.definition.sequence > target.definition.sequence


def approval_mismatches(wanted: Definition, approval: Definition) -> tuple[str, ...]:
    """Parts in which an approval differs, named and cut as Fabric does (3.x: core/chaincode/lifecycle, scc.go).

    Peers before 3.0 do not say them, and only the own organization's approval can be read: for it they are computed.
    """
    parts = {
        "Collections": ("collections",),
        "EndorsementInfo": ("endorsement_plugin", "init_required", "version"),
        "ValidationInfo": ("validation_parameter", "validation_plugin"),
    }
    differing = set(differing_fields(wanted, approval))
    return tuple(part for part, names in parts.items() if differing.intersection(names))


def is_committed(target: Target, observed: DeploymentObserved) -> bool:
    """Whether the own peer shows exactly the target as what is committed now."""
    return observed.committed is not None and is_same(target.definition, observed.committed.definition)


def is_same(wanted: Definition, shown: Definition) -> bool:
    """Whether two definitions are equal, sequence included."""
    return wanted.sequence == shown.sequence and not differing_fields(wanted, shown)


def _too_early(target: Target, current: int) -> DeploymentDecision:
    """The sequence before the target's is not committed yet, so Fabric would refuse every step."""
    verdict = no(
        Reason.SEQUENCE_CONFLICT,
        f"channel {target.channel} is at sequence {current} of {target.definition.name}; "
        f"sequence {target.definition.sequence} has to wait for sequence {target.definition.sequence - 1}",
    )
    return _settled(verdict)


def _settled(verdict: Verdict, *, stalled: bool = False) -> DeploymentDecision:
    """A decision without actions, where the commit's verdict speaks for every step."""
    return DeploymentDecision(
        actions=(),
        installed=verdict,
        approved=verdict,
        commit_ready=yes(Reason.COMMIT_READY) if verdict.holds else verdict,
        committed=verdict,
        stalled=stalled,
    )


def differing_fields(wanted: Definition, shown: Definition) -> tuple[str, ...]:
    """Names of the definition's fields, sorted, in which two definitions differ (the sequence is not compared)."""
    names = (
        "collections",
        "endorsement_plugin",
        "init_required",
        "name",
        "validation_parameter",
        "validation_plugin",
        "version",
    )
    return tuple(name for name in names if getattr(wanted, name) != getattr(shown, name))


def _judge_approved(target: Target, observed: DeploymentObserved) -> tuple[Verdict, tuple[Approve, ...]]:
    approval = observed.approval
    same = approval is not None and not differing_fields(target.definition, approval.definition)
    if same and approval is not None and approval.package_id == target.package_id:
        return yes(Reason.APPROVED, f"{observed.own_msp_id} approved sequence {target.definition.sequence}"), ()
    if observed.unreadable_approval:
        return _judge_unreadable(target, observed), ()
    # One peer that has the package is enough to endorse with; the others get it in their own time.
    usable = target.package_id is None or any(peer.on_channel and peer.installed for peer in observed.peers)
    if not usable or target.not_known is not None:
        return no(Reason.AWAITING_INSTALL, "the package is installed first"), ()
    if approval is not None:
        return no(Reason.DEFINITION_MISMATCH, "the earlier approval differs and is being replaced"), (Approve(),)
    return no(Reason.PROGRESSING, "approving"), (Approve(),)


def _judge_unreadable(target: Target, observed: DeploymentObserved) -> Verdict:
    """The ledger holds the hash of an own approval whose text no own peer that answers has.

    Peers compare approvals by their hash, so it counts as ever; but none of them takes another one at this sequence
    (Fabric: core/chaincode/lifecycle/lifecycle.go reads the earlier one first).
    """
    lost, sequence = ", ".join(sorted(observed.unreadable_approval)), target.definition.sequence
    if observed.approvals.get(observed.own_msp_id):
        by_hash = f"{observed.own_msp_id} approved sequence {sequence}, as the hash on the ledger says"
        return yes(Reason.APPROVED, f"{by_hash}; peer {lost} lacks the text of it until another own peer sends it")
    return no(
        Reason.APPROVAL_DATA_MISSING,
        f"peer {lost} lacks the private data of an own approval of sequence {sequence} that differs; start a peer of "
        "this organization that has it, or propose the next sequence",
    )


def _judge_commit_ready(observed: DeploymentObserved, agreed: frozenset[str], *, possible: bool) -> Verdict:
    if possible:
        return yes(Reason.COMMIT_READY, f"approved by {', '.join(sorted(agreed))}")
    missing = sorted(observed.rule.members() - agreed)
    if not observed.approvals:
        return unknown(Reason.AWAITING_ORGANIZATIONS, "the approvals could not be read yet")
    return no(Reason.AWAITING_ORGANIZATIONS, f"waiting for the approval of {', '.join(missing)}")


def _decide_commit(
    target: Target, observed: DeploymentObserved, agreed: frozenset[str], *, approved: Verdict, possible: bool
) -> tuple[tuple[Commit, ...], float | None]:
    """The first-ranked approved organization commits; each next one waits for the ones before it."""
    if not (possible and approved.holds and target.commit_allowed and observed.own_msp_id in agreed):
        return (), None
    order = rank_by(target.rank_seed, agreed)
    wait = order.index(observed.own_msp_id) * TAKEOVER_SECONDS - observed.ready_seconds
    if wait > 0:
        return (), wait
    preferred = (observed.own_msp_id, *_other_endorsers(target, agreed, observed.failed_commits))
    endorsers = observed.rule.minimal(agreed, prefer=preferred)
    return (Commit(endorsers or tuple(sorted(agreed))),), TAKEOVER_SECONDS


def _other_endorsers(target: Target, agreed: frozenset[str], failed_commits: int) -> tuple[str, ...]:
    """Whom to prefer after a failure: every organization that is asked must endorse, and one may be gone for good."""
    if failed_commits == 0:
        return ()
    return rank_by(target.rank_seed + b"\x00" + str(failed_commits).encode(), agreed)
