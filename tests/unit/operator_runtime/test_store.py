"""The object store: what reconcilers see of the cluster."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.reconcile.store import Change, Invalid, ObjectStore

if TYPE_CHECKING:
    from .conftest import Manifests

BASIC = ProposalRef("Org1MSP", "basic")


def names(found: tuple[object, ...]) -> list[str]:
    return [known.metadata.name for known in found]  # type: ignore[attr-defined]


def test_a_proposal_is_found_under_the_own_msp_id_only_while_the_organization_is_known(manifests: Manifests) -> None:
    store = ObjectStore()
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic"))
    unknown = store.proposals("org1", BASIC), store.proposals("org1", ProposalRef("?", "basic"))

    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())

    assert [names(found) for found in unknown] == [[], ["basic"]]
    assert names(store.proposals("org1", BASIC)) == ["basic"]


def test_manifest_observer_and_votes_meet_under_one_proposal(manifests: Manifests) -> None:
    store = ObjectStore()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    spec = {"creator": "Org2MSP", "proposalID": "theirs"}
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("observer", spec))
    store.put(Kind.VOTE, manifests.vote("agreed", "Org2MSP", "theirs"))
    store.put(Kind.VOTE, manifests.vote("elsewhere", "Org1MSP", "theirs"))

    ref = ProposalRef("Org2MSP", "theirs")

    assert names(store.proposals("org1", ref)) == ["observer"]
    assert names(store.votes("org1", ref)) == ["agreed"]


def test_of_two_votes_the_older_comes_first(manifests: Manifests) -> None:
    store = ObjectStore()
    store.put(Kind.VOTE, manifests.vote("a", "Org1MSP", "basic", creationTimestamp="2026-11-21T10:00:00Z"))
    store.put(Kind.VOTE, manifests.vote("b", "Org1MSP", "basic", creationTimestamp="2026-11-21T09:59:59Z"))

    assert names(store.votes("org1", BASIC)) == ["b", "a"]


def test_the_oldest_organization_owns_the_namespace(manifests: Manifests) -> None:
    store = ObjectStore()
    store.put(
        Kind.FABRIC_ORGANIZATION, manifests.organization("late", "Org2MSP", creationTimestamp="2026-11-21T10:00:00Z")
    )
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization("early", "Org1MSP"))

    owner = store.organization("org1")

    assert owner is not None
    assert owner.metadata.name == "early"
    assert names(store.organizations("org1")) == ["early", "late"]
    assert store.organization("elsewhere") is None


@pytest.mark.parametrize(
    ("kind", "spec", "ref"),
    [
        pytest.param(Kind.CHAINCODE_PROPOSAL, {"channel": 7}, ProposalRef("?", "broken"), id="a proposal of our own"),
        pytest.param(
            Kind.CHAINCODE_PROPOSAL,
            {"creator": "Org2MSP", "proposalID": "theirs", "channel": None},
            ProposalRef("Org2MSP", "theirs"),
            id="a proposal of another",
        ),
        pytest.param(Kind.CHAINCODE_PROPOSAL, [1], ProposalRef("?", "broken"), id="a spec that is no object"),
        pytest.param(
            Kind.VOTE, {"proposal": {"creator": "Org2MSP", "id": 5}}, ProposalRef("Org2MSP", "broken"), id="a vote"
        ),
        pytest.param(Kind.FABRIC_ORGANIZATION, {}, None, id="an organization"),
    ],
)
def test_an_object_its_model_refuses_is_kept_with_the_reason(
    manifests: Manifests, kind: Kind, spec: object, ref: ProposalRef | None
) -> None:
    store = ObjectStore()
    body = manifests.proposal("broken") | {"kind": kind.value, "spec": spec}

    store.put(kind, body)

    known = store.get(kind, "org1", "broken")
    assert isinstance(known, Invalid)
    assert known.ref == ref
    assert "spec" in known.message
    if ref is not None:
        assert names(store.invalid("org1", ref)) == ["broken"]


def test_an_object_that_becomes_valid_is_no_longer_invalid(manifests: Manifests) -> None:
    store = ObjectStore()
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic", {"channel": 7}))

    change = store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic", resourceVersion="2"))

    assert change is Change.CONTENT
    assert store.invalid("org1", ProposalRef("?", "basic")) == ()
    assert names(store.proposals("org1", ProposalRef("?", "basic"))) == ["basic"]


def test_what_is_older_than_the_known_state_is_left_out(manifests: Manifests) -> None:
    store = ObjectStore()
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic", {"suspend": True}, resourceVersion="10"))

    change = store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic", resourceVersion="9"))

    assert change is Change.NOTHING
    [known] = store.proposals_all("org1")
    assert known.spec.suspend is True


@pytest.mark.parametrize(
    ("update", "change"),
    [
        pytest.param({}, Change.NOTHING, id="only the resource version"),
        pytest.param({"metadata": {"managedFields": []}}, Change.NOTHING, id="only the bookkeeping of fields"),
        pytest.param({"status": {"observedGeneration": 1}}, Change.STATUS, id="the status"),
        pytest.param({"metadata": {"labels": {"a": "b"}}}, Change.CONTENT, id="a label"),
        pytest.param({"metadata": {"finalizers": ["opssc.dev/withdraw"]}}, Change.CONTENT, id="a finalizer"),
        pytest.param({"metadata": {"deletionTimestamp": "2026-11-21T11:00:00Z"}}, Change.CONTENT, id="the deletion"),
        pytest.param({"metadata": {"uid": "another"}}, Change.CONTENT, id="another object of that name"),
        pytest.param({"spec": {"suspend": True}}, Change.CONTENT, id="the spec"),
    ],
)
def test_a_change_is_told_from_a_status_and_from_nothing(
    manifests: Manifests, update: dict[str, dict[str, object]], change: Change
) -> None:
    store = ObjectStore()
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic"))
    body = manifests.proposal("basic", resourceVersion="2")

    assert (
        store.put(
            Kind.CHAINCODE_PROPOSAL,
            {key: value | update.get(key, {}) for key, value in body.items() if isinstance(value, dict)}
            | {"kind": body["kind"]},
        )
        is change
    )


def test_a_version_told_twice_is_read_once(manifests: Manifests) -> None:
    store = ObjectStore()
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic", resourceVersion="5"))
    [known] = store.proposals_all("org1")

    assert store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic", resourceVersion="5")) is Change.NOTHING

    assert store.proposals_all("org1") == (known,)
    assert store.proposals_all("org1")[0] is known


def test_only_the_object_with_the_uid_is_removed(manifests: Manifests) -> None:
    store = ObjectStore()
    store.put(Kind.VOTE, manifests.vote("agreed", "Org1MSP", "basic", uid="new"))

    assert store.remove(Kind.VOTE, "org1", "agreed", "old") is None
    assert names(store.votes("org1", BASIC)) == ["agreed"]

    assert store.remove(Kind.VOTE, "org1", "agreed", "new") is not None
    assert store.votes("org1", BASIC) == ()
    assert store.count(Kind.VOTE) == 0


async def test_an_object_just_made_is_waited_for_until_the_watch_tells_of_it(manifests: Manifests) -> None:
    store = ObjectStore()
    waiting = asyncio.create_task(store.wait_for(Kind.VOTE, "org1", "agreed", timeout_seconds=30.0))
    await asyncio.sleep(0)
    assert not waiting.done()

    store.put(Kind.VOTE, manifests.vote("other", "Org1MSP", "basic"))
    store.put(Kind.VOTE, manifests.vote("agreed", "Org1MSP", "basic"))

    assert await waiting
    assert await store.wait_for(Kind.VOTE, "org1", "agreed", timeout_seconds=0.0)


async def test_waiting_for_an_object_that_never_comes_ends() -> None:
    assert not await ObjectStore().wait_for(Kind.VOTE, "org1", "agreed", timeout_seconds=0.01)


def test_texts_that_are_alike_are_kept_once(manifests: Manifests) -> None:
    # Given
    store = ObjectStore()
    message = "waiting for Org2MSP (1/2)"
    for name in ("first", "second"):
        body = manifests.proposal(name)
        body["status"] = {"conditions": [{"message": message}], "long": "x" * 1000}
        # When
        store.put(Kind.CHAINCODE_PROPOSAL, json.loads(json.dumps(body)))

    # Then
    first, second = store.proposals_all("org1")
    told = [dict(known.status)["conditions"] for known in (first, second)]
    assert told == [[{"message": message}]] * 2
    assert told[0][0]["message"] is told[1][0]["message"]  # type: ignore[index,call-overload]
