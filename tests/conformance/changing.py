"""A channel of a test's own whose config it may change, on any backend."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from conformance.consortium import eventually
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.orderer import configuration_pb2

from fabric_admin.blocks import last_config_index
from fabric_admin.channelconfig import ChannelConfig, assemble, compute_update, sign
from fabric_admin.clock import new_moment
from fabric_admin.errors import ChaincodeError, OrdererRefused
from fabric_admin.orderer import Orderer
from fabric_admin.system import System
from fabric_admin.transport import Connection
from fabric_devnet.channels import create_channel
from fabric_devnet.spec import ChannelSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from fabric_admin.identity import SigningIdentity
    from fabric_devnet.network import Network


class Refused(NamedTuple):
    """An orderer's answer to a config update."""

    status: str
    text: str


@dataclass(frozen=True, slots=True)
class ChangingChannel:
    """One channel, its orderer, and the administrators who change it."""

    network: Network
    name: str
    connection: Connection

    @classmethod
    @contextlib.asynccontextmanager
    async def create(cls, network: Network, name: str, members: Sequence[str] = ()) -> AsyncIterator[ChangingChannel]:
        await create_channel(network, ChannelSpec(name, members=tuple(members)))
        async with Connection(network.orderers[0].endpoint) as connection:
            yield cls(network, name, connection)

    def admin(self, msp_id: str) -> SigningIdentity:
        if msp_id == self.network.orderer_admin.msp_id:
            return self.network.orderer_admin
        return self.network.organizations[msp_id].admin

    @property
    def orderer(self) -> Orderer:
        """The orderer as its own administrator reaches it."""
        return Orderer(self.connection, self.network.orderer_admin)

    async def config(self) -> ChannelConfig:
        """The config as the orderer has it."""
        newest = await self.orderer.fetch(self.name, "newest")
        index = last_config_index(newest)
        block = newest if index == newest.header.number else await self.orderer.fetch(self.name, index)
        return ChannelConfig.from_block(block)

    async def update(self, edit: Callable[[configtx_pb2.ConfigGroup], None]) -> bytes:
        """Compute the update that an edit of the current config amounts to."""
        config = (await self.config()).config
        edited = configtx_pb2.Config()
        edited.CopyFrom(config)
        edit(edited.channel_group)
        return compute_update(self.name, config, edited).SerializeToString()

    def envelope(
        self, update: bytes, signers: Sequence[SigningIdentity], submitter: SigningIdentity
    ) -> common_pb2.Envelope:
        signatures = [sign(signer, update, nonce=new_moment().nonce) for signer in signers]
        return assemble(self.name, update, signatures, submitter=submitter, moment=new_moment())

    async def submit(self, update: bytes, signers: Sequence[str], submitter: SigningIdentity | None = None) -> None:
        """Broadcast an update signed by these organizations' administrators; raises OrdererRefused."""
        admins = [self.admin(msp_id) for msp_id in signers]
        submitter = submitter or (admins[0] if admins else self.network.orderer_admin)
        await Orderer(self.connection, submitter).broadcast(self.envelope(update, admins, submitter))

    async def change(self, edit: Callable[[configtx_pb2.ConfigGroup], None], *signers: str) -> ChannelConfig:
        """Carry out an edit and wait until the orderer has it; returns the config that results."""
        before = (await self.config()).sequence
        await self.submit(await self.update(edit), signers)

        async def changed() -> bool:
            return (await self.config()).sequence == before + 1

        await eventually(changed)
        return await self.config()

    async def refusal(self, update: bytes, *signers: str, submitter: SigningIdentity | None = None) -> Refused:
        """Return how the orderer refuses an update, without the prefix that every refusal of an update has."""
        try:
            await self.submit(update, signers, submitter)
        except OrdererRefused as exc:
            return Refused(
                exc.status, exc.info.removeprefix(f"error applying config update to existing channel '{self.name}': ")
            )
        raise AssertionError("the orderer accepted the update")

    async def seen_by(self, msp_id: str, sequence: int) -> None:
        """Wait until an organization's peer has the config of this sequence."""
        organization = self.network.organizations[msp_id]
        async with Connection(organization.peers[0].endpoint) as connection:
            system = System(connection, organization.admin)

            async def arrived() -> bool:
                try:
                    return (await system.channel_config(self.name)).sequence >= sequence
                except ChaincodeError:
                    return False  # a newcomer may not read before it has the config that lets it in

            await eventually(arrived)


def set_batch_timeout(text: str) -> Callable[[configtx_pb2.ConfigGroup], None]:
    """Return the edit that sets the orderer's BatchTimeout."""

    def edit(root: configtx_pb2.ConfigGroup) -> None:
        root.groups["Orderer"].values["BatchTimeout"].value = configuration_pb2.BatchTimeout(
            timeout=text
        ).SerializeToString()

    return edit
