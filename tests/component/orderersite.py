"""An embedded orderer with real gRPC, TLS and HTTPS, and what its tests send it."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2, ab_pb2_grpc

from fabric_admin.clock import new_moment
from fabric_admin.errors import DeliverError, OrdererRefused
from fabric_admin.identity import SigningIdentity
from fabric_admin.orderer import Orderer as OrdererClient
from fabric_admin.participation import Participation
from fabric_admin.proposal import Moment, build_envelope
from fabric_admin.transport import Connection, Endpoint
from fabric_devnet.embedded.orderer import Orderer
from fabric_devnet.embedded.ordering import OrderingService
from fabric_devnet.material import write_material
from fabric_devnet.network import load_user
from fabric_devnet.plan import NetworkPlan, build_plan
from fabric_devnet.profile import build_genesis_block
from fabric_devnet.spec import ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

from contextlib import asynccontextmanager

CHANNEL = "mychannel"
MEMBER = "Org1MSP"
OUTSIDER = "Org2MSP"


@dataclass(frozen=True)
class Site:
    """One orderer, running, with a channel of Org1 that Org2 is no member of."""

    plan: NetworkPlan
    orderer: Orderer
    service: OrderingService
    genesis: common_pb2.Block

    def user(self, msp_id: str, name: str = "User1") -> SigningIdentity:
        organization = next(each for each in self.plan.organizations if each.msp_id == msp_id)
        return load_user(organization.directory, organization.domain, msp_id, name)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.orderer.node.address, (self.orderer.node.directory / "tls" / "ca.crt").read_bytes())

    def participation(self) -> Participation:
        organization = self.plan.orderer_organization
        tls = organization.directory / "users" / f"Admin@{organization.domain}" / "tls"
        return Participation(
            f"https://{self.orderer.node.admin_address}",
            (tls / "ca.crt").read_bytes(),
            (tls / "client.crt").read_bytes(),
            (tls / "client.key").read_bytes(),
        )


@asynccontextmanager
async def running_orderer(directory: Path) -> AsyncIterator[Site]:
    """Run one orderer of two organizations that has joined nothing yet."""
    spec = NetworkSpec(
        directory=directory,
        organizations=2,
        channels=(ChannelSpec(CHANNEL, (MEMBER,)),),
        batch_timeout="100ms",
        max_message_count=3,
    )
    plan = build_plan(spec)
    write_material(plan)
    service = OrderingService()
    orderer = Orderer(plan.orderers[0], service)
    await orderer.start()
    try:
        yield Site(plan, orderer, service, build_genesis_block(plan, spec.channels[0]))
    finally:
        await orderer.stop()


def message(
    signer: SigningIdentity,
    *,
    channel: str = CHANNEL,
    kind: common_pb2.HeaderType.ValueType = common_pb2.ENDORSER_TRANSACTION,
    content: bytes = b"content",
) -> common_pb2.Envelope:
    return build_envelope(signer, kind, channel, content, new_moment())


async def wait_for_height(site: Site, height: int) -> None:
    chain = site.service.chain(site.orderer.member, CHANNEL)
    assert chain is not None
    async with asyncio.timeout(10):
        await chain.blocks.wait_for_height(height)


def position(kind: str, number: int = 0) -> ab_pb2.SeekPosition:
    return {
        "oldest": ab_pb2.SeekPosition(oldest=ab_pb2.SeekOldest()),
        "newest": ab_pb2.SeekPosition(newest=ab_pb2.SeekNewest()),
        "next": ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit()),
        "at": ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=number)),
        "unset": ab_pb2.SeekPosition(),
    }[kind]


def seek_envelope(
    signer: SigningIdentity, seek: ab_pb2.SeekInfo, *, channel: str = CHANNEL, minutes: int = 0
) -> common_pb2.Envelope:
    moment = Moment(secrets.token_bytes(24), time.time_ns() + minutes * 60 * 1_000_000_000)
    return build_envelope(signer, common_pb2.DELIVER_SEEK_INFO, channel, seek.SerializeToString(), moment)


async def delivered(site: Site, envelope: common_pb2.Envelope) -> tuple[list[int], str]:
    """Return the numbers of the blocks and the name of the status a request is answered with."""
    numbers: list[int] = []
    async with Connection(site.endpoint) as connection:
        call = ab_pb2_grpc.AtomicBroadcastStub(connection.channel).Deliver(timeout=10)
        await call.write(envelope)
        async for answer in call:
            if answer.WhichOneof("Type") == "status":
                call.cancel()
                return numbers, common_pb2.Status.Name(answer.status)
            numbers.append(answer.block.header.number)
    raise DeliverError("none", "the stream ended without a status")


async def refused(site: Site, signer: SigningIdentity, envelope: common_pb2.Envelope) -> OrdererRefused:
    async with Connection(site.endpoint) as connection:
        with pytest.raises(OrdererRefused) as refusal:
            await OrdererClient(connection, signer).broadcast(envelope)
    return refusal.value


async def join(site: Site) -> None:
    async with site.participation() as participation:
        await participation.join(site.genesis)
