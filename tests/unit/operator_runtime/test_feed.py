"""The feed: which keys an event wakes, and which it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from opssc_operator.api.group import Kind
from opssc_operator.kube.client import Listing
from opssc_operator.reconcile.feed import Feed
from opssc_operator.reconcile.keys import Key, channel_key, organization_key, proposal_key, sweep_key
from opssc_operator.reconcile.store import ObjectStore
from opssc_operator.reconcile.sweep import SweepReconciler

if TYPE_CHECKING:
    from .conftest import Manifests

ORGANIZATION = organization_key("org1", "org1")


class Setup:
    """A feed and what it enqueued since last asked."""

    def __init__(self) -> None:
        self.store = ObjectStore()
        self._keys: list[Key] = []
        self.feed = Feed(self.store, self._keys.append)

    def woken(self) -> list[Key]:
        keys, self._keys[:] = list(self._keys), []
        return keys


@pytest.fixture
def setup(manifests: Manifests) -> Setup:
    """One organization with one proposal of its own, and nothing enqueued."""
    setup = Setup()
    setup.feed.saw(Kind.FABRIC_ORGANIZATION, None, manifests.organization())
    setup.feed.saw(Kind.CHAINCODE_PROPOSAL, None, manifests.proposal("basic"))
    assert setup.woken() == [ORGANIZATION, proposal_key("org1", "Org1MSP/basic")]
    return setup


def changed(body: dict[str, Any], version: str, **parts: dict[str, Any]) -> dict[str, Any]:
    result = body | {key: body[key] | value for key, value in parts.items()}
    return result | {"metadata": result["metadata"] | {"resourceVersion": version}}


def test_a_vote_wakes_its_proposal_whether_or_not_there_is_one(setup: Setup, manifests: Manifests) -> None:
    setup.feed.saw(Kind.VOTE, "ADDED", manifests.vote("agreed", "Org9MSP", "unheard-of"))

    assert setup.woken() == [proposal_key("org1", "Org9MSP/unheard-of")]


def test_an_object_of_a_channel_wakes_the_channel_it_is_for_when_it_comes_and_goes(
    setup: Setup, manifests: Manifests
) -> None:
    body = manifests.channel("0-abc-a", "a..b")

    setup.feed.saw(Kind.FABRIC_CHANNEL, "ADDED", body)
    setup.feed.saw(Kind.FABRIC_CHANNEL, "DELETED", body)

    assert setup.woken() == [channel_key("org1", "a..b")] * 2


def test_the_echo_of_an_own_status_write_wakes_nobody(setup: Setup, manifests: Manifests) -> None:
    answer = changed(manifests.proposal("basic"), "2", status={"observedGeneration": 1})

    setup.feed.wrote(Kind.CHAINCODE_PROPOSAL, answer)
    setup.feed.saw(Kind.CHAINCODE_PROPOSAL, "MODIFIED", answer)

    assert setup.woken() == []
    [known] = setup.store.proposals_all("org1")
    assert known.status == {"observedGeneration": 1}


def test_an_echo_that_overtakes_the_answer_wakes_nobody_either(setup: Setup, manifests: Manifests) -> None:
    body = changed(manifests.proposal("basic"), "2", status={"observedGeneration": 1})

    setup.feed.writing(Kind.CHAINCODE_PROPOSAL, "org1", "basic", {"observedGeneration": 1})
    setup.feed.saw(Kind.CHAINCODE_PROPOSAL, "MODIFIED", body)
    setup.feed.wrote(Kind.CHAINCODE_PROPOSAL, body)

    assert setup.woken() == []
    assert setup.store.proposals_all("org1")[0].status == {"observedGeneration": 1}


def test_a_foreign_status_that_comes_during_an_own_write_wakes_the_proposal(setup: Setup, manifests: Manifests) -> None:
    setup.feed.writing(Kind.CHAINCODE_PROPOSAL, "org1", "basic", {"observedGeneration": 1})

    body = changed(manifests.proposal("basic"), "2", status={"observedGeneration": 9})
    setup.feed.saw(Kind.CHAINCODE_PROPOSAL, "MODIFIED", body)

    assert setup.woken() == [proposal_key("org1", "Org1MSP/basic")]


def test_the_late_echo_of_an_earlier_own_write_neither_wakes_nor_turns_back_time(
    setup: Setup, manifests: Manifests
) -> None:
    first = changed(manifests.proposal("basic"), "2", status={"observedGeneration": 1})
    second = changed(manifests.proposal("basic"), "3", status={"observedGeneration": 2})
    setup.feed.wrote(Kind.CHAINCODE_PROPOSAL, first)
    setup.feed.wrote(Kind.CHAINCODE_PROPOSAL, second)

    setup.feed.saw(Kind.CHAINCODE_PROPOSAL, "MODIFIED", first)

    assert setup.woken() == []
    assert setup.store.proposals_all("org1")[0].status == {"observedGeneration": 2}


def test_a_status_written_by_somebody_else_wakes_the_proposal(setup: Setup, manifests: Manifests) -> None:
    body = changed(manifests.proposal("basic"), "2", status={"observedGeneration": 99})

    setup.feed.saw(Kind.CHAINCODE_PROPOSAL, "MODIFIED", body)

    assert setup.woken() == [proposal_key("org1", "Org1MSP/basic")]


def test_an_edit_first_seen_in_the_answer_to_an_own_write_wakes_the_proposal(
    setup: Setup, manifests: Manifests
) -> None:
    answer = changed(manifests.proposal("basic"), "3", status={"observedGeneration": 1}, spec={"suspend": True})

    setup.feed.wrote(Kind.CHAINCODE_PROPOSAL, answer)

    assert setup.woken() == [proposal_key("org1", "Org1MSP/basic")]


def test_an_answer_that_comes_after_the_deletion_brings_nothing_back(setup: Setup, manifests: Manifests) -> None:
    body = manifests.proposal("basic")
    setup.feed.saw(Kind.CHAINCODE_PROPOSAL, "DELETED", body)
    setup.woken()

    setup.feed.wrote(Kind.CHAINCODE_PROPOSAL, changed(body, "2", status={"observedGeneration": 1}))

    assert setup.store.proposals_all("org1") == ()
    assert setup.woken() == []


def test_a_changed_organization_wakes_everything_in_its_namespace(setup: Setup, manifests: Manifests) -> None:
    setup.feed.saw(Kind.FABRIC_ORGANIZATION, "MODIFIED", changed(manifests.organization(), "2", spec={"suspend": True}))

    assert setup.woken() == [ORGANIZATION, proposal_key("org1", "Org1MSP/basic")]


def test_an_organization_whose_labels_change_wakes_only_itself(setup: Setup, manifests: Manifests) -> None:
    body = changed(manifests.organization(), "2", metadata={"labels": {"team": "a"}})

    setup.feed.saw(Kind.FABRIC_ORGANIZATION, "MODIFIED", body)

    assert setup.woken() == [ORGANIZATION]


def test_when_the_organization_goes_its_proposals_are_woken_under_both_names(
    setup: Setup, manifests: Manifests
) -> None:
    setup.feed.saw(Kind.FABRIC_ORGANIZATION, "DELETED", manifests.organization())

    assert setup.woken() == [
        ORGANIZATION,
        proposal_key("org1", "?/basic"),
        proposal_key("org1", "Org1MSP/basic"),
    ]


def test_a_name_used_for_another_proposal_wakes_the_old_and_the_new(setup: Setup, manifests: Manifests) -> None:
    body = manifests.proposal("basic", {"proposalID": "basic-2"}, uid="new", resourceVersion="2")

    setup.feed.saw(Kind.CHAINCODE_PROPOSAL, "ADDED", body)

    assert setup.woken() == [proposal_key("org1", "Org1MSP/basic"), proposal_key("org1", "Org1MSP/basic-2")]


def test_a_resync_wakes_everything_once(setup: Setup, manifests: Manifests) -> None:
    setup.feed.saw(Kind.VOTE, "ADDED", manifests.vote("agreed", "Org1MSP", "basic"))
    setup.woken()

    setup.feed.resync("org1")

    assert setup.woken() == [ORGANIZATION, proposal_key("org1", "Org1MSP/basic")]


class Lister:
    """An API server that holds the given proposals."""

    def __init__(self, resource_version: str, uids: dict[str, str]) -> None:
        self._listing = Listing(resource_version, uids)

    async def list_uids(self, kind: Kind, _namespace: str) -> Listing | None:
        return self._listing if kind is Kind.CHAINCODE_PROPOSAL else None


@pytest.mark.parametrize(
    ("listing", "remaining"),
    [
        pytest.param(Lister("5", {}), [], id="gone"),
        pytest.param(Lister("5", {"basic": "uid of basic"}), ["basic"], id="still there"),
        pytest.param(Lister("5", {"basic": "another"}), [], id="replaced"),
        pytest.param(Lister("0", {}), ["basic"], id="made after the listing"),
    ],
)
async def test_a_sweep_drops_what_vanished_unnoticed(setup: Setup, listing: Lister, remaining: list[str]) -> None:
    result = await SweepReconciler(listing, setup.feed, period_seconds=5).reconcile(sweep_key("org1"))

    assert result.requeue_after_seconds == 5
    assert [known.metadata.name for known in setup.store.proposals_all("org1")] == remaining
    assert setup.woken() == ([] if remaining else [proposal_key("org1", "Org1MSP/basic")])
