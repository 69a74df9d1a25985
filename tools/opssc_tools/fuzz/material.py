"""Valid material to damage, made by the library itself: a channel, its blocks, updates, packages, certificates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import identities_pb2, msp_config_pb2
from fabric_protos.peer import policy_pb2

from fabric_admin import blocks, channelconfig, genesis, package, policy
from fabric_admin.channelconfig import Address, ChannelConfig, Consenter
from fabric_admin.definition import signature_policy_parameter
from fabric_admin.genesis import ApplicationOrganization, OrdererOrganization, Profile
from fabric_admin.identity import SigningIdentity
from fabric_admin.proposal import Moment, build_proposal
from fabric_devnet.crypto import CertificateAuthority, Role

CHANNEL: Final = "trade"
MEMBERS: Final = ("Org1MSP", "Org2MSP", "Org3MSP")
POLICIES: Final = (
    "OR('Org1MSP.admin')",
    "OutOf(2, 'Org1MSP.peer', AND('Org2MSP.admin', 'Org3MSP.client'), OR('Org1MSP.member', 'Org2MSP.orderer'))",
    "AND('Org1MSP.peer', \"Org2MSP.peer\"); OR('Org1MSP.admin', 'Org2MSP.admin')",
    "OutOf(1 + 1, 'A.admin', 'B.admin', 'C.admin')",
)
PROFILE_TEXT: Final = """\
Organizations:
  - &Org1 {Name: Org1, ID: Org1MSP, MSPDir: org1, Policies: &p {
      Readers: {Type: Signature, Rule: "OR('Org1MSP.member')"},
      Writers: {Type: Signature, Rule: "OR('Org1MSP.member')"}, Admins: {Type: Signature, Rule: "OR('Org1MSP.admin')"}}}
Orderer: &OrdererDefaults
  OrdererType: solo
  BatchTimeout: 2s
  BatchSize: {MaxMessageCount: 500, AbsoluteMaxBytes: 10 MB, PreferredMaxBytes: 2 MB}
  Organizations: [*Org1]
Profiles:
  Trade:
    Policies: *p
    Capabilities: {V3_0: true}
    Orderer: {<<: *OrdererDefaults, MaxChannels: 0x10}
    Application: {Organizations: [*Org1], ACLs: {peer/Propose: /Channel/Application/Writers}, Policies: *p}
"""
NODE_OUS_TEXT: Final = """\
NodeOUs:
  Enable: true
  ClientOUIdentifier: &ou {Certificate: cacerts/ca.pem, OrganizationalUnitIdentifier: client}
  AdminOUIdentifier: {<<: *ou, OrganizationalUnitIdentifier: admin}
OrganizationalUnitIdentifiers:
  - {Certificate: cacerts/ca.pem, OrganizationalUnitIdentifier: trade}
"""


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization's authority, its MSP definition, and one person of each role."""

    authority: CertificateAuthority
    definition: msp_config_pb2.MSPConfig
    admin: SigningIdentity
    client: SigningIdentity


@cache
def organization(msp_id: str) -> Organization:
    """Make an organization, once."""
    authority = CertificateAuthority.create(f"ca.{msp_id}", msp_id)
    roles = {
        f"{role}_ou_identifier": msp_config_pb2.FabricOUIdentifier(organizational_unit_identifier=role)
        for role in ("client", "peer", "admin", "orderer")
    }
    definition = msp_config_pb2.FabricMSPConfig(
        name=msp_id,
        root_certs=[authority.certificate_pem],
        tls_root_certs=[authority.certificate_pem],
        revocation_list=[revocation_list(authority)],
        fabric_node_ous=msp_config_pb2.FabricNodeOUs(enable=True, **roles),
    )
    admin, client = (
        SigningIdentity(msp_id, pair.certificate, pair.private_key)
        for pair in (authority.issue_identity(str(role), msp_id, role) for role in (Role.ADMIN, Role.CLIENT))
    )
    config = msp_config_pb2.MSPConfig(type=0, config=definition.SerializeToString())
    return Organization(authority, config, admin, client)


def serialized_identity(msp_id: str, pem: bytes) -> bytes:
    """Return `pb(SerializedIdentity)` of any bytes as a certificate."""
    return identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=pem).SerializeToString()


def revocation_list(authority: CertificateAuthority) -> bytes:
    """A CRL of an authority with one certificate nobody has."""
    certificate, key = authority.pair.certificate, authority.pair.private_key
    start = certificate.not_valid_before_utc
    revoked = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(start).build()
    listed = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(start)
        .next_update(certificate.not_valid_after_utc)
        .add_revoked_certificate(revoked)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return listed.public_bytes(Encoding.PEM)


def profile(members: tuple[str, ...] = MEMBERS) -> Profile:
    """A channel of these members, ordered by an organization of its own with three consenters."""
    orderers = organization("OrdererMSP")
    consenters = []
    for number in (1, 2, 3):
        tls = orderers.authority.issue_tls(f"orderer{number}", "OrdererMSP").certificate_pem
        address = Address(f"orderer{number}", 7050)
        consenters.append(Consenter(address, tls, tls, number, "OrdererMSP", orderers.admin.certificate_pem))
    return Profile(
        channel_id=CHANNEL,
        organizations=tuple(
            ApplicationOrganization(each, organization(each).definition, (Address(each.lower(), 7051),))
            for each in members
        ),
        orderers=(OrdererOrganization("Orderers", orderers.definition, ("orderer1:7050",)),),
        consenters=tuple(consenters),
        acls={"peer/Propose": "/Channel/Application/Writers"},
    )


@cache
def genesis_block() -> common_pb2.Block:
    """The channel's first block."""
    return genesis.build(profile())


@cache
def bft_block() -> common_pb2.Block:
    """The first block of the same channel under BFT."""
    etcdraft = profile()
    fourth = replace(etcdraft.consenters[0], id=4, address=Address("orderer4", 7050))
    return genesis.build(replace(etcdraft, consensus_type="BFT", consenters=(*etcdraft.consenters, fourth)))


@cache
def channel() -> ChannelConfig:
    """The channel, set up."""
    return ChannelConfig.from_block(genesis_block())


@cache
def update_envelope() -> common_pb2.Envelope:
    """A signed update that adds an organization and changes a value."""
    updated = channelconfig.edits.add_organization(channel().config, organization("Org4MSP").definition)
    updated = channelconfig.edits.set_batch(updated, max_message_count=7)
    return signed_update(channel().config, updated)


def signed_update(original: configtx_pb2.Config, updated: configtx_pb2.Config) -> common_pb2.Envelope:
    """The update between two configs with every administrator's signature."""
    update = channelconfig.compute_update(CHANNEL, original, updated)
    signatures = [channelconfig.sign(organization(each).admin, update) for each in (*MEMBERS, "OrdererMSP")]
    return channelconfig.assemble(CHANNEL, update, signatures, submitter=organization("Org1MSP").client)


@cache
def blocks_of_channel() -> tuple[bytes, ...]:
    """Config blocks of both kinds of consensus, and one with other envelopes."""
    client = organization("Org1MSP").client
    proposal = build_proposal(client, CHANNEL, "asset", [b"Set", b"a", b"b"], Moment(b"n" * 24, 1))
    mixed = common_pb2.Block(header=common_pb2.BlockHeader(number=3, previous_hash=b"p", data_hash=b"d"))
    mixed.data.data.extend([update_envelope().SerializeToString(), proposal.signed.SerializeToString()])
    signatures = common_pb2.Metadata(value=b"v", signatures=[common_pb2.MetadataSignature(signature=b"s")])
    mixed.metadata.metadata.extend([signatures.SerializeToString(), b"", b"\0\1"])
    return tuple(each.SerializeToString(deterministic=True) for each in (genesis_block(), bft_block(), mixed))


@cache
def configs() -> tuple[bytes, ...]:
    """Configs of both kinds of consensus."""
    read = (blocks.config_envelope(block)[1].config for block in (genesis_block(), bft_block()))
    return tuple(each.SerializeToString(deterministic=True) for each in read)


@cache
def packages() -> tuple[bytes, ...]:
    """Packages of both types, one with an index."""
    indexes = {"indexes/owner.json": b'{"index":{"fields":["owner"]}}', f"indexes/{'i' * 90}.json": b"{}"}
    digest = f"sha256:{'0' * 64}"
    return (
        package.build_ccaas("asset-1", "{{.peername}}:9999", tls_required=True, root_cert="pem", indexes=indexes),
        package.build_k8s("asset-1", "registry.example.com/asset", digest),
    )


@cache
def policies() -> tuple[bytes, ...]:
    """Signature policies as messages, and parameters of chaincode definitions."""
    envelopes = tuple(policy.parse(text).SerializeToString() for text in POLICIES)
    reference = policy_pb2.ApplicationPolicy(channel_config_policy_reference="/Channel/Application/Endorsement")
    return (*envelopes, signature_policy_parameter(POLICIES[1]), reference.SerializeToString())


@cache
def certificates() -> tuple[bytes, ...]:
    """Certificates of an authority, of people and of TLS, and a CRL, as PEM."""
    made = organization("Org1MSP")
    tls = made.authority.issue_tls("peer0", "Org1MSP").certificate_pem
    crl = revocation_list(made.authority)
    return (made.authority.certificate_pem, made.admin.certificate_pem, tls, crl)
