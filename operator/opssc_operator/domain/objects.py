"""Which objects of a proposal should be there: the mirror of another's, and the finalizer of a withdrawal. Pure."""

from __future__ import annotations

from opssc_chaincode.tally import Phase as LedgerPhase
from opssc_operator.api.proposal import DeletionPolicy, Origin
from opssc_operator.domain.actions import CreateMirror, DeleteMirror, ObjectAction, SetFinalizer
from opssc_operator.domain.observation import ManifestState, ProposalObserved


def decide_objects(observed: ProposalObserved) -> tuple[ObjectAction, ...]:
    """Mirrors and finalizers that should or should not be there."""
    actions: list[ObjectAction] = []
    manifest = observed.manifest
    if observed.mirror is not None and (manifest is not None or not observed.mirror_wanted):
        actions.append(DeleteMirror())
    if observed.mirror is None and manifest is None and observed.mirror_wanted:
        actions.append(CreateMirror())
    if manifest is not None and manifest.origin is Origin.LOCAL:
        wanted = _finalizer_wanted(observed, manifest)
        if wanted != manifest.has_finalizer and not (wanted and manifest.deleting):
            actions.append(SetFinalizer(present=wanted))
    return tuple(actions)


def _finalizer_wanted(observed: ProposalObserved, manifest: ManifestState) -> bool:
    if manifest.deletion_policy is not DeletionPolicy.WITHDRAW:
        return False
    if not manifest.deleting:
        return True
    is_open = observed.tally is not None and observed.tally.phase is LedgerPhase.VOTING
    return is_open and not manifest.conflicts
