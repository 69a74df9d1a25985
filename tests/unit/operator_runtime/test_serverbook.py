"""Claims on chaincode servers: what objects say, who is woken by a change, and whose objects are on the shelf."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from opssc_operator.api.chaincode_proposal import ChaincodeProposal
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.vote import Vote
from opssc_operator.domain.servers import Claim, Wish
from opssc_operator.kube.objects import DEPLOYMENTS, SERVICES
from opssc_operator.reconcile.keys import proposal_key, server_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.serverbook import ServerBook, read_wish
from opssc_operator.reconcile.servershelf import Shelf, Shelves
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from opssc_operator.reconcile.keys import Key

    from .conftest import Manifests

FIRST_ID, SECOND_ID = "asset-0123456789ab:" + "c" * 64, "asset-ba9876543210:" + "d" * 64
FIRST = Claim(FIRST_ID, ("mychannel", "asset", 1), Wish.RUN, ("2026-01",), committed=True)
SECOND = Claim(SECOND_ID, ("mychannel", "asset", 2), Wish.RUN, ("2026-02",))
KEYS = [proposal_key("org1", f"Org1MSP/asset-{number}") for number in (1, 2)]
IMAGE = {"name": "example.com/asset", "digest": f"sha256:{'0' * 64}"}
CCAAS = {"label": "asset-0123456789ab", "image": IMAGE, "connection": {"port": 9999}}
PACKAGE = {"type": "ccaas", "ccaas": CCAAS}


async def woken(queue: WorkQueue) -> set[Key]:
    keys = [await queue.get() for _ in range(queue.ready)]
    for key in keys:
        queue.done(key)
    return set(keys)


@pytest.mark.parametrize(
    ("server", "local", "keeps", "expected"),
    [
        pytest.param(None, None, False, Wish.DEFAULT, id="a-manifest-that-says-nothing"),
        pytest.param(None, None, True, Wish.UNSAID, id="nothing-said-where-the-package-is-kept"),
        pytest.param({"deploy": True}, None, False, Wish.RUN, id="manifest"),
        pytest.param({"deploy": False}, None, False, Wish.STOP, id="manifest-stops"),
        pytest.param({"deploy": True}, {"deploy": False}, False, Wish.STOP, id="the-vote-before-the-manifest"),
        pytest.param(None, {"deploy": True, "replicas": 2}, False, Wish.RUN, id="vote"),
    ],
)
def test_what_objects_say(
    manifests: Manifests,
    server: dict[str, Any] | None,
    local: dict[str, Any] | None,
    keeps: bool,
    expected: Wish,
) -> None:
    # Given
    stated = manifests.proposal("asset-1", {"package": PACKAGE, **({} if server is None else {"server": server})})
    vote = manifests.vote("asset-1", "Org1MSP", "asset-1")
    if local is not None:
        vote["spec"]["local"] = {"server": local}

    # When
    wish, settings, said = read_wish(
        ChaincodeProposal.model_validate(stated), [Vote.model_validate(vote)], keeps_package=keeps
    )

    # Then
    assert wish is expected
    assert settings.deploy is (expected is Wish.RUN)
    assert said


async def test_a_commit_wakes_what_it_replaces(manifests: Manifests) -> None:
    # Given
    queue = WorkQueue()
    book = ServerBook(queue, ObjectStore(), Shelves())
    organization = FabricOrganization.model_validate(manifests.organization())
    book.note(KEYS[0], FIRST, organization)
    book.note(KEYS[1], SECOND, organization)
    assert await woken(queue) == {server_key("org1", FIRST_ID), server_key("org1", SECOND_ID)}

    # When
    book.note(KEYS[1], SECOND, organization)
    unchanged = await woken(queue)
    book.note(KEYS[1], replace(SECOND, committed=True), organization)

    # Then
    assert unchanged == set()
    assert await woken(queue) == {server_key("org1", SECOND_ID), KEYS[0]}


async def test_other_settings_of_the_organization_concern_every_server(manifests: Manifests) -> None:
    # Given
    queue = WorkQueue()
    book = ServerBook(queue, ObjectStore(), Shelves())
    book.note(KEYS[0], FIRST, FabricOrganization.model_validate(manifests.organization()))
    await woken(queue)

    # When: a claim that stands is noted again for the changed organization
    book.note(KEYS[0], FIRST, FabricOrganization.model_validate(manifests.organization(generation=2)))

    # Then
    assert await woken(queue) == {server_key("org1", FIRST_ID)}


async def test_a_problem_is_told_once_to_who_claims_the_server(manifests: Manifests) -> None:
    # Given
    queue = WorkQueue()
    book = ServerBook(queue, ObjectStore(), Shelves())
    book.note(KEYS[0], FIRST, FabricOrganization.model_validate(manifests.organization()))
    await woken(queue)

    # When
    book.set_problem("org1", FIRST_ID, "in the way")
    first = await woken(queue)
    book.set_problem("org1", FIRST_ID, "in the way")

    # Then
    assert (first, await woken(queue)) == ({KEYS[0]}, set())


def body(name: str, version: int, *, uid: str = "1", **spec: Any) -> dict[str, Any]:
    annotations = {"opssc.dev/package-id": FIRST_ID}
    metadata = {"name": name, "uid": uid, "resourceVersion": str(version), "annotations": annotations}
    return {"metadata": metadata, "spec": spec}


def test_only_what_is_as_it_was_applied_stands() -> None:
    # Given
    shelf, manifest = Shelf(), {"metadata": {"name": "asset"}, "spec": {"replicas": 1}}
    shelf.applied(DEPLOYMENTS, manifest, body("asset", 5, replicas=1))

    # When: a status, an older event, and then an edit
    shelf.put(DEPLOYMENTS, {**body("asset", 6, replicas=1), "status": {"readyReplicas": 1}})
    shelf.put(DEPLOYMENTS, body("asset", 4, replicas=9))
    standing = shelf.stands(DEPLOYMENTS, manifest)
    shelf.put(DEPLOYMENTS, body("asset", 7, replicas=9))

    # Then
    assert standing
    assert not shelf.stands(DEPLOYMENTS, manifest)
    assert not shelf.is_untouched(DEPLOYMENTS, "asset")


def test_a_deleted_object_is_forgotten_and_its_successor_is_not() -> None:
    shelf = Shelf()
    shelf.put(SERVICES, body("asset", 5, uid="2"))

    shelf.drop(SERVICES, body("asset", 4, uid="1"))
    kept = shelf.get(SERVICES, "asset")
    shelf.replace(SERVICES, [])

    assert kept is not None
    assert shelf.packages() == set()
