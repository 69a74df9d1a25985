"""An update reaches the orderers through the own peer, or past it, and their refusal is told in their words."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.orderer import ab_pb2
from unit.fabric.channel import ORDERERS, build, load, person
from unit.fabric_io.scripted import ScriptedNode, running

from fabric_admin.channelconfig import edits
from fabric_admin.gateway import Gateway
from fabric_admin.transport import Connection
from fabric_devnet.crypto import CertificateAuthority
from opssc_operator.errors import TransientError
from opssc_operator.ledger.submission import UpdateRefused, submit_update

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric_admin.channelconfig import ChannelConfig
    from opssc_operator.ledger.peers import OwnPeers

TLS = CertificateAuthority.create("tlsca.test", "test")
ENVELOPE = common_pb2.Envelope(payload=b"an update", signature=b"of somebody")
TAKEN = ab_pb2.BroadcastResponse(status=common_pb2.SUCCESS)
BUSY = ab_pb2.BroadcastResponse(status=common_pb2.SERVICE_UNAVAILABLE, info="no Raft leader")
WORDS = "error applying config update: 2 out of 3 nodes are alive"
REFUSED = ab_pb2.BroadcastResponse(status=common_pb2.BAD_REQUEST, info=WORDS)


def node(*answers: ab_pb2.BroadcastResponse | gateway_pb2.SubmitResponse) -> ScriptedNode:
    made = ScriptedNode(TLS)
    made.answers = answers
    return made


def failing(status: grpc.StatusCode, said: str) -> ScriptedNode:
    """A peer that answers with an error."""
    made = ScriptedNode(TLS)
    made.status = status, said
    return made


def ordered_by(*addresses: str) -> ChannelConfig:
    """The channel with orderers at these addresses."""
    start = edits.set_orderer_endpoints(build(), ORDERERS[0], addresses)
    return load(edits.set_organization_msp(start, ORDERERS[0], tls_root_certs=(TLS.certificate_pem,)))


class Peers:
    """The own peers: one that is connected, or none that has joined."""

    def __init__(self, connection: Connection | None) -> None:
        self._connection = connection

    async def on(self, channel: str) -> SimpleNamespace:
        if self._connection is None:
            raise TransientError(f"no own peer answers on channel {channel}")
        return SimpleNamespace(admin_gateway=Gateway(self._connection, person("Org1MSP")))


async def submit(peer: ScriptedNode | None, *orderers: ScriptedNode) -> None:
    """Hand the update in where these nodes run."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(*orderers, *(() if peer is None else (peer,))))
        connection = None if peer is None else await stack.enter_async_context(Connection(peer.endpoint))
        config = ordered_by(*(each.endpoint.address for each in orderers))
        await submit_update(cast("OwnPeers", Peers(connection)), config, ENVELOPE, person("Org1MSP"))


async def test_the_own_peer_is_asked_first_and_is_enough() -> None:
    peer, orderer = node(gateway_pb2.SubmitResponse()), node(TAKEN)

    await submit(peer, orderer)

    (request,) = peer.requests
    assert gateway_pb2.SubmitRequest.FromString(request).prepared_transaction == ENVELOPE
    assert orderer.requests == []


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(lambda: None, id="no-peer"),
        pytest.param(lambda: failing(grpc.StatusCode.UNAVAILABLE, "no orderers could successfully process"), id="busy"),
        pytest.param(lambda: failing(grpc.StatusCode.UNIMPLEMENTED, "unknown service gateway.Gateway"), id="old-peer"),
    ],
)
async def test_the_orderers_are_asked_directly_in_turn_when_no_own_peer_passes_it_on(
    peer: Callable[[], ScriptedNode | None],
) -> None:
    busy, taking, spare = node(BUSY), node(TAKEN), node(TAKEN)

    await submit(peer(), busy, taking, spare)

    assert [common_pb2.Envelope.FromString(each) for each in taking.requests] == [ENVELOPE]
    assert spare.requests == []


async def test_an_orderer_that_refuses_has_the_last_word() -> None:
    refusing, other = node(REFUSED), node(TAKEN)

    with pytest.raises(UpdateRefused) as refused:
        await submit(None, refusing, other)

    assert WORDS in refused.value.answer
    assert other.requests == []


async def test_a_refusal_that_the_own_peer_passes_on_is_the_orderer_s() -> None:
    peer = failing(grpc.StatusCode.ABORTED, f"orderer1:7050: received unsuccessful response: BAD_REQUEST: {WORDS}")
    orderer = node(TAKEN)

    with pytest.raises(UpdateRefused) as refused:
        await submit(peer, orderer)

    assert WORDS in refused.value.answer
    assert orderer.requests == []


async def test_orderers_that_are_all_away_are_named_and_asked_again_later() -> None:
    silent = ScriptedNode(TLS)
    silent.status = grpc.StatusCode.UNAVAILABLE, "going away"
    ended = node()

    with pytest.raises(TransientError) as failure:
        await submit(None, silent, ended)

    assert not isinstance(failure.value, UpdateRefused)
    assert all(each.endpoint.address in failure.value.message for each in (silent, ended))
    assert "no orderer of channel trade took the update" in failure.value.message
