"""Objects the operator makes, removes or holds: mirrors of others' proposals, and the finalizer of a withdrawal."""

from __future__ import annotations

import logging
from typing import Any, Final

from pydantic import ValidationError

from opssc_operator.api.group import API_VERSION, MIRRORED, ORIGIN_LABEL, WITHDRAW_FINALIZER, Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef, mirror_name
from opssc_operator.domain.actions import CreateMirror, DeleteMirror, SetFinalizer
from opssc_operator.domain.kinds.catalog import on_ledger
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.stage import ProposalDecision
from opssc_operator.errors import TerminalError
from opssc_operator.kube.client import Involved, KubeClient
from opssc_operator.reconcile.objects import Objects, find_objects
from opssc_operator.reconcile.store import ObjectStore

logger = logging.getLogger(__name__)

SHOWN_SECONDS: Final = 1.0
"""How soon the watch tells of a mirror just made; after that, its telling starts another run."""


async def perform_object_actions(
    kube: KubeClient,
    store: ObjectStore,
    organization: FabricOrganization,
    observed: ProposalObserved,
    decision: ProposalDecision,
) -> bool:
    """Make the objects what the decision wants; returns whether the store shows the result already."""
    changed = False
    for action in decision.object_actions:
        match action:
            case CreateMirror():
                changed = await _create_mirror(kube, store, organization, observed) or changed
            case DeleteMirror():
                await _delete_mirror(kube, store, organization, observed)
            case SetFinalizer(present=present):
                changed = await _set_finalizer(kube, store, organization, observed, present=present) or changed
    return changed


async def _create_mirror(
    kube: KubeClient, store: ObjectStore, organization: FabricOrganization, observed: ProposalObserved
) -> bool:
    proposal = None if observed.facts is None else observed.facts.proposal
    kind = None if proposal is None else on_ledger(proposal.kind)
    if proposal is None or kind is None:
        return False
    spec = {"creator": observed.ref.creator, "proposalID": observed.ref.id, **kind.to_spec(proposal)}
    if proposal.description:
        spec["description"] = proposal.description
    try:
        kind.spec_type.model_validate(spec)
    except ValidationError as exc:
        return _not_shown(observed, f"{exc.error_count()} fields exceed what an object may hold")
    namespace = organization.metadata.namespace
    creators = frozenset(
        known.spec.creator for known in store.proposals_all(namespace) if known.spec.creator is not None
    )
    name = mirror_name(observed.ref, among=creators | {organization.spec.msp_id})
    manifest = {"metadata": owned_metadata(organization, name), "spec": spec}
    try:
        await kube.apply(kind.object_kind, manifest)
    except TerminalError as exc:
        return _not_shown(observed, exc.message)
    return await store.wait_for(kind.object_kind, namespace, name, timeout_seconds=SHOWN_SECONDS)


def owned_metadata(organization: FabricOrganization, name: str) -> dict[str, Any]:
    """Metadata of an object the operator makes: it shows in the tree of the FabricOrganization, and goes with it."""
    return {
        "name": name,
        "namespace": organization.metadata.namespace,
        "labels": {ORIGIN_LABEL: MIRRORED},
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": str(Kind.FABRIC_ORGANIZATION),
                "name": organization.metadata.name,
                "uid": organization.metadata.uid,
            }
        ],
    }


def _not_shown(observed: ProposalObserved, why: str) -> bool:
    """Say that a proposal cannot be mirrored, which keeps nobody from voting on it and carrying it out."""
    logger.warning("a proposal cannot be mirrored", extra={"proposal": str(observed.ref), "cause": why})
    return False


async def _delete_mirror(
    kube: KubeClient, store: ObjectStore, organization: FabricOrganization, observed: ProposalObserved
) -> None:
    namespace = organization.metadata.namespace
    mirror = _objects(store, namespace, observed).mirror
    if mirror is not None and not mirror.metadata.deleting:
        await kube.delete(mirror.kind, namespace, mirror.metadata.name, mirror.metadata.uid)


async def release_orphans(kube: KubeClient, store: ObjectStore, namespace: str, ref: ProposalRef) -> None:
    """Let go of what is deleted in a namespace without any organization: nobody is left who could withdraw it.

    Otherwise a namespace that is deleted with its organization would never end.
    """
    if any(Kind(known.kind) is Kind.FABRIC_ORGANIZATION for known in store.everything(namespace)):
        return
    for known in store.proposals(namespace, ref):
        metadata = known.metadata
        if metadata.deleting and WITHDRAW_FINALIZER in metadata.finalizers:
            others = [name for name in metadata.finalizers if name != WITHDRAW_FINALIZER]
            involved = Involved(known.kind, namespace, metadata.name, metadata.uid)
            await kube.set_finalizers(involved, metadata.resource_version, others)


async def _set_finalizer(
    kube: KubeClient,
    store: ObjectStore,
    organization: FabricOrganization,
    observed: ProposalObserved,
    *,
    present: bool,
) -> bool:
    namespace = organization.metadata.namespace
    manifest = _objects(store, namespace, observed).manifest
    if manifest is None:
        return False
    metadata = manifest.metadata
    others = [name for name in metadata.finalizers if name != WITHDRAW_FINALIZER]
    wanted = [*others, WITHDRAW_FINALIZER] if present else others
    involved = Involved(manifest.kind, namespace, metadata.name, metadata.uid)
    return await kube.set_finalizers(involved, metadata.resource_version, wanted)


def _objects(store: ObjectStore, namespace: str, observed: ProposalObserved) -> Objects:
    return find_objects(store, namespace, observed.ref, observed.ledger_kind)
