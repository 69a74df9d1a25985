"""Which of several objects of one name stands for the proposal, when they are of different kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.reconcile.objects import find_objects, judge_duplicate
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from .conftest import Manifests

REF = ProposalRef("Org1MSP", "basic")


def charter(manifests: Manifests, name: str, **metadata: object) -> dict[str, Any]:
    body = manifests.proposal(name, None, **metadata)
    return body | {"kind": "CharterProposal", "spec": {"proposalID": REF.id, "charter": {}}}


@pytest.mark.parametrize(
    ("on_ledger", "stands", "reason"),
    [
        pytest.param(None, Kind.CHAINCODE_PROPOSAL, Reason.CONTENT_CONFLICT, id="the-older-while-not-proposed"),
        pytest.param(LedgerKind.CHAINCODE, Kind.CHAINCODE_PROPOSAL, Reason.CONTENT_CONFLICT, id="chaincode"),
        pytest.param(LedgerKind.CHARTER, Kind.CHARTER_PROPOSAL, Reason.CONTENT_CONFLICT, id="charter"),
        pytest.param(LedgerKind.CHANNEL, Kind.CHAINCODE_PROPOSAL, Reason.CONTENT_CONFLICT, id="neither"),
    ],
)
def test_the_manifest_of_the_proposal_s_kind_stands_for_it_and_the_other_is_told(
    on_ledger: LedgerKind | None, stands: Kind, reason: Reason, manifests: Manifests
) -> None:
    # Given: the chaincode's manifest is the older one
    store = ObjectStore()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic"))
    store.put(Kind.CHARTER_PROPOSAL, charter(manifests, "later", creationTimestamp="2026-11-21T09:30:00Z"))

    # When
    objects = find_objects(store, "org1", REF, on_ledger)

    # Then
    assert objects.manifest is not None
    assert objects.manifest.kind is stands
    (other,) = objects.duplicates
    verdict = judge_duplicate(other, objects)
    assert (verdict.status, verdict.reason) == ("False", reason)
    assert str(stands) in verdict.message


def test_two_manifests_of_one_kind_are_duplicates(manifests: Manifests) -> None:
    # Given
    store = ObjectStore()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    for name, second in (("one", 0), ("two", 1)):
        created = f"2026-11-21T09:30:0{second}Z"
        store.put(Kind.CHARTER_PROPOSAL, charter(manifests, name, creationTimestamp=created))

    # When
    objects = find_objects(store, "org1", REF, LedgerKind.CHARTER)

    # Then
    assert objects.manifest is not None
    assert objects.manifest.metadata.name == "one"
    assert judge_duplicate(objects.duplicates[0], objects).reason is Reason.DUPLICATE_MANIFEST
