"""A change that own peers of an older release would stop at: held up until they are upgraded, and not for longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.fabric import channel
from unit.operator_channels.changes import NEWER, ORDERER, ORG1, ORG2, ORG3, config
from unit.operator_channels.proposals import ACL, agreed, proposed
from unit.operator_runtime.channelsession import Session
from unit.operator_runtime.fetching import no_packages

from fabric_admin.capabilities import Line
from opssc_chaincode.model import Facts, Proposal
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import Decision
from opssc_operator.domain.actions import Propose
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.kinds.channel_work import SignUpdate
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.releases import PeerRelease
from opssc_operator.domain.voting import CastVote
from opssc_operator.reconcile.gathering import Gatherer
from opssc_operator.reconcile.kinds.workers import build_workers
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from opssc_operator.domain.stage import ProposalDecision
    from opssc_operator.ledger.config_blocks import ConfigBlock
    from opssc_operator.ledger.session import OrganizationSession

    from .conftest import Manifests

REF = ProposalRef(ORG1, "change")
OLD, NEW = (PeerRelease("peer0", line) for line in (Line.FABRIC_2_5, Line.FABRIC_3))
MUTE = PeerRelease("peer1", None, "no answer in time")
HELD_UP: dict[tuple[PeerRelease, ...], tuple[str, Reason]] = {
    (NEW, OLD): ("False", Reason.PEER_TOO_OLD),
    (NEW, MUTE): ("Unknown", Reason.AWAITING_VERIFICATION),
}


class Applied(Session):
    """An organization whose channel has the update already."""

    async def find_update(self, newest: ConfigBlock, update: bytes, *, after_block: int) -> Any:
        del newest, update, after_block
        return AppliedIn(4, "ab" * 32, ORG2)


def change(fields: dict[str, Any]) -> Proposal:
    """A proposal for a channel of old capabilities, open for years."""
    known = proposed(fields, on=config(channel.OLD_PROFILE))
    later = known.model_copy(update={"deadline": known.deadline.replace(year=known.deadline.year + 70)})
    return later.model_copy(update={"hash": later.content_hash})


def voting(fields: dict[str, Any]) -> Facts:
    return agreed(change(fields), ORG2)


def accepted(fields: dict[str, Any]) -> Facts:
    return agreed(change(fields), ORG1, ORG2, ORG3, ORDERER)


class Operator:
    """One process of one organization, which has a Vote or a manifest on the proposal."""

    def __init__(self, manifests: Manifests, session: Session, *objects: tuple[Kind, dict[str, Any]]) -> None:
        store = ObjectStore()
        for kind, body in ((Kind.FABRIC_ORGANIZATION, manifests.organization()), *objects):
            store.put(kind, body)
        workers = build_workers(ServerBook(WorkQueue(), store, Shelves()), no_packages(store), cast("Any", None))
        self.organization = FabricOrganization.model_validate(manifests.organization())
        self.gatherer, self.session = Gatherer(store, workers), session

    async def look(self, *releases: PeerRelease) -> ProposalDecision:
        """What it does while own peers are of these releases."""
        self.session.peers.releases = releases
        session = cast("OrganizationSession", self.session)
        return decide_proposal(await self.gatherer.gather(self.organization, session, REF))


def voter(manifests: Manifests, facts: Facts, *, sees: type[Session] = Session) -> Operator:
    vote = manifests.vote("yes", ORG1, "change")
    vote["spec"]["contentHash"] = facts.proposal.content_hash
    return Operator(manifests, sees(config(channel.OLD_PROFILE), {REF: facts}), (Kind.VOTE, vote))


@pytest.mark.parametrize("releases", HELD_UP, ids=["older", "silent"])
@pytest.mark.parametrize(
    ("facts", "action"),
    [
        pytest.param(voting(NEWER), CastVote(Decision.AGREE, "", change(NEWER).content_hash), id="voting"),
        pytest.param(accepted(NEWER), SignUpdate(), id="signing"),
    ],
)
async def test_own_peers_hold_up_what_they_would_stop_at_at_every_look_and_no_longer_once_they_are_upgraded(
    manifests: Manifests, facts: Facts, action: object, releases: tuple[PeerRelease, ...]
) -> None:
    # Given
    operator = voter(manifests, facts)

    # When: they are upgraded, and one of them goes away that has never said what it is
    looks = [await operator.look(*peers) for peers in (releases, (NEW, NEW), releases)]

    # Then
    verdicts = [each.conditions[ConditionType.VERIFIED] for each in looks]
    assert [(each.status, each.reason) for each in verdicts] == [
        HELD_UP[releases],
        ("True", Reason.VERIFIED),
        HELD_UP[releases],
    ]
    assert [each.ledger_actions for each in looks] == [(), (action,), ()]
    assert all(each.requeue_seconds for each in (looks[0], looks[2]))


@pytest.mark.parametrize("facts", [voting(ACL), accepted(ACL)], ids=["voting", "signing"])
async def test_no_peer_is_asked_about_what_all_releases_take(manifests: Manifests, facts: Facts) -> None:
    operator = voter(manifests, facts)

    decision = await operator.look(OLD, MUTE)

    assert decision.conditions[ConditionType.VERIFIED].holds
    assert (len(decision.ledger_actions), operator.session.peers.asked) == (1, 0)


async def test_what_is_applied_is_not_held_up_any_more(manifests: Manifests) -> None:
    operator = voter(manifests, accepted(NEWER), sees=Applied)

    decision = await operator.look(OLD)

    assert decision.conditions[ConditionType.VERIFIED].holds
    assert decision.conditions[ConditionType.APPLIED].holds


@pytest.mark.parametrize("releases", HELD_UP, ids=["older", "silent"])
async def test_what_own_peers_would_stop_at_is_proposed_once_they_are_upgraded(
    manifests: Manifests, releases: tuple[PeerRelease, ...]
) -> None:
    # Given
    body = manifests.proposal("change") | {"kind": "ChannelProposal"}
    body["spec"] = {"channel": channel.CHANNEL, **NEWER}
    operator = Operator(manifests, Session(config(channel.OLD_PROFILE)), (Kind.CHANNEL_PROPOSAL, body))

    # When
    before, after = [await operator.look(*peers) for peers in (releases, (NEW, NEW))]

    # Then
    verdict = before.conditions[ConditionType.VERIFIED]
    assert (verdict.status, verdict.reason) == HELD_UP[releases]
    assert before.ledger_actions == ()
    (action,) = after.ledger_actions
    assert isinstance(action, Propose)
