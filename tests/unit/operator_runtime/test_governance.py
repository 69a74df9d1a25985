"""A look at the governance contract: what keeps an organization from working with it, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.operator_domain.test_content import CHANNEL, manifest
from unit.operator_runtime.charters import DefaultCharter

from fabric_admin.definition import Definition, signature_policy_parameter
from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import FabricOrganization, FabricOrganizationSpec
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.deployment import Approval, Committed, DeploymentObserved, Target
from opssc_operator.domain.installation import Install, PeerState
from opssc_operator.domain.outline import Outline
from opssc_operator.errors import TransientError
from opssc_operator.reconcile.gathering import MIRROR_LIMIT
from opssc_operator.reconcile.governance import Governance

if TYPE_CHECKING:
    from fabric_admin.policy import NOutOf
    from opssc_operator.ledger.session import OrganizationSession

    from .conftest import Manifests

MAJORITY = "OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')"


class Session:
    """An organization with two peers, of which the second one takes no package, on a channel with the contract."""

    def __init__(self) -> None:
        self.settings = SimpleNamespace(namespace="org1")
        self.msp_id, self.latest_block = "Org1MSP", 7
        self.peers = self.reader = self.deployments = self.contract = self.view = self
        self.members = CHANNEL.members
        self.charters = DefaultCharter()
        self.installs = 0
        self.known: tuple[Outline, ...] = ()

    async def on(self, channel: str) -> Session:
        del channel
        return self

    async def current(self, channel: str) -> Any:
        del channel
        return CHANNEL

    async def config(self, channel: str) -> Session:
        del channel
        return self

    async def observe(self, target: Target, rule: NOutOf) -> DeploymentObserved:
        self.target = target
        peers = (
            PeerState("peer0", reachable=True, on_channel=True, installed=True),
            PeerState("peer1", reachable=True, on_channel=True, problem="no builder" if self.installs else ""),
        )
        approval = Approval(target.definition, target.package_id)
        return DeploymentObserved("Org1MSP", peers, Committed(target.definition, {}), approval, {}, {}, rule)

    async def perform(self, action: object, *_: object) -> None:
        assert action == Install("peer1")
        self.installs += 1
        raise TransientError("installing on peer peer1: no builder")

    async def fetch_committed(self, *_: object) -> Committed | None:
        return Committed(self.target.definition, {})

    async def fetch_version(self) -> str:
        return "1.0"

    def follow_governance(self) -> None:
        """Blocks are not looked at here."""

    def follow_channel(self, channel: str) -> None:
        """Nor these."""

    def outlines(self) -> tuple[Outline, ...]:
        return self.known


@pytest.fixture
def spec(manifests: Manifests) -> FabricOrganizationSpec:
    body = manifests.organization()
    bootstrap = {
        "version": "1.0",
        "sequence": 1,
        "package": manifest()["package"],
        "endorsementPolicy": {"signature": MAJORITY},
    }
    body["spec"]["governance"] |= {"channel": "mychannel", "bootstrap": bootstrap}
    return FabricOrganization.model_validate(body).spec


async def test_one_peer_that_takes_no_package_keeps_nobody_from_a_contract_that_is_committed(
    spec: FabricOrganizationSpec,
) -> None:
    # Given
    session = Session()
    opened = cast("OrganizationSession", session)
    governance = Governance()

    # When
    looks = [await governance.look(spec, opened) for _ in range(3)]
    again = await governance.look(spec, opened, resync=True)

    # Then
    assert {look.verdict.reason for look in (*looks, again)} == {Reason.CONTRACT_COMMITTED}
    assert "peer1: no builder" in looks[0].verdict.message
    assert governance.count(spec, opened, "1.0").verdict == looks[0].verdict
    assert session.installs == 2
    assert session.target.definition.validation_parameter == signature_policy_parameter(MAJORITY)


class Bootstrap(Session):
    """A contract that stands as the test says: committed with another definition, not at all, or with a policy."""

    committed: Committed | None = None
    peer = PeerState("peer0", reachable=True, on_channel=True, installed=True)

    async def observe(self, target: Target, rule: NOutOf) -> DeploymentObserved:
        self.target = target
        return DeploymentObserved("Org1MSP", (self.peer,), self.committed, None, {}, {}, rule)

    async def perform(self, action: object, *_: object) -> None:
        """Nothing comes of it yet."""
        del action

    async def fetch_committed(self, *_: object) -> Committed | None:
        return self.committed


BUSY = PeerState("peer0", reachable=True, on_channel=True, problem="docker", problem_reason=Reason.INSTALL_FAILED)


@pytest.mark.parametrize(
    ("peer", "committed", "reason", "message"),
    [
        pytest.param(Bootstrap.peer, None, Reason.BOOTSTRAPPING, "", id="under-way"),
        pytest.param(BUSY, None, Reason.INSTALL_FAILED, "docker", id="a-reason-that-says-more"),
        pytest.param(
            Bootstrap.peer,
            Definition(name="opssc", version="0.9", sequence=1),
            Reason.CONTRACT_MISMATCH,
            "make governance.bootstrap what is committed, or remove it",
            id="another-one-is-committed",
        ),
    ],
)
async def test_a_bootstrap_that_is_not_done_says_where_it_stands(
    spec: FabricOrganizationSpec, peer: PeerState, committed: Definition | None, reason: Reason, message: str
) -> None:
    # Given
    session = Bootstrap()
    session.peer, session.committed = peer, None if committed is None else Committed(committed, {})

    # When
    look = await Governance().look(spec, cast("OrganizationSession", session))

    # Then
    assert (look.verdict.status, look.verdict.reason) == ("False", reason)
    assert message in look.verdict.message


def contract(parameter: bytes) -> Committed:
    return Committed(Definition(name="opssc", version="1.0", sequence=1, validation_parameter=parameter), {})


@pytest.mark.parametrize(
    ("committed", "reason", "message"),
    [
        pytest.param(None, Reason.CONTRACT_NOT_COMMITTED, "deploy it, or set governance.bootstrap", id="not-committed"),
        pytest.param(
            contract(signature_policy_parameter("OR('Org1MSP.peer', 'Org2MSP.peer')")),
            Reason.CONTRACT_POLICY_TOO_WEAK,
            "met by Org2MSP, and 2 of 3 organizations are required",
            id="a-minority-suffices",
        ),
        pytest.param(
            contract(b"no policy"),
            Reason.CONTRACT_POLICY_TOO_WEAK,
            "cannot be judged",
            id="a-policy-nobody-understands",
        ),
        pytest.param(
            contract(signature_policy_parameter(MAJORITY)), Reason.CONTRACT_COMMITTED, "", id="as-it-should-be"
        ),
    ],
)
async def test_without_a_bootstrap_the_contract_has_to_be_there_and_need_a_majority(
    spec: FabricOrganizationSpec, committed: Committed | None, reason: Reason, message: str
) -> None:
    # Given
    governance = spec.governance.model_copy(update={"bootstrap": None})
    session = Bootstrap()
    session.committed = committed

    # When
    look = await Governance().look(
        spec.model_copy(update={"governance": governance}), cast("OrganizationSession", session)
    )

    # Then
    assert look.verdict.reason is reason
    assert look.verdict.holds is (reason is Reason.CONTRACT_COMMITTED)
    assert message in look.verdict.message


def outline(creator: str, number: int, *, over: bool = False) -> Outline:
    """A proposal that nobody has accepted; ``over`` when it was rejected."""
    return Outline(
        ref=ProposalRef(creator, f"spam-{number}"),
        kind=LedgerKind.CHAINCODE,
        slot=None,
        accepted=False,
        ended=over,
        awaits_own_vote=not over,
        deadline=datetime(2099, 1, 1, tzinfo=UTC),
        skew=timedelta(),
        undecided=not over,
        said=0,
    )


@pytest.mark.parametrize(
    ("creator", "count", "over", "said"),
    [
        pytest.param("Org2MSP", MIRROR_LIMIT + 1, False, True, id="too-many"),
        pytest.param("Org2MSP", MIRROR_LIMIT, False, False, id="as-many-as-there-may-be"),
        pytest.param("Org2MSP", MIRROR_LIMIT + 1, True, False, id="over"),
        pytest.param("Org1MSP", MIRROR_LIMIT + 1, False, False, id="own"),
    ],
)
async def test_it_is_said_whose_open_proposals_are_too_many_to_be_mirrored(
    spec: FabricOrganizationSpec, creator: str, count: int, over: bool, said: bool
) -> None:
    session = Session()
    session.known = tuple(outline(creator, number, over=over) for number in range(count))

    look = Governance().count(spec, cast("OrganizationSession", session), "1.0")

    assert (f"only {MIRROR_LIMIT} open proposals of Org2MSP are mirrored" in look.verdict.message) is said
