"""A run about a FabricOrganization: what it says, and whom it wakes, when its surroundings fail and come back."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.operator_domain.test_content import CHANNEL
from unit.operator_runtime.charters import DefaultCharter

from fabric_admin.definition import Definition, signature_policy_parameter
from fabric_devnet.crypto import CertificateAuthority, Role
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import PeerSource
from opssc_operator.domain.deployment import Committed
from opssc_operator.domain.organization import PeerLook, reach_of
from opssc_operator.errors import AccessDenied, OperatorError, TerminalError, TransientError
from opssc_operator.reconcile.keys import organization_key
from opssc_operator.reconcile.organization import RETRY_SECONDS, OrganizationReconciler
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.sessions import Sessions
from opssc_operator.reconcile.store import ObjectStore
from opssc_operator.reconcile.surroundings import Surroundings

from .test_leaving import channel

if TYPE_CHECKING:
    from opssc_operator.kube.client import KubeClient
    from opssc_operator.kube.objects import ObjectClient
    from opssc_operator.ledger.session import OrganizationSession, SessionSettings

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
    reconciler = OrganizationReconciler(
        cast("KubeClient", cluster), store, sessions, Surroundings(cast("ObjectClient", cluster), sessions.doubt)
    )

    # When
    result = await reconciler.reconcile(organization_key("org1", "org1"))

    # Then
    conditions = {item["type"]: item for item in cluster.written[-1]["conditions"]}
    assert conditions["IdentityReady"]["reason"] == "SecretNotFound"
    assert "may not get secrets org1/admin" in conditions["Ready"]["message"]
    assert result.requeue_after_seconds == RETRY_SECONDS
    assert queue.ready == 1


AUTHORITY = CertificateAuthority.create("ca.org1", "org1")
CA_PEM = AUTHORITY.certificate_pem.decode()


class OpenCluster(Cluster):
    """An API server that gives the admin's Secret, with a new certificate each time."""

    async def get_secret(self, namespace: str, name: str) -> Any:
        del namespace, name
        pair = AUTHORITY.issue_identity("Admin@org1", "org1", Role.ADMIN)
        return {"cert.pem": pair.certificate_pem, "key.pem": pair.key_pem}


async def test_the_next_look_takes_a_new_certificate_without_a_restart(manifests: Manifests) -> None:
    # Given
    store, cluster, queue = ObjectStore(), OpenCluster(), WorkQueue()
    body = manifests.organization()
    body["spec"]["peers"] = {"explicit": [{"name": "peer0", "address": "127.0.0.1:1", "tlsCA": {"pem": CA_PEM}}]}
    store.put(Kind.FABRIC_ORGANIZATION, body)
    sessions = Sessions(store, queue)
    reconciler = OrganizationReconciler(
        cast("KubeClient", cluster), store, sessions, Surroundings(cast("ObjectClient", cluster), sessions.doubt)
    )
    await reconciler.reconcile(organization_key("org1", "org1"))
    before = sessions.get("org1")

    # When
    await reconciler.reconcile(organization_key("org1", "org1"))
    after = sessions.get("org1")
    await sessions.close()

    # Then
    assert before is not None
    assert after is not None
    assert after.settings.admin.certificate_pem != before.settings.admin.certificate_pem


async def test_while_no_own_peer_answers_nothing_is_known_of_governance(manifests: Manifests) -> None:
    # Given: an address where nobody listens
    store, cluster, queue = ObjectStore(), OpenCluster(), WorkQueue()
    body = manifests.organization()
    body["spec"]["peers"] = {"explicit": [{"name": "peer0", "address": "127.0.0.1:1", "tlsCA": {"pem": CA_PEM}}]}
    store.put(Kind.FABRIC_ORGANIZATION, body)
    sessions = Sessions(store, queue)

    # When
    await OrganizationReconciler(
        cast("KubeClient", cluster), store, sessions, Surroundings(cast("ObjectClient", cluster), sessions.doubt)
    ).reconcile(organization_key("org1", "org1"))
    await sessions.close()

    # Then
    conditions = {item["type"]: item["reason"] for item in cluster.written[-1]["conditions"]}
    assert conditions["GovernanceReady"] == "GovernanceUnavailable"
    assert conditions["PeersReady"] == "PeerUnreachable"


async def test_a_second_organization_of_a_namespace_is_told_whose_it_is(manifests: Manifests) -> None:
    # Given: the older one owns the namespace
    store, cluster, queue = ObjectStore(), OpenCluster(), WorkQueue()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    second = manifests.organization("second", "Org2MSP", creationTimestamp="2026-11-21T09:30:00Z")
    store.put(Kind.FABRIC_ORGANIZATION, second)
    sessions = Sessions(store, queue)

    # When
    result = await OrganizationReconciler(
        cast("KubeClient", cluster), store, sessions, Surroundings(cast("ObjectClient", cluster), sessions.doubt)
    ).reconcile(organization_key("org1", "second"))

    # Then
    conditions = {item["type"]: item for item in cluster.written[-1]["conditions"]}
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == ("False", "DuplicateOrganization")
    assert "the namespace belongs to FabricOrganization org1; delete one of them" in conditions["Ready"]["message"]
    assert conditions["Stalled"]["status"] == "True"
    assert result.requeue_after_seconds is None


class Session:
    """An organization whose one peer shows a contract, which answers unless there is a `failure`."""

    def __init__(self) -> None:
        self.settings = SimpleNamespace(namespace="org1", governance_channel="ops-channel")
        self.msp_id, self.latest_block, self.members = "Org1MSP", 7, CHANNEL.members
        self.peers = self.reader = self.deployments = self.contract = self.view = self
        self.charters = DefaultCharter()
        self.failure: OperatorError | None = None
        self.recalled: dict[str, int] = {}
        self.joined, self.silence = frozenset({"ops-channel"}), None
        self.admissions = SimpleNamespace(available=False)
        self.name, self.address = (
            "peer0",
            SimpleNamespace(endpoint=SimpleNamespace(address="peer0:7051"), source=PeerSource.EXPLICIT),
        )

    def __getattr__(self, name: str) -> Any:
        if name in {"follow_governance", "forget", "refs", "outlines"}:
            return tuple
        raise AttributeError(name)

    def is_refused(self, channel: str) -> bool:
        """Orderers are not asked here."""
        return channel in self.recalled

    def recall_removal(self, channel: str, sequence: int) -> None:
        self.recalled[channel] = sequence

    @property
    def all(self) -> tuple[Session, ...]:
        return (self,)

    async def fetch_channels(self) -> frozenset[str]:
        return frozenset({"ops-channel"})

    async def on(self, channel: str) -> Session:
        del channel
        return self

    async def config(self, channel: str) -> Session:
        del channel
        return self

    async def fetch_committed(self, channel: str, name: str) -> Committed:
        del channel
        majority = signature_policy_parameter("OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')")
        return Committed(Definition(name=name, version="1.0", sequence=1, validation_parameter=majority), {})

    async def fetch_version(self) -> str:
        if self.failure is not None:
            raise self.failure
        return "1.0"

    async def close(self) -> None:
        """Nothing is open."""


class OneSession(Sessions):
    """Sessions that open the one the test gave."""

    def __init__(self, store: ObjectStore, queue: WorkQueue, session: Session) -> None:
        super().__init__(store, queue)
        self._given = cast("OrganizationSession", session)

    async def ensure(self, settings: SessionSettings) -> OrganizationSession:
        self._open[settings.namespace] = self._given
        return self._given


@pytest.mark.parametrize(
    ("failure", "reason", "ready"),
    [
        pytest.param(TransientError("no answer in time"), "GovernanceUnavailable", True, id="one-query-failed"),
        pytest.param(
            TransientError("upgrade one of them", reason="ContractMismatch"), "ContractMismatch", True, id="a-reason"
        ),
        pytest.param(TerminalError("InvalidSpec", "the answer makes no sense"), "InvalidSpec", False, id="a-verdict"),
    ],
)
async def test_proposals_are_worked_on_while_only_a_query_about_the_contract_failed(
    failure: OperatorError, reason: str, ready: bool, manifests: Manifests
) -> None:
    # Given
    store, cluster, queue, session = ObjectStore(), OpenCluster(), WorkQueue(), Session()
    body = manifests.organization()
    body["spec"]["peers"]["explicit"][0]["tlsCA"] = {"pem": AUTHORITY.certificate_pem.decode()}
    store.put(Kind.FABRIC_ORGANIZATION, body)
    sessions = OneSession(store, queue, session)
    reconciler = OrganizationReconciler(
        cast("KubeClient", cluster), store, sessions, Surroundings(cast("ObjectClient", cluster), sessions.doubt)
    )
    key = organization_key("org1", "org1")
    session.failure = failure
    await reconciler.reconcile(key)
    before = sessions.ready("org1")

    # When
    session.failure = None
    await reconciler.reconcile(key)
    session.failure = failure
    body["metadata"] |= {"generation": 2, "resourceVersion": "2"}
    store.put(Kind.FABRIC_ORGANIZATION, body)
    result = await reconciler.reconcile(key)

    # Then
    found = next(item for item in cluster.written[-1]["conditions"] if item["type"] == "GovernanceReady")
    assert (found["status"], found["reason"]) == ("False", reason)
    assert before is None
    assert (sessions.ready("org1") is not None) is ready
    assert result.requeue_after_seconds == RETRY_SECONDS


async def test_who_was_removed_before_a_restart_never_says_to_be_ready(manifests: Manifests) -> None:
    # Given: what the last process wrote
    store, cluster, queue, session = ObjectStore(), OpenCluster(), WorkQueue(), Session()
    body = manifests.organization()
    body["spec"]["peers"]["explicit"][0]["tlsCA"] = {"pem": AUTHORITY.certificate_pem.decode()}
    store.put(Kind.FABRIC_ORGANIZATION, body)
    store.put(Kind.FABRIC_CHANNEL, channel("ops-channel", removed=timedelta(days=1)))
    sessions = OneSession(store, queue, session)
    reconciler = OrganizationReconciler(
        cast("KubeClient", cluster), store, sessions, Surroundings(cast("ObjectClient", cluster), sessions.doubt)
    )
    key = organization_key("org1", "org1")

    # When: it looks for the first time
    await reconciler.reconcile(key)

    # Then
    def governance() -> tuple[str, str]:
        found = next(item for item in cluster.written[-1]["conditions"] if item["type"] == "GovernanceReady")
        return found["status"], found["reason"]

    assert len(cluster.written) == 1
    assert governance() == ("False", "NotAMember")

    # When: orderers say otherwise, and the same session looks again
    session.recalled.clear()
    await reconciler.reconcile(key)

    # Then
    assert governance() == ("True", "ContractCommitted")


@pytest.mark.parametrize(
    ("generation", "block"),
    [
        pytest.param(1, 7, id="same-spec"),
        pytest.param(2, None, id="another-spec"),
    ],
)
async def test_a_look_that_fails_takes_back_nothing_that_was_said_of_the_same_spec(
    generation: int, block: int | None, manifests: Manifests
) -> None:
    # Given
    store, cluster, queue, session = ObjectStore(), OpenCluster(), WorkQueue(), Session()
    session.failure = TransientError("no answer in time")
    body = manifests.organization(generation=generation)
    body["spec"]["peers"]["explicit"][0]["tlsCA"] = {"pem": AUTHORITY.certificate_pem.decode()}
    body["status"] = {"observedGeneration": 1, "governance": {"block": 7, "contractVersion": "1.0"}}
    store.put(Kind.FABRIC_ORGANIZATION, body)
    sessions = OneSession(store, queue, session)

    # When
    await OrganizationReconciler(
        cast("KubeClient", cluster), store, sessions, Surroundings(cast("ObjectClient", cluster), sessions.doubt)
    ).reconcile(organization_key("org1", "org1"))

    # Then
    assert (cluster.written[-1].get("governance") or {}).get("block") == block


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
