"""A run about a channel: when its object is made, kept, refused and removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.fabric.authority import END
from unit.fabric.channel import PROFILE, build, load
from unit.operator_domain.test_content import CHANNEL
from unit.operator_ledger.clock import Clock

from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import MIRRORED, ORIGIN_LABEL, Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.membership import ShownMembership
from opssc_operator.domain.serverset import PACKAGE_ANNOTATION
from opssc_operator.errors import TransientError
from opssc_operator.kube.objects import SERVICES
from opssc_operator.ledger.inventory import ChannelInventory
from opssc_operator.ledger.removals import Removals
from opssc_operator.observability.metrics import METRICS
from opssc_operator.reconcile.channel import (
    LEAVING_SECONDS,
    MAX_FOLLOWED,
    REMOVED_SECONDS,
    SOONEST_SECONDS,
    ChannelReconciler,
)
from opssc_operator.reconcile.keys import channel_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.serverbook import NO_PACKAGE, ServerBook
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.sessions import CHANNEL_SECONDS, Sessions
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from opssc_operator.kube.client import KubeClient
    from opssc_operator.ledger.session import OrganizationSession

    from .conftest import Manifests

KEY = channel_key("org1", "mychannel")
OWNER = {"apiVersion": "opssc.dev/v1alpha1", "kind": "FabricOrganization", "name": "org1", "uid": "1"}
STANDING = {"observedGeneration": 1, "height": 7, "configSequence": 3}


class Cluster:
    """An API server that takes everything, and a watch that tells of what is made."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.written: list[tuple[str, dict[str, Any]]] = []
        self.deleted: list[str] = []

    async def apply(self, kind: Kind, manifest: dict[str, Any]) -> None:
        metadata = {"uid": "new", "resourceVersion": "9", "generation": 1, **manifest["metadata"]}
        body = {"apiVersion": "opssc.dev/v1alpha1", "kind": str(kind), **manifest, "metadata": metadata, "status": {}}
        self.store.put(kind, body)

    async def apply_status(self, kind: Kind, namespace: str, name: str, uid: str, status: dict[str, Any]) -> bool:
        del kind, namespace, uid
        self.written.append((name, status))
        return True

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        del kind, namespace, uid
        self.deleted.append(name)

    async def post_event(self, *arguments: object, **words: object) -> None:
        """Events are not looked at here."""


class Orderers:
    """Orderers that give this answer; None while there is none."""

    def __init__(self) -> None:
        self.asked = False
        self.answer: bool | None = None

    async def is_refused(self, channel: str, orderers: object) -> bool | None:
        del channel, orderers
        self.asked = True
        return self.answer


class Session:
    """An organization whose one peer has joined a channel without any chaincode, or whose peers are away."""

    msp_id = "Org1MSP"

    def __init__(self, *, joined: bool = True, failure: TransientError | None = None) -> None:
        self.inventory = self.reader = self.view = self
        self.admissions = Orderers()
        self.has_joined, self._failure = joined, failure
        self.followed: list[str] = []
        self.following = 0
        self.loaded = True
        self.refused, self.removed = set[str](), False
        self.shown: list[tuple[str, ShownMembership]] = []
        self.clock = Clock()
        self.removals = Removals(self.clock)

    async def joined(self, channel: str) -> bool:
        del channel
        if self._failure is not None:
            raise self._failure
        return self.has_joined

    async def look(self, channel: str) -> ChannelInventory:
        del channel
        return ChannelInventory(load(build(PROFILE)), 3, 9, ("peer0",), ())

    async def current(self, channel: str) -> Any:
        del channel
        return CHANNEL

    def follow_channel(self, channel: str) -> None:
        self.followed.append(channel)

    def is_refused(self, channel: str) -> bool:
        return channel in self.refused and self.removed

    def is_shut_out(self, channel: str) -> bool:
        return channel in self.refused

    def is_removed(self, channel: str) -> bool:
        del channel
        return self.removed

    def note_shown(self, channel: str, shown: ShownMembership) -> None:
        self.shown.append((channel, shown))

    def note_refused(self, channel: str, *, refused: bool) -> None:
        assert channel == "trade"
        self.refused = {"mychannel"} if refused else set()

    def refs(self) -> frozenset[ProposalRef]:
        return frozenset()

    def note_read(self, channel: str) -> None:
        """Whether that is news is not looked at here."""

    async def close(self) -> None:
        """Nothing is open."""


class Setup:
    """A namespace with an organization, and what a run needs."""

    def __init__(self, manifests: Manifests, session: Session) -> None:
        self.store = ObjectStore()
        self.store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
        self.queue = WorkQueue()
        self.sessions = Sessions(self.store, self.queue)
        self.sessions._open["org1"] = cast("OrganizationSession", session)
        self.cluster = Cluster(self.store)
        self.shelves = Shelves()
        servers = ServerBook(self.queue, self.store, self.shelves)
        self.reconciler = ChannelReconciler(cast("KubeClient", self.cluster), self.store, self.sessions, servers)

    def put(
        self, manifests: Manifests, name: str = "mychannel", *, own: bool = True, status: dict[str, Any] | None = None
    ) -> None:
        metadata = {"labels": {ORIGIN_LABEL: MIRRORED}, "ownerReferences": [OWNER]} if own else {}
        self.store.put(Kind.FABRIC_CHANNEL, manifests.channel(name, "mychannel", **metadata) | {"status": status or {}})


async def test_a_channel_that_is_joined_gets_an_object_and_is_followed(manifests: Manifests) -> None:
    setup = Setup(manifests, session := Session())

    await setup.reconciler.reconcile(KEY)

    ((name, status),) = setup.cluster.written
    assert (name, status["height"], status["configBlock"]) == ("mychannel", 9, 3)
    assert session.followed == ["mychannel"]
    made = setup.store.get(Kind.FABRIC_CHANNEL, "org1", "mychannel")
    assert made is not None
    assert made.metadata.mirrored


def shown_ends() -> dict[str, float]:
    """What the metric says of the channel, by consenter."""
    samples = (sample for family in METRICS.consenter_expiry.collect() for sample in family.samples)
    return {
        sample.labels["consenter"]: sample.value
        for sample in samples
        if (sample.labels["namespace"], sample.labels["channel"]) == ("org1", "mychannel")
    }


async def test_the_ends_of_consenters_are_shown_for_as_long_as_the_channel_is(manifests: Manifests) -> None:
    # Given
    setup = Setup(manifests, session := Session())

    # When
    await setup.reconciler.reconcile(KEY)

    # Then
    ((_, status),) = setup.cluster.written
    assert {item["type"]: item["status"] for item in status["conditions"]} == {
        "Ready": "True",
        "Member": "True",
        "ConsentersValid": "True",
    }
    assert shown_ends() == dict.fromkeys(("orderer1:7050", "orderer2:7050", "orderer3:7050"), END.timestamp())

    # And
    session.has_joined = False
    await setup.reconciler.reconcile(KEY)
    assert shown_ends() == {}


async def test_no_more_streams_than_there_may_be_are_opened_to_show_channels(manifests: Manifests) -> None:
    setup = Setup(manifests, session := Session())
    session.following = MAX_FOLLOWED

    await setup.reconciler.reconcile(KEY)

    assert session.followed == []
    assert len(setup.cluster.written) == 1


async def test_a_channel_that_no_peer_has_joined_any_more_loses_its_object(manifests: Manifests) -> None:
    setup = Setup(manifests, Session(joined=False))
    setup.put(manifests)
    setup.put(manifests, "mine", own=False)

    await setup.reconciler.reconcile(KEY)

    assert setup.cluster.deleted == ["mychannel"]


async def test_a_failure_to_look_keeps_what_stands_and_says_so(manifests: Manifests) -> None:
    # Given
    silence = TransientError("peer0: no answer in time", reason=Reason.PEER_UNREACHABLE)
    setup = Setup(manifests, Session(failure=silence))
    setup.put(manifests, status=STANDING)

    # When
    with pytest.raises(TransientError):
        await setup.reconciler.reconcile(KEY)

    # Then
    ((_, status),) = setup.cluster.written
    assert {name: status[name] for name in STANDING} == STANDING
    ready = {item["type"]: item for item in status["conditions"]}["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "PeerUnreachable")
    assert ready["message"] == "not up to date: peer0: no answer in time"


@pytest.mark.parametrize(
    ("refused", "removed", "status", "ready"),
    [
        pytest.param((), False, "True", "True", id="served"),
        pytest.param(("mychannel",), False, "Unknown", "True", id="refused-as-in-maintenance-mode"),
        pytest.param(("mychannel",), True, "False", "False", id="removed"),
    ],
)
async def test_what_orderers_refuse_is_told_apart_from_a_removal(
    manifests: Manifests, refused: tuple[str, ...], removed: bool, status: str, ready: str
) -> None:
    # Given
    session = Session()
    session.refused, session.removed = set(refused), removed
    setup = Setup(manifests, session)
    setup.put(manifests)

    # When
    await setup.reconciler.reconcile(KEY)

    # Then
    ((_, written),) = setup.cluster.written
    found = {item["type"]: item["status"] for item in written["conditions"]}
    assert (found["Member"], found["Ready"]) == (status, ready)


@pytest.mark.parametrize(
    ("refused", "removed", "answer", "asked", "again"),
    [
        pytest.param((), False, None, False, None, id="a-member-that-nothing-is-known-of"),
        pytest.param((), True, False, True, LEAVING_SECONDS, id="a-removal-was-accepted"),
        pytest.param((), True, True, True, REMOVED_SECONDS, id="it-has-been-carried-out"),
        pytest.param(("mychannel",), True, None, True, REMOVED_SECONDS, id="removed-and-no-orderer-answers"),
        pytest.param(("mychannel",), False, True, True, REMOVED_SECONDS, id="refused-as-in-maintenance-mode"),
        pytest.param(("mychannel",), False, False, True, None, id="let-in-again"),
    ],
)
async def test_orderers_are_asked_without_a_resync_where_they_refuse_or_may_do_so_soon(
    manifests: Manifests, refused: tuple[str, ...], *, removed: bool, answer: bool | None, asked: bool, again: float
) -> None:
    # Given
    session = Session()
    session.refused, session.removed, session.admissions.answer = set(refused), removed, answer
    setup = Setup(manifests, session)
    setup.put(manifests)

    # When
    result = await setup.reconciler.reconcile(KEY)

    # Then
    assert session.admissions.asked is asked
    assert session.shown == [("mychannel", ShownMembership(member=True, version=0, sequence=0))]
    assert result.requeue_after_seconds == again


async def test_a_removal_that_is_never_carried_out_is_looked_for_ever_more_rarely_until_there_is_news(
    manifests: Manifests,
) -> None:
    # Given
    session, pauses = Session(), list[float]()
    session.removed, session.admissions.answer = True, False
    setup = Setup(manifests, session)
    setup.put(manifests)

    async def look() -> float:
        seconds = (await setup.reconciler.reconcile(KEY)).requeue_after_seconds
        assert seconds is not None
        return seconds

    # When
    for _ in range(12):
        pauses.append(await look())
        session.clock.now += pauses[-1]
    session.removals.hear(ProposalRef("Org2MSP", "out"), "mychannel", 1)
    informed = await look()
    session.clock.now += 1000.0
    session.removed = False
    kept = (await setup.reconciler.reconcile(KEY)).requeue_after_seconds
    session.removed = True
    another = await look()

    # Then
    assert pauses[:2] == [LEAVING_SECONDS, LEAVING_SECONDS]
    assert pauses == sorted(pauses)
    assert pauses[-1] == REMOVED_SECONDS
    assert (informed, kept, another) == (LEAVING_SECONDS, None, LEAVING_SECONDS)


def said_removed(ago: timedelta) -> dict[str, Any]:
    """What an object says that has said for so long that this organization is no member."""
    since = (datetime.now(UTC) - ago).isoformat()
    said = {"type": "Member", "status": "False", "reason": "NotAMember", "lastTransitionTime": since}
    return {**STANDING, "conditions": [said]}


@pytest.mark.parametrize(
    ("ago", "earliest", "latest"),
    [
        pytest.param(timedelta(days=1), REMOVED_SECONDS, REMOVED_SECONDS, id="long-before"),
        pytest.param(timedelta(days=30) - timedelta(seconds=20), SOONEST_SECONDS, 20.0, id="it-is-about-to-end"),
        pytest.param(timedelta(days=31), REMOVED_SECONDS, REMOVED_SECONDS, id="it-is-over"),
    ],
)
async def test_a_channel_that_was_left_is_looked_at_when_its_retention_ends(
    manifests: Manifests, ago: timedelta, earliest: float, latest: float
) -> None:
    # Given
    session = Session()
    session.refused, session.removed = {"mychannel"}, True
    setup = Setup(manifests, session)
    setup.put(manifests, status=said_removed(ago))

    # When
    result = await setup.reconciler.reconcile(KEY)

    # Then
    assert result.requeue_after_seconds is not None
    assert earliest <= result.requeue_after_seconds <= latest


@pytest.mark.parametrize(
    ("ago", "mirrored", "woken"),
    [
        pytest.param(timedelta(days=29), True, [], id="within-the-retention"),
        pytest.param(timedelta(days=31), True, ["Org2MSP/basic", "asset:1"], id="after-it"),
        pytest.param(timedelta(days=31), False, ["asset:1"], id="without-a-mirror-that-is-left"),
    ],
)
async def test_who_has_left_the_consortium_has_servers_and_mirrors_looked_at(
    manifests: Manifests, ago: timedelta, *, mirrored: bool, woken: list[str]
) -> None:
    # Given: the governance channel, a server whose watch is there already, and somebody's proposal
    session = Session()
    session.refused, session.removed = {"ops-channel"}, True
    setup = Setup(manifests, session)
    known = manifests.channel("ops-channel", "ops-channel", labels={ORIGIN_LABEL: MIRRORED}, ownerReferences=[OWNER])
    setup.store.put(Kind.FABRIC_CHANNEL, known | {"status": said_removed(ago)})
    marks = {"labels": {ORIGIN_LABEL: MIRRORED}, "ownerReferences": [OWNER]} if mirrored else {}
    proposal = manifests.proposal("basic.org2msp", {"creator": "Org2MSP", "proposalID": "basic"}, **marks)
    setup.store.put(Kind.CHAINCODE_PROPOSAL, proposal)
    service = {"metadata": {"name": "asset", "namespace": "org1", "annotations": {PACKAGE_ANNOTATION: "asset:1"}}}
    setup.shelves.of("org1").put(SERVICES, service)

    # When
    await setup.reconciler.reconcile(channel_key("org1", "ops-channel"))

    # Then
    names = {(await setup.queue.get()).name for _ in range(setup.queue.ready)}
    assert sorted(names - {NO_PACKAGE}) == woken


async def test_an_object_that_somebody_else_made_is_refused_and_stays(manifests: Manifests) -> None:
    setup = Setup(manifests, Session())
    setup.put(manifests, own=False)

    await setup.reconciler.reconcile(KEY)

    ((name, status),) = setup.cluster.written
    assert name == "mychannel"
    assert {item["type"]: item["reason"] for item in status["conditions"]} == {
        "Ready": "InvalidSpec",
        "Stalled": "InvalidSpec",
    }
    assert setup.cluster.deleted == []


async def test_channels_that_are_new_or_gone_are_looked_at_and_at_a_resync_all(manifests: Manifests) -> None:
    # Given
    setup = Setup(manifests, Session())
    setup.put(manifests)
    sessions, queue = setup.sessions, setup.queue

    def asked() -> list[str]:
        found = []
        while (key := queue._schedule.take()) is not None:
            found.append(key.name)
            queue._schedule.done(key)
        return found

    # When and then
    sessions.show_channels("org1", frozenset({"mychannel", "other"}), anew=False)
    assert asked() == ["mychannel", "other"]
    sessions.show_channels("org1", frozenset({"mychannel", "other"}), anew=False)
    assert asked() == []
    sessions.show_channels("org1", frozenset({"mychannel", "other"}), anew=True)
    assert asked() == ["mychannel", "other"]
    sessions.show_channels("org1", frozenset({"other"}), anew=False)
    assert asked() == ["mychannel"]
    assert sessions.take_anew(KEY)
    assert not sessions.take_anew(KEY)
    sessions.ask_anew("org1", "mychannel")
    assert asked() == ["mychannel"]
    assert sessions.take_anew(KEY)


async def test_many_blocks_ask_for_one_look_at_their_channel(manifests: Manifests) -> None:
    setup = Setup(manifests, Session())

    for _ in range(100):
        setup.sessions._wake_channel("org1", "mychannel")

    assert (setup.queue.ready, setup.queue.delayed) == (0, 1)
    due = setup.queue._schedule.next_due()
    assert due is not None
    assert due <= setup.queue._clock() + CHANNEL_SECONDS
