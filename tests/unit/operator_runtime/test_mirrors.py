"""Mirrors of other organizations' proposals: what cannot be shown keeps nothing from being done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import observed

from opssc_chaincode.model import Facts
from opssc_operator.api.group import WITHDRAW_FINALIZER, Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.actions import CreateMirror
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.errors import OperatorError, TerminalError, TransientError
from opssc_operator.reconcile.mirrors import perform_object_actions, release_orphans
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from opssc_operator.kube.client import KubeClient

    from .conftest import Manifests


class Cluster:
    """An API server that takes or refuses mirrors."""

    def __init__(self, refusal: OperatorError | None = None) -> None:
        self.refusal = refusal
        self.applied = 0
        self.finalizers: list[list[str]] = []

    async def set_finalizers(self, involved: object, resource_version: str, finalizers: list[str]) -> bool:
        del involved, resource_version
        self.finalizers.append(finalizers)
        return True

    async def apply(self, kind: Kind, manifest: dict[str, Any]) -> None:
        del kind, manifest
        self.applied += 1
        if self.refusal is not None:
            raise self.refusal


def facts_with_indexes(count: int) -> Facts:
    content = ledger.chaincode_content()
    ccaas = content.package.ccaas
    assert ccaas is not None
    indexes = {f"indexes/{number}.json": "{" + " " * 9000 + "}" for number in range(count)}
    package = content.package.model_copy(update={"ccaas": ccaas.model_copy(update={"indexes": indexes})})
    document = ledger.document(content=content.model_copy(update={"package": package}))
    return Facts(proposal=ledger.proposal(document, creator="Org2MSP"))


async def mirror(cluster: Cluster, facts: Facts, manifests: Manifests) -> bool:
    store = ObjectStore()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    organization = store.organization("org1")
    assert organization is not None
    seen = observed(facts, manifest=None, mirror=None, mirror_wanted=True)
    decision = decide_proposal(seen)
    assert decision.object_actions == (CreateMirror(),)
    return await perform_object_actions(cast("KubeClient", cluster), store, organization, seen, decision)


async def test_a_proposal_too_large_for_an_object_is_not_mirrored(manifests: Manifests) -> None:
    cluster = Cluster()

    assert await mirror(cluster, facts_with_indexes(16), manifests) is False

    assert cluster.applied == 0


async def test_a_mirror_that_the_api_server_refuses_stops_nothing(manifests: Manifests) -> None:
    cluster = Cluster(TerminalError("KubernetesRejected", "spec: Invalid value"))

    assert await mirror(cluster, facts_with_indexes(1), manifests) is False

    assert cluster.applied == 1


@pytest.mark.parametrize(
    ("organization", "deleting", "released"),
    [
        pytest.param(None, True, True, id="nobody-is-left"),
        pytest.param(None, False, False, id="not-deleted"),
        pytest.param("valid", True, False, id="organization-there"),
        pytest.param("invalid", True, False, id="organization-unreadable"),
    ],
)
async def test_a_deleted_manifest_is_held_only_while_somebody_could_withdraw_it(
    organization: str | None, deleting: bool, released: bool, manifests: Manifests
) -> None:
    # Given
    store, cluster = ObjectStore(), Cluster()
    if organization is not None:
        body = manifests.organization()
        store.put(Kind.FABRIC_ORGANIZATION, body if organization == "valid" else body | {"spec": {"mspID": 1}})
    metadata: dict[str, object] = {"finalizers": ["example.com/other", WITHDRAW_FINALIZER]}
    if deleting:
        metadata["deletionTimestamp"] = "2026-11-21T09:30:00Z"
    known = manifests.proposal("basic", {}, **metadata)
    store.put(Kind.CHAINCODE_PROPOSAL, known)

    # When
    creator = "Org1MSP" if organization == "valid" else "?"
    await release_orphans(cast("KubeClient", cluster), store, "org1", ProposalRef(creator, "basic"))

    # Then
    assert cluster.finalizers == ([["example.com/other"]] if released else [])


async def test_an_api_server_that_cannot_be_reached_is_asked_again(manifests: Manifests) -> None:
    with pytest.raises(TransientError):
        await mirror(Cluster(TransientError("unreachable")), facts_with_indexes(1), manifests)
