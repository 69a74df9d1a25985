"""What orderers accept and peers do not survive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conformance.changing import ChangingChannel
from conformance.consortium import eventually

from fabric_admin import configtree
from fabric_admin.transport import Connection
from fabric_devnet.network import Network
from fabric_devnet.spec import BackendName, ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from pathlib import Path

    from fabric_protos.common import configtx_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


def require_the_impossible(root: configtx_pb2.ConfigGroup) -> None:
    configtree.set_capabilities(root.groups["Application"], {"V2_0", "V2_5", "V9_9"})


async def test_an_application_capability_nobody_has_ends_every_peer(backend: BackendName, tmp_path: Path) -> None:
    spec = NetworkSpec(directory=tmp_path, organizations=2, channels=(ChannelSpec("doomed"),), backend=backend)
    async with Network.start(spec) as network, Connection(network.orderers[0].endpoint) as connection:
        channel = ChangingChannel(network, "doomed", connection)
        after = await channel.change(require_the_impossible, "Org1MSP", "Org2MSP")

        async def ended() -> bool:
            return not any(peer.running for peer in network.peers)

        assert after.sequence == 1
        await eventually(ended)
