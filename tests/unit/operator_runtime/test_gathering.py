"""What is observed about one proposal: how fresh it has to be."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_channels.changes import leaving
from unit.operator_channels.proposals import agreed, proposed
from unit.operator_domain.test_content import CHANNEL, manifest, planned, spec
from unit.operator_runtime.charters import DefaultCharter
from unit.operator_runtime.fetching import no_packages

from fabric_admin.rule import NOutOf
from opssc_chaincode.model import Facts, Proposal, ProposalDocument
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import MIRRORED, ORIGIN_LABEL, Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.channel import NoConfiguration
from opssc_operator.domain.planning import Plan
from opssc_operator.errors import TransientError
from opssc_operator.reconcile.gathering import MIRROR_LIMIT, Gatherer
from opssc_operator.reconcile.kinds.workers import build_workers
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from opssc_operator.domain.channel import ChannelView
    from opssc_operator.ledger.session import OrganizationSession

    from .conftest import Manifests

NEWER = replace(CHANNEL, config_block=9, members=("Org1MSP", "Org2MSP"), rule=NOutOf(1, ("Org1MSP", "Org2MSP")))


class Session:
    """An organization whose channel moved on since it was looked at a minute ago."""

    msp_id = "Org1MSP"
    settings = SimpleNamespace(namespace="org1", governance_channel="ops-channel")
    charters = DefaultCharter()

    def is_refused(self, channel: str) -> bool:
        """Orderers are not asked here."""
        del channel
        return False

    def __init__(self, facts: Facts | None) -> None:
        self.facts = facts
        self.view = self.reader = self.deployments = self.peers = self
        self.positions: dict[str, Any] = {}

        self.over: tuple[ProposalRef, ...] = ()

    async def get(self, ref: ProposalRef) -> Facts | None:
        del ref
        return self.facts

    def outlines(self) -> tuple[SimpleNamespace, ...]:
        return tuple(SimpleNamespace(ref=ref, ended=True) for ref in self.over)

    async def current(self, channel: str, *, max_age_seconds: float = math.inf) -> ChannelView:
        del channel
        return CHANNEL if max_age_seconds > 60.0 else NEWER

    async def on(self, channel: str) -> None:
        """An own peer is in every channel."""

    async def at(self, channel: str, number: int) -> ChannelView:
        del channel, number
        return CHANNEL

    async def fetch_committed(self, channel: str, name: str) -> None:
        """Nothing is committed."""


async def gather(manifests: Manifests, of: Session) -> Any:
    store = ObjectStore()
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("asset-1", manifest()))
    organization = FabricOrganization.model_validate(manifests.organization())
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    session = cast("OrganizationSession", of)
    workers = build_workers(ServerBook(WorkQueue(), store, Shelves()), no_packages(store), cast("Any", None))
    return await Gatherer(store, workers).gather(organization, session, ProposalRef("Org1MSP", "asset-1"))


async def test_a_proposal_pins_the_configuration_in_force_when_it_is_proposed(manifests: Manifests) -> None:
    observed = await gather(manifests, Session(None))
    assert isinstance(observed.plan, Plan)
    assert ProposalDocument.parse(observed.plan.document).snapshot.config_block == NEWER.config_block


def open_for_years(creator: str = "Org1MSP") -> Proposal:
    """A proposal whose deadline is far away."""
    document = ProposalDocument.parse(planned(spec()).document)
    deadline = ledger.NOW.replace(year=ledger.NOW.year + 70)
    return ledger.proposal(document.model_copy(update={"deadline": deadline}), creator=creator)


async def test_an_open_proposal_is_stale_soon_after_its_channel_moved_on(manifests: Manifests) -> None:
    observed = await gather(manifests, Session(Facts(proposal=open_for_years())))
    assert observed.stale.reason is Reason.STALE


@pytest.mark.parametrize(
    ("mirrors", "phase", "over", "wanted"),
    [
        pytest.param(MIRROR_LIMIT, "Voting", (), False, id="no-room"),
        pytest.param(MIRROR_LIMIT - 1, "Voting", (), True, id="room-for-one"),
        pytest.param(MIRROR_LIMIT, "Rejected", (), True, id="those-are-over"),
        pytest.param(MIRROR_LIMIT, "Accepted", ("spam-7",), True, id="one-is-over-where-others-are-members"),
    ],
)
async def test_an_open_proposal_is_mirrored_and_judged_while_there_is_room_for_its_creator_s(
    manifests: Manifests, mirrors: int, phase: str, over: tuple[str, ...], wanted: bool
) -> None:
    # Given
    store = ObjectStore()
    owner = {"apiVersion": "opssc.dev/v1alpha1", "kind": "FabricOrganization", "name": "org1", "uid": "1"}
    for number in range(mirrors):
        identity = {"creator": "Org2MSP", "proposalID": f"spam-{number}"}
        labels = {ORIGIN_LABEL: MIRRORED}
        body = manifests.proposal(f"spam-{number}.org2msp", identity, labels=labels, ownerReferences=[owner])
        store.put(Kind.CHAINCODE_PROPOSAL, body | {"status": {"phase": phase}})
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    organization = FabricOrganization.model_validate(manifests.organization())
    proposal = open_for_years("Org2MSP")

    # When
    ledger_shows = Session(Facts(proposal=proposal))
    ledger_shows.over = tuple(ProposalRef("Org2MSP", name) for name in over)
    session = cast("OrganizationSession", ledger_shows)
    workers = build_workers(ServerBook(WorkQueue(), store, Shelves()), no_packages(store), cast("Any", None))
    observed = await Gatherer(store, workers).gather(organization, session, ProposalRef("Org2MSP", proposal.id))

    # Then
    assert observed.mirror_wanted is wanted
    assert (observed.verified.reason is not Reason.PENDING) is wanted


@pytest.mark.parametrize(
    ("voting", "judged"),
    [
        pytest.param({"mode": "Manual"}, False, id="nobody-votes"),
        pytest.param({"mode": "Rules", "rules": [{"kinds": ["Chaincode"]}]}, True, id="rules-vote"),
    ],
)
async def test_an_open_proposal_that_is_not_shown_is_judged_where_it_may_be_voted_on(
    manifests: Manifests, voting: dict[str, Any], judged: bool
) -> None:
    # Given
    store = ObjectStore()
    stated = manifests.organization()
    stated["spec"] |= {"voting": voting, "mirror": {"enabled": False}}
    store.put(Kind.FABRIC_ORGANIZATION, stated)
    session = cast("OrganizationSession", Session(Facts(proposal=(proposal := open_for_years("Org2MSP")))))
    workers = build_workers(ServerBook(WorkQueue(), store, Shelves()), no_packages(store), cast("Any", None))

    # When
    organization = FabricOrganization.model_validate(stated)
    observed = await Gatherer(store, workers).gather(organization, session, ProposalRef("Org2MSP", proposal.id))

    # Then
    assert (observed.verified.reason is not Reason.PENDING) is judged


class Ordering(Session):
    """An organization that orders channels in which it has no peer."""

    async def on(self, channel: str) -> None:
        raise TransientError(f"no own peer has joined channel {channel}", reason=Reason.CHANNEL_NOT_FOUND)


async def test_who_has_no_peer_in_a_channel_takes_no_part_in_its_chaincodes(manifests: Manifests) -> None:
    observed = await gather(manifests, Ordering(Facts(proposal=open_for_years())))
    assert (observed.verified.status, observed.verified.reason) == ("Unknown", Reason.CHANNEL_NOT_FOUND)


class Removed(Session):
    """An organization whose orderers refuse it, and that a proposal removes unless that is found to be false."""

    refuted: bool | None = None
    failure: TransientError | None = None
    reads = 0

    def note_truth(self, ref: ProposalRef, *, refuted: bool) -> None:
        del ref
        self.refuted = refuted

    def is_refused(self, channel: str) -> bool:
        assert channel == "trade"
        return not self.refuted

    async def at(self, channel: str, number: int) -> Any:
        del channel
        self.reads += 1
        if self.failure is not None:
            raise self.failure
        return NoConfiguration(number)


async def test_nobody_is_removed_by_a_proposal_that_says_what_is_not_so(manifests: Manifests) -> None:
    # Given: everybody whom it names agrees to it, and it pins a block that is no configuration
    removal = agreed(proposed(leaving("Org1MSP")), "Org1MSP", "Org2MSP", "Org3MSP")
    store, session = ObjectStore(), Removed(removal)
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    organization = FabricOrganization.model_validate(manifests.organization())
    workers = build_workers(ServerBook(WorkQueue(), store, Shelves()), no_packages(store), cast("Any", None))

    # When
    observed = await Gatherer(store, workers).gather(
        organization, cast("OrganizationSession", session), ProposalRef("Org1MSP", "change")
    )

    # Then
    assert session.refuted
    assert observed.verified.reason is Reason.SNAPSHOT_MISMATCH


async def test_what_is_about_a_channel_that_removed_the_organization_is_left_alone(manifests: Manifests) -> None:
    # Given
    other = agreed(proposed(), "Org1MSP", "Org2MSP")
    store, session = ObjectStore(), Removed(other)
    organization = FabricOrganization.model_validate(manifests.organization())
    workers = build_workers(ServerBook(WorkQueue(), store, Shelves()), no_packages(store), cast("Any", None))

    # When
    with pytest.raises(TransientError, match="Org1MSP is not a member of channel trade"):
        await Gatherer(store, workers).gather(
            organization, cast("OrganizationSession", session), ProposalRef("Org1MSP", "change")
        )

    # Then
    assert session.refuted is None


async def test_a_removal_that_nobody_accepted_is_looked_at_as_little_as_any_other_proposal(
    manifests: Manifests,
) -> None:
    # Given: one of more open proposals than are shown
    removal = proposed(leaving("Org1MSP"))
    removal = removal.model_copy(update={"deadline": removal.deadline.replace(year=removal.deadline.year + 70)})
    stated = manifests.organization()
    stated["spec"] |= {"mirror": {"enabled": False}}
    store, session = ObjectStore(), Removed(Facts(proposal=removal))
    session.refuted = True
    store.put(Kind.FABRIC_ORGANIZATION, stated)
    workers = build_workers(ServerBook(WorkQueue(), store, Shelves()), no_packages(store), cast("Any", None))

    # When
    observed = await Gatherer(store, workers).gather(
        FabricOrganization.model_validate(stated),
        cast("OrganizationSession", session),
        ProposalRef("Org2MSP", "change"),
    )

    # Then
    assert session.reads == 0
    assert observed.verified.reason is Reason.PENDING


async def test_a_removed_organization_that_may_not_read_the_pinned_block_is_told_that_it_is_out(
    manifests: Manifests,
) -> None:
    # Given
    session = Removed(agreed(proposed(leaving("Org1MSP")), "Org1MSP", "Org2MSP", "Org3MSP"))
    session.failure = TransientError("no own peer answers about channel trade", reason=Reason.PEER_UNREACHABLE)
    store = ObjectStore()
    organization = FabricOrganization.model_validate(manifests.organization())
    workers = build_workers(ServerBook(WorkQueue(), store, Shelves()), no_packages(store), cast("Any", None))

    # When
    with pytest.raises(TransientError, match="Org1MSP is not a member of channel trade"):
        await Gatherer(store, workers).gather(
            organization, cast("OrganizationSession", session), ProposalRef("Org1MSP", "change")
        )

    # Then
    assert (session.reads, session.refuted) == (1, None)
