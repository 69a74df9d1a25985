"""A new channel's name on own nodes: looked for before it is proposed, and before this organization agrees to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from fabric_protos.common.common_pb2 import Block
from unit.operator_channels.changes import ORG1, ORG2, RECIPE
from unit.operator_channels.proposals import agreed, observed, proposed
from unit.operator_channels.test_content import creation

from fabric_admin.blocks import header_hash
from opssc_operator.api.conditions import Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.kinds.creation_work import OrdererSeen, PeerSeen
from opssc_operator.domain.stage import VERIFY_AGAIN_SECONDS
from opssc_operator.domain.verdict import Verdict, yes
from opssc_operator.ledger.new_channels import REFUSAL
from opssc_operator.ledger.own_looks import PATIENCE_SECONDS, OwnLooks
from opssc_operator.reconcile.kinds.creation import find_taken, review_creation

if TYPE_CHECKING:
    from opssc_operator.ledger.session import OrganizationSession

CREATION = {"channel": "newchannel", "action": "Create", "create": RECIPE}
_, CONTENT = creation()
AGREED, OTHER = header_hash(Block.FromString(CONTENT.block_bytes).header).hex(), "cd" * 32
ORDERER = "orderer1:7050"
REF = ProposalRef(ORG2, "create")
DEADLINE_SECONDS = 20.0
Node = OrdererSeen | PeerSeen


class NewChannels:
    """Own nodes, and what they show of every channel; they answer when they are let go."""

    def __init__(self, *nodes: Node, hanging: bool = False) -> None:
        self._nodes = nodes
        self.looks = 0
        self.free = asyncio.Event()
        if not hanging:
            self.free.set()

    async def see_all(self, channel: str) -> tuple[tuple[OrdererSeen, ...], tuple[PeerSeen, ...]]:
        del channel
        self.looks += 1
        await self.free.wait()
        orderers = tuple(node for node in self._nodes if isinstance(node, OrdererSeen))
        return orderers, tuple(node for node in self._nodes if isinstance(node, PeerSeen))


def session_of(new_channels: NewChannels, woken: list[ProposalRef] | None = None) -> OrganizationSession:
    settings = SimpleNamespace(governance_channel="ops-channel")
    patience = PATIENCE_SECONDS if new_channels.free.is_set() else 0.0
    looks = OwnLooks(new_channels.see_all, ([] if woken is None else woken).append, patience_seconds=patience)
    return cast("OrganizationSession", SimpleNamespace(msp_id=ORG2, own_looks=looks, settings=settings))


async def reviewed(new_channels: NewChannels, *agreeing: str, session: OrganizationSession | None = None) -> Verdict:
    """What an organization that has not agreed, or has, says of a creation that is true by itself."""
    facts = agreed(proposed(CREATION), ORG1, *agreeing)
    recipe = CONTENT.create
    assert recipe is not None
    seen = observed(facts, ORG2)
    shown = await review_creation(
        replace(seen, verified=yes(Reason.VERIFIED)), facts, CONTENT, recipe, session or session_of(new_channels)
    )
    assert shown.review is not None
    return shown.verified


@pytest.mark.parametrize(
    ("nodes", "named"),
    [
        pytest.param((), "", id="none"),
        pytest.param((OrdererSeen(ORDERER), PeerSeen("peer0")), "", id="not in it"),
        pytest.param((OrdererSeen(ORDERER, joined=True, block_hash=AGREED),), "", id="the very channel"),
        pytest.param((OrdererSeen(ORDERER, problem="no answer"),), "", id="away"),
        pytest.param((OrdererSeen(ORDERER, joined=True, block_hash=OTHER),), f"on orderer {ORDERER}", id="orderer"),
        pytest.param((PeerSeen("peer0", joined=True, block_hash=OTHER),), "on peer peer0", id="peer"),
    ],
)
async def test_whose_nodes_have_another_channel_of_that_name_does_not_agree(
    nodes: tuple[Node, ...], named: str
) -> None:
    verdict = await reviewed(NewChannels(*nodes))

    assert (verdict.status, named in verdict.message) == ("False" if named else "True", True)
    if named:
        assert verdict.reason is Reason.INVALID_SPEC
        assert "channel newchannel exists" in verdict.message


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        pytest.param(
            OrdererSeen(ORDERER, joined=True, problem=REFUSAL), "refuses to show its first block", id="refuses"
        ),
        pytest.param(OrdererSeen(ORDERER, joined=True, problem="no answer"), "no answer", id="away"),
        pytest.param(OrdererSeen(ORDERER, joined=True), "does not show block 0 yet", id="without a block"),
    ],
)
async def test_whose_orderer_does_not_show_what_it_is_in_waits_with_its_vote(seen: OrdererSeen, said: str) -> None:
    verdict = await reviewed(NewChannels(seen))

    assert (verdict.status, verdict.reason) == ("Unknown", Reason.AWAITING_VERIFICATION)
    assert said in verdict.message
    assert verdict.reason in VERIFY_AGAIN_SECONDS


async def test_who_has_agreed_asks_no_more() -> None:
    nodes = NewChannels(OrdererSeen(ORDERER, joined=True, block_hash=OTHER))

    verdict = await reviewed(nodes, ORG2)

    assert (verdict.holds, nodes.looks) == (True, 0)


@pytest.mark.parametrize(
    ("channel", "nodes", "named"),
    [
        pytest.param("fresh", (OrdererSeen(ORDERER), PeerSeen("peer0")), "", id="free"),
        pytest.param("ops-channel", (), "channel ops-channel exists", id="governance"),
        pytest.param("fresh", (OrdererSeen(ORDERER, joined=True),), f"exists on orderer {ORDERER}", id="orderer"),
        pytest.param("fresh", (PeerSeen("peer0", joined=True),), "exists on peer peer0", id="peer"),
    ],
)
async def test_a_name_that_own_nodes_know_is_not_proposed(channel: str, nodes: tuple[Node, ...], named: str) -> None:
    verdict = await find_taken(channel, REF, session_of(NewChannels(*nodes)))

    assert (verdict is not None) == bool(named)
    if verdict is not None:
        assert verdict.reason is Reason.INVALID_SPEC
        assert named in verdict.message


async def test_own_nodes_that_hang_delay_the_vote_and_the_proposal_but_no_worker() -> None:
    # Given
    nodes, woken = NewChannels(OrdererSeen(ORDERER), hanging=True), list[ProposalRef]()
    session = session_of(nodes, woken)

    # When
    async with asyncio.timeout(DEADLINE_SECONDS):
        review = await reviewed(nodes, session=session)
        planned = await find_taken("fresh", REF, session)
    nodes.free.set()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("look at")))

    # Then
    assert planned is not None
    assert [(each.status, each.reason) for each in (review, planned)] == [("Unknown", Reason.AWAITING_VERIFICATION)] * 2
    assert "asking own orderers and peers" in review.message
    assert (len(woken), woken[-1], nodes.looks) == (2, REF, 2)
    assert (await reviewed(nodes, session=session)).holds
    assert await find_taken("fresh", REF, session) is None
