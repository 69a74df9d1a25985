"""What is cleared up for an organization that was removed: nothing before the retention, and nothing still in use."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.operator_channels.changes import ORG1, ORG2, leaving
from unit.operator_channels.proposals import agreed, observed, proposed, reported
from unit.operator_runtime.fetching import no_packages

from fabric_admin.definition import ChaincodeReference, InstalledChaincode
from opssc_chaincode.model import Evidence, Step
from opssc_operator.api.channel import FabricChannel
from opssc_operator.api.group import MIRRORED, ORIGIN_LABEL, Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.errors import OperatorError, TerminalError, TransientError
from opssc_operator.ledger.removals import Removals
from opssc_operator.reconcile.keys import proposal_key
from opssc_operator.reconcile.kinds.workers import build_workers
from opssc_operator.reconcile.leaving import is_refusal, is_refused_on, recall_removals, remove_mirrors
from opssc_operator.reconcile.proposal import ProposalReconciler
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.reports import ReportBook
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.store import ObjectStore

from .test_servers import LABEL, MANY, PACKAGE_ID, SERVER, Ground, claim, outline

if TYPE_CHECKING:
    from opssc_operator.domain.observation import ProposalObserved
    from opssc_operator.kube.client import KubeClient
    from opssc_operator.ledger.session import OrganizationSession

    from .conftest import Manifests

LONG_AGO = timedelta(days=40)
"""Longer than mirrors are retained by default."""
OWNER = {"apiVersion": "opssc.dev/v1alpha1", "kind": "FabricOrganization", "name": "org1", "uid": "1"}


def channel(name: str, *, removed: timedelta | None) -> dict[str, Any]:
    """The operator's object of a channel, which says since when the organization is no member."""
    condition: dict[str, Any] = {"type": "Member", "status": "True", "reason": "Joined"}
    if removed is not None:
        since = (datetime.now(UTC) - removed).isoformat()
        condition = {"type": "Member", "status": "False", "reason": "NotAMember", "lastTransitionTime": since}
    metadata = {"name": name, "namespace": "org1", "uid": name, "resourceVersion": "1", "generation": 1}
    marks = {"labels": {ORIGIN_LABEL: MIRRORED}, "ownerReferences": [OWNER]}
    return {
        "apiVersion": "opssc.dev/v1alpha1",
        "kind": "FabricChannel",
        "metadata": {**metadata, **marks},
        "spec": {"channel": name},
        "status": {"conditions": [condition]},
    }


class Peer:
    """An own peer on which committed definitions of some channels use the package."""

    name = "peer0"

    def __init__(self, *channels: str) -> None:
        self.lifecycle = self
        self._references = {name: (ChaincodeReference("asset", "1.0"),) for name in channels}

    async def query_installed(self, *, timeout_seconds: float) -> tuple[InstalledChaincode, ...]:
        del timeout_seconds
        return (InstalledChaincode(PACKAGE_ID, LABEL, self._references),)


@pytest.mark.parametrize(
    ("governance", "application", "used_by", "refused", "removed", "replicas"),
    [
        pytest.param(LONG_AGO, LONG_AGO, ("mychannel",), True, True, [], id="left-for-good"),
        pytest.param(LONG_AGO, LONG_AGO, ("mychannel",), False, True, [3], id="not-refused-since-the-start"),
        pytest.param(LONG_AGO, LONG_AGO, ("mychannel",), True, False, [3], id="readmitted-and-in-maintenance-mode"),
        pytest.param(LONG_AGO, LONG_AGO, ("mychannel", "other"), True, True, [3], id="used-by-another-channel"),
        pytest.param(LONG_AGO, None, ("mychannel",), True, True, [3], id="still-a-member-there"),
        pytest.param(LONG_AGO, timedelta(), ("mychannel",), True, True, [3], id="removed-there-just-now"),
        pytest.param(timedelta(), LONG_AGO, ("mychannel",), True, True, [3], id="left-the-consortium-just-now"),
        pytest.param(None, LONG_AGO, ("mychannel",), True, True, [3], id="governance-is-away-for-another-reason"),
    ],
)
async def test_without_the_consortium_a_server_goes_when_no_channel_that_is_left_uses_it(
    manifests: Manifests,
    *,
    governance: timedelta | None,
    application: timedelta | None,
    used_by: tuple[str, ...],
    refused: bool,
    removed: bool,
    replicas: list[int],
) -> None:
    async with Ground.open(manifests) as ground:
        # Given
        ground.run_before(MANY)
        ground.store.put(Kind.FABRIC_CHANNEL, channel("ops-channel", removed=governance))
        ground.store.put(Kind.FABRIC_CHANNEL, channel("mychannel", removed=application))
        session = SimpleNamespace(
            peers=SimpleNamespace(all=(Peer(*used_by),)),
            is_shut_out=lambda _: refused,
            is_removed=lambda _: removed,
        )
        sessions = cast("Any", SimpleNamespace(ready=lambda _: None, get=lambda _: session))

        # When
        await replace(ground.reconciler, sessions=sessions).reconcile(SERVER)

        # Then
        assert ground.replicas == replicas


@pytest.mark.parametrize(
    ("removed", "replicas"),
    [pytest.param(LONG_AGO, [], id="left-for-good"), pytest.param(timedelta(), [3], id="just-removed")],
)
async def test_what_proposals_for_a_channel_ask_for_counts_until_it_is_left_for_good(
    manifests: Manifests, removed: timedelta, replicas: list[int]
) -> None:
    known = outline(1, package_id=PACKAGE_ID)
    async with Ground.open(manifests, known) as ground:
        # Given
        ground.note(known, claim(1, MANY))
        ground.run_before(MANY)
        ground.store.put(Kind.FABRIC_CHANNEL, channel("mychannel", removed=removed))

        # When
        await ground.reconciler.reconcile(SERVER)

        # Then
        assert ground.replicas == replicas


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(True, [("mychannel", 7)], id="removed"),
        pytest.param(False, [], id="made-by-somebody-else"),
    ],
)
def test_what_the_operators_own_objects_said_before_is_recalled(expected: list[tuple[str, int]], *, own: bool) -> None:
    # Given: a channel that was left, and one that was not
    recalled: list[tuple[str, int]] = []
    left, other = channel("mychannel", removed=LONG_AGO), channel("other", removed=None)
    left["status"]["configSequence"] = 7
    for name in () if own else ("labels", "ownerReferences"):
        del left["metadata"][name]
    session = SimpleNamespace(recall_removal=lambda name, sequence: recalled.append((name, sequence)))

    # When
    recall_removals(
        [FabricChannel.model_validate(each) for each in (left, other)], cast("OrganizationSession", session)
    )

    # Then
    assert recalled == expected


async def test_only_what_the_operator_made_is_removed(manifests: Manifests) -> None:
    # Given: a mirror, and a manifest of people, of the same proposal
    store, deleted = ObjectStore(), []
    mirror, manifest = manifests.proposal("basic.org2msp"), manifests.proposal("basic")
    for body in (mirror, manifest):
        body["spec"] |= {"creator": "Org2MSP", "proposalID": "basic"}
    mirror["metadata"] |= {"labels": {ORIGIN_LABEL: MIRRORED}, "ownerReferences": [OWNER]}
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    for body in (mirror, manifest):
        store.put(Kind.CHAINCODE_PROPOSAL, body)

    async def delete(kind: Kind, namespace: str, name: str, uid: str) -> None:
        del kind, namespace, uid
        deleted.append(name)

    # When
    await remove_mirrors(
        cast("KubeClient", SimpleNamespace(delete=delete)), store, "org1", ProposalRef("Org2MSP", "basic")
    )

    # Then
    assert deleted == ["basic.org2msp"]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        pytest.param(TransientError("creator org unknown", reason="UnknownMSP"), True, id="unknown-to-the-peer"),
        pytest.param(TransientError("removed", reason="NotAMember"), True, id="refused-by-orderers"),
        pytest.param(TransientError("away", reason="PeerUnreachable"), False, id="peer-away"),
        pytest.param(TerminalError("UnknownMSP", "unreadable"), False, id="of-another-kind"),
    ],
)
def test_what_is_a_refusal_of_the_channel(failure: OperatorError, expected: bool) -> None:
    assert is_refusal(failure) is expected


@pytest.mark.parametrize(
    ("joined", "expected"),
    [
        pytest.param(frozenset({"mychannel"}), True, id="its-own-peer-takes-it-otherwise"),
        pytest.param(frozenset({"other"}), False, id="not-joined"),
    ],
)
async def test_a_certificate_that_nobody_takes_is_no_removal(joined: frozenset[str], expected: bool) -> None:
    # Given
    unread: list[str] = []

    async def fetch_channels() -> frozenset[str]:
        return joined

    peers = SimpleNamespace(all=(SimpleNamespace(fetch_channels=fetch_channels),))
    session = cast("OrganizationSession", SimpleNamespace(peers=peers, note_unread=unread.append))

    # When
    refused = await is_refused_on("mychannel", TransientError("unknown", reason="UnknownMSP"), session)

    # Then
    assert (refused, unread) == (expected, ["mychannel"] if expected else [])


class Gatherer:
    """Sees an accepted removal of the own organization, and who reported it as applied."""

    def __init__(self) -> None:
        self.facts = agreed(proposed(leaving(ORG1)), ORG1, ORG2)

    def report(self, msp_id: str) -> None:
        evidence = Evidence(config_block=9, config_hash="ab" * 32)
        told = reported(msp_id, "c2lnbmVk").model_copy(update={"step": Step.APPLIED, "evidence": evidence})
        self.facts = self.facts.model_copy(update={"reports": (*self.facts.reports, told)})

    async def gather(self, *_: object) -> ProposalObserved:
        return observed(self.facts, own=ORG1)


class Teller:
    async def tell_invalid(self, *_: object) -> None:
        """Every object can be read."""

    async def tell(self, *_: object) -> None:
        """What is said is not looked at here."""


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param(True, [1, 1, 2, 3, 4], id="a-removal-that-nothing-came-after"),
        pytest.param(False, [0, 0, 0, 0, 0], id="let-in-again-since"),
    ],
)
async def test_orderers_are_asked_about_a_removal_once_and_at_every_word_of_others(
    manifests: Manifests, *, counts: bool, expected: list[int]
) -> None:
    # Given
    store, queue, gatherer, asked = ObjectStore(), WorkQueue(), Gatherer(), list[tuple[str, str]]()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    view = SimpleNamespace(outlines=tuple)
    opened = [SimpleNamespace(is_removed=lambda _: counts, view=view, removals=Removals()) for _ in range(2)]
    sessions = SimpleNamespace(
        ready=lambda _: opened[0],
        watch_channel=lambda *_: None,
        ask_anew=lambda *place: asked.append(place),
    )
    servers = ServerBook(queue, store, Shelves())
    workers = build_workers(servers, no_packages(store), cast("Any", None))
    parts: tuple[Any, ...] = (None, store, Teller(), sessions, queue, ReportBook(), gatherer, workers, servers)
    reconciler = ProposalReconciler(*cast("Any", parts))
    key = proposal_key("org1", f"{ORG1}/change")

    # When: it is looked at twice, and whenever a member reports it
    counted = []
    for member in (None, None, ORG2, "Org3MSP"):
        if member is not None:
            gatherer.report(member)
        await reconciler.reconcile(key)
        counted.append(len(asked))

    # And: it is looked at in another session, which nobody told anything
    opened.pop(0)
    await reconciler.reconcile(key)
    counted.append(len(asked))

    # Then
    assert counted == expected
    assert set(asked) <= {("org1", "trade")}
