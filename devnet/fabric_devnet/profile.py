"""The genesis block of a network's channel: members with anchor peers, Raft consenters, policies, batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_admin import genesis
from fabric_admin.clock import new_moment
from fabric_admin.msp_directory import read_config
from fabric_devnet.release import FABRIC_3_1_5

if TYPE_CHECKING:
    from fabric_protos.common import common_pb2

    from fabric_devnet.plan import NetworkPlan, OrdererNode, OrdererOrganizationPlan, OrganizationPlan
    from fabric_devnet.spec import ChannelSpec

# A single Raft node elects itself after ten ticks: half a second instead of five after a restart.
_RAFT = genesis.RaftOptions(tick_interval="50ms")


def build_genesis_block(plan: NetworkPlan, channel: ChannelSpec) -> common_pb2.Block:
    """Build block 0 of `channel` from the plan's MSP directories; config groups are named `org1`, not `Org1MSP`."""
    members = plan.spec.members(channel)
    newest = plan.spec.channel_capability or FABRIC_3_1_5.channel_capability
    profile = genesis.Profile(
        channel_id=channel.name,
        organizations=tuple(_member(each) for each in plan.organizations if each.msp_id in members),
        orderers=tuple(_orderers(owner) for owner in plan.orderer_organizations),
        consenters=tuple(
            build_consenter(node, number)
            for number, node in enumerate((each for each in plan.orderers if not each.spare), start=1)
        ),
        consensus_type=channel.consensus,
        batch=genesis.Batch(timeout=plan.spec.batch_timeout, max_message_count=plan.spec.max_message_count),
        raft=_RAFT,
        capabilities=genesis.Capabilities(channel=frozenset({newest})),
        lifecycle_endorsement=channel.lifecycle_endorsement,
    )
    moment = new_moment()
    return genesis.build(profile, nonce=moment.nonce, unix_nanoseconds=moment.unix_nanoseconds)


def _member(organization: OrganizationPlan) -> genesis.ApplicationOrganization:
    return genesis.ApplicationOrganization(
        name=organization.name,
        msp=read_config(organization.directory / "msp", organization.msp_id),
        anchor_peers=(_address(organization.peers[0].address),),
    )


def _orderers(organization: OrdererOrganizationPlan) -> genesis.OrdererOrganization:
    return genesis.OrdererOrganization(
        name=organization.name,
        msp=read_config(organization.directory / "msp", organization.msp_id),
        endpoints=tuple(node.address for node in organization.orderers if not node.spare),
    )


def build_consenter(node: OrdererNode, number: int = 0) -> genesis.Consenter:
    """Describe an orderer as a consenter, with the certificates it has now; `number` is its ID where it is BFT."""
    certificate = (node.directory / "tls" / "server.crt").read_bytes()
    identity = (node.directory / "msp" / "signcerts" / "cert.pem").read_bytes()
    return genesis.Consenter(_address(node.address), certificate, certificate, number, node.msp_id, identity)


def _address(text: str) -> genesis.Address:
    host, _, port = text.rpartition(":")
    return genesis.Address(host, int(port))
