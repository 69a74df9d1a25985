"""In which order a gateway considers the peers of a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from fabric_devnet.embedded.gateway.selection import spread

if TYPE_CHECKING:
    from fabric_devnet.embedded.membership import EndorsingPeer


@dataclass(frozen=True)
class Named:
    """As much of a peer as its place in the order depends on."""

    name: str
    msp_id: str


def network(sizes: list[int]) -> list[EndorsingPeer]:
    named = [Named(f"peer{peer}.org{org}", f"Org{org}MSP") for org, size in enumerate(sizes) for peer in range(size)]
    return cast("list[EndorsingPeer]", named)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.data())
def test_everybody_is_considered_once_and_organizations_take_turns(sizes: list[int], data: st.DataObject) -> None:
    peers = network(sizes)
    first = data.draw(st.sampled_from(peers))

    ordered = spread(peers, first)

    assert ordered[0] is first
    assert sorted(peer.name for peer in ordered) == sorted(peer.name for peer in peers)
    if first.name.startswith("peer0"):
        assert len({peer.msp_id for peer in ordered[: len(sizes)]}) == len(sizes)


def test_every_gateway_goes_on_from_its_own_organization() -> None:
    peers = network([1, 1, 1])

    second = [peer.msp_id for peer in spread(peers, peers[1])]

    assert second == ["Org1MSP", "Org2MSP", "Org0MSP"]


def test_without_a_first_peer_the_order_is_that_of_the_names() -> None:
    peers = network([1, 1])

    assert [peer.msp_id for peer in spread(peers, None)] == ["Org0MSP", "Org1MSP"]
