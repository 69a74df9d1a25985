"""The ordering service of a network: one log per channel, and which orderers keep it.

Several orderers are endpoints of the same log; there is no consensus among them. A channel without a quorum of running
consenters orders nothing, as with Raft and BFT. Knows no gRPC and no HTTP.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fabric_admin.channelconfig import BFT
from fabric_admin.errors import FabricError
from fabric_admin.policy import SignedData
from fabric_devnet.embedded.chain import Chain
from fabric_devnet.embedded.consenters import consenter_id, is_consenter, quorum
from fabric_devnet.embedded.errors import OrderingStopped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from fabric_protos.common import common_pb2

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_admin.identity import SigningIdentity

_READERS = "/Channel/Readers"
_ORDERER_READERS = "/Channel/Orderer/Readers"


@dataclass(slots=True, eq=False)
class Member:
    """One orderer as the service knows it: its identity, its TLS certificate (DER) and the channels it joined."""

    name: str
    identity: SigningIdentity
    tls_certificate: bytes
    running: bool = False
    channels: set[str] = field(default_factory=set)
    removing: set[str] = field(default_factory=set)


class OrderingService:
    """The logs of all channels, shared by the orderers of one network."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self._chains: dict[str, Chain] = {}
        self._changed = asyncio.Event()

    def enrol(self, name: str, identity: SigningIdentity, tls_certificate: bytes) -> Member:
        """Make an orderer known, or return it as it was when it is already."""
        return self.members.setdefault(name, Member(name, identity, tls_certificate))

    def set_running(self, member: Member, *, running: bool) -> None:
        """Note that an orderer started or stopped; what waits for a block is cut before the last one stops."""
        if not running:
            for channel_id in member.channels:
                self._chains[channel_id].flush()
        member.running = running
        self._announce()

    def chain(self, member: Member, channel_id: str) -> Chain | None:
        """Return the log of a channel this orderer joined, None otherwise."""
        return self._chains.get(channel_id) if channel_id in member.channels else None

    def join(self, member: Member, genesis: common_pb2.Block, channel_id: str) -> Chain:
        """Let an orderer keep a channel, beginning its log when it is the first; raises InvalidInput."""
        chain = self._chains.get(channel_id)
        if chain is None:
            chain = Chain(genesis, lambda: self._signers(channel_id))
            self._chains[channel_id] = chain
        member.channels.add(channel_id)
        self._announce()
        return chain

    def leave(self, member: Member, channel_id: str) -> None:
        """Let an orderer drop a channel; the log ends with the last orderer that keeps it."""
        member.channels.discard(channel_id)
        if not any(channel_id in other.channels for other in self.members.values()):
            del self._chains[channel_id]
        self._announce()

    def has_quorum(self, channel_id: str) -> bool:
        """Tell whether enough consenters of the channel run and keep it to order messages."""
        chain = self._chains[channel_id]
        keepers = self._keepers(channel_id)
        active = sum(is_consenter(chain.config, each.tls_certificate, each.identity) for each in keepers)
        return active >= quorum(chain.config)

    def running_members(self, channel_id: str) -> tuple[Member, ...]:
        """Return the running orderers that keep a channel."""
        return tuple(self._keepers(channel_id))

    def running_certificates(self, channel_id: str) -> frozenset[bytes]:
        """Return the TLS certificates (DER) of the running orderers that keep a channel."""
        return frozenset(member.tls_certificate for member in self._keepers(channel_id))

    async def follow(
        self, channel_id: str, start: int, reader: SigningIdentity
    ) -> AsyncGenerator[common_pb2.Block, None]:
        """Yield a channel's blocks from number `start` on, for ever, to a reader that satisfies its Readers.

        Waits while no orderer keeps the channel, and while the reader may not read.
        """
        signed = SignedData(data=reader.creator, identity=reader.creator, signature=reader.sign(reader.creator))
        number = start
        while True:
            chain = await self._serving(channel_id)
            await chain.blocks.wait_for_height(number + 1)
            if not self._keepers(channel_id):
                continue
            if not _may_read(chain, signed):
                await chain.blocks.wait_for_height(chain.height + 1)
                continue
            yield chain.blocks.block(number)
            number += 1

    def _keepers(self, channel_id: str) -> list[Member]:
        return [member for member in self.members.values() if member.running and channel_id in member.channels]

    def _signers(self, channel_id: str) -> Sequence[tuple[int | None, SigningIdentity]]:
        """Who signs the next block: one orderer, with BFT all that take part, each with its number."""
        config = self._chains[channel_id].config
        identities = [member.identity for member in self._keepers(channel_id)]
        if not identities:
            raise OrderingStopped(f"no orderer of channel {channel_id} is running")
        if config.consensus_type != BFT:
            return [(None, identities[0])]
        numbered = [(consenter_id(config, identity), identity) for identity in identities]
        return [(number, identity) for number, identity in numbered if number is not None]

    async def _serving(self, channel_id: str) -> Chain:
        while not self._keepers(channel_id):
            await self._changed.wait()
        return self._chains[channel_id]

    def _announce(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def check_reader(config: ChannelConfig, signed: SignedData) -> None:
    """Refuse who may not read a channel from its orderers; raises PolicyNotSatisfied.

    In maintenance mode only orderer organizations may: peers then receive no blocks.
    """
    config.policies.evaluate(_ORDERER_READERS if config.consensus.in_maintenance else _READERS, [signed])


def _may_read(chain: Chain, signed: SignedData) -> bool:
    try:
        check_reader(chain.config, signed)
    except FabricError:
        return False
    return True
