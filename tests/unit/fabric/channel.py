"""A channel for tests of config changes: three members, one orderer organization, people with every role."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from fabric_protos.common import common_pb2, configtx_pb2
from unit.fabric.authority import authority

from fabric_admin import blocks, channelconfig, genesis
from fabric_admin.channelconfig import Address, ChannelConfig, Consenter
from fabric_admin.genesis import ApplicationOrganization, Capabilities, OrdererOrganization, Profile
from fabric_admin.identity import SigningIdentity

CHANNEL = "trade"
MEMBERS = ("Org1MSP", "Org2MSP", "Org3MSP")
ORDERERS = ("OrdererMSP",)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@cache
def person(msp_id: str, role: str = "admin", name: str = "first") -> SigningIdentity:
    """Somebody of an organization with a role."""
    return authority(msp_id).issue(role, name=name)


@cache
def consenter(number: int, msp_id: str = "OrdererMSP") -> Consenter:
    """An orderer node with certificates of its own."""
    node = person(msp_id, "orderer", f"node{number}")
    tls = [person(msp_id, "orderer", f"{kind}{number}").certificate_pem for kind in ("client", "server")]
    return Consenter(
        Address(f"orderer{number}", 7050), tls[0], tls[1], id=number, msp_id=msp_id, identity=node.certificate_pem
    )


PROFILE = Profile(
    channel_id=CHANNEL,
    organizations=tuple(
        ApplicationOrganization(
            f"Org{number}", authority(f"Org{number}MSP").config(), (Address(f"peer{number}", 7051),)
        )
        for number in (1, 2, 3)
    ),
    orderers=(OrdererOrganization("Orderers", authority("OrdererMSP").config(), ("orderer1:7050",)),),
    consenters=tuple(consenter(number) for number in (1, 2, 3)),
    acls={"peer/Propose": "/Channel/Application/Writers"},
)
BFT_PROFILE = replace(PROFILE, consensus_type="BFT", consenters=tuple(consenter(number) for number in (1, 2, 3, 4)))
OLD_PROFILE = replace(PROFILE, capabilities=Capabilities(frozenset({"V2_0"}), frozenset({"V2_0"}), frozenset({"V2_0"})))


def build(profile: Profile = PROFILE) -> configtx_pb2.Config:
    """The config of a new channel."""
    return blocks.config_envelope(genesis.build(profile))[1].config


def load(config: configtx_pb2.Config) -> ChannelConfig:
    """The config set up."""
    return ChannelConfig.from_config(config, CHANNEL)


def envelope(
    original: configtx_pb2.Config,
    updated: configtx_pb2.Config,
    signers: tuple[SigningIdentity, ...],
    submitter: SigningIdentity | None = None,
) -> common_pb2.Envelope:
    """What would be sent to change one config into the other."""
    update = channelconfig.compute_update(CHANNEL, original, updated)
    return sent(update, signers, submitter)


def sent(
    update: configtx_pb2.ConfigUpdate,
    signers: tuple[SigningIdentity, ...],
    submitter: SigningIdentity | None = None,
) -> common_pb2.Envelope:
    """An update signed and submitted, by a plain client unless somebody else is named."""
    signatures = [channelconfig.sign(each, update) for each in signers]
    return channelconfig.assemble(CHANNEL, update, signatures, submitter=submitter or person("Org1MSP", "client"))


def admins(*msp_ids: str) -> tuple[SigningIdentity, ...]:
    """One administrator of each organization."""
    return tuple(person(each) for each in msp_ids)
