"""A run about a FabricOrganization: what it says, and whom it wakes, when its surroundings fail and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from opssc_operator.api.group import Kind
from opssc_operator.domain.organization import PeerLook, reach_of
from opssc_operator.errors import AccessDenied
from opssc_operator.reconcile.keys import organization_key
from opssc_operator.reconcile.organization import RETRY_SECONDS, OrganizationReconciler
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.sessions import Sessions
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from opssc_operator.kube.client import KubeClient

    from .conftest import Manifests

ONE = PeerLook("peer0", "peer0:7051", ("mychannel",))
OTHER = PeerLook("peer1", "peer1:7051", ("mychannel",))


class Cluster:
    """An API server that lets nobody read Secrets."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    async def get_secret(self, namespace: str, name: str) -> None:
        raise AccessDenied(f"the operator may not get secrets {namespace}/{name}")

    async def apply_status(self, kind: Kind, namespace: str, name: str, uid: str, status: dict[str, Any]) -> bool:
        del kind, namespace, name, uid
        self.written.append(status)
        return True

    async def post_event(self, *arguments: object, **words: object) -> None:
        """Events are not looked at here."""


async def test_a_secret_that_may_not_be_read_is_a_condition_and_tried_again(manifests: Manifests) -> None:
    # Given
    store, cluster, queue = ObjectStore(), Cluster(), WorkQueue()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic"))
    sessions = Sessions(store, queue)
    reconciler = OrganizationReconciler(cast("KubeClient", cluster), store, sessions)

    # When
    result = await reconciler.reconcile(organization_key("org1", "org1"))

    # Then
    conditions = {item["type"]: item for item in cluster.written[-1]["conditions"]}
    assert conditions["IdentityReady"]["reason"] == "SecretNotFound"
    assert "may not get secrets org1/admin" in conditions["Ready"]["message"]
    assert result.requeue_after_seconds == RETRY_SECONDS
    assert queue.ready == 1


@pytest.mark.parametrize(
    ("before", "now", "gained"),
    [
        pytest.param((ONE,), (ONE,), False, id="same"),
        pytest.param((ONE, PeerLook("peer1", "peer1:7051", problem="down")), (ONE, OTHER), True, id="back"),
        pytest.param((ONE, OTHER), (ONE,), False, id="lost"),
        pytest.param(
            (ONE,), (PeerLook("peer0", "peer0:7051", ("mychannel", "other")),), True, id="joined-another-channel"
        ),
    ],
)
def test_only_what_is_gained_is_news(before: tuple[PeerLook, ...], now: tuple[PeerLook, ...], gained: bool) -> None:
    assert bool(reach_of(now) - reach_of(before)) is gained
