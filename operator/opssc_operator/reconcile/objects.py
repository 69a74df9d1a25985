"""The objects about one proposal, and which of them stands for it."""

from __future__ import annotations

from dataclasses import dataclass

from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.conditions import Reason
from opssc_operator.api.proposal import ProposalObject
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import Vote
from opssc_operator.domain.kinds.catalog import on_ledger
from opssc_operator.domain.verdict import Verdict, no
from opssc_operator.reconcile.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one proposal in the namespace, oldest first; of several manifests those of its kind first."""

    manifest: ProposalObject | None
    duplicates: tuple[ProposalObject, ...]
    mirror: ProposalObject | None
    votes: tuple[Vote, ...]

    @property
    def shown(self) -> ProposalObject | None:
        """The object whose status tells about the proposal."""
        return self.manifest or self.mirror


def find_objects(store: ObjectStore, namespace: str, ref: ProposalRef, ledger_kind: LedgerKind | None) -> Objects:
    """The objects about a proposal as the watch last showed them; ``ledger_kind`` is None for none on the ledger."""
    proposals = store.proposals(namespace, ref)
    kind = None if ledger_kind is None else on_ledger(ledger_kind)
    manifests = [known for known in proposals if not known.metadata.mirrored]
    if kind is not None:
        manifests.sort(key=lambda known: known.kind is not kind.object_kind)
    mirrors = [known for known in proposals if known.metadata.mirrored]
    return Objects(
        manifest=manifests[0] if manifests else None,
        duplicates=tuple(manifests[1:]),
        mirror=mirrors[0] if mirrors else None,
        votes=store.votes(namespace, ref),
    )


def judge_duplicate(known: ProposalObject, objects: Objects) -> Verdict:
    """What is wrong with a manifest that is not the one that stands for the proposal."""
    first = objects.manifest
    if first is None or first.kind is known.kind:
        name = "" if first is None else first.metadata.name
        return no(Reason.DUPLICATE_MANIFEST, f"{name} stands for the same proposal; delete one of them")
    message = f"{first.kind} {first.metadata.name} stands for the proposal of this name; use another proposalID"
    return no(Reason.CONTENT_CONFLICT, message)
