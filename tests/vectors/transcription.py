"""Turns recorded transactions and config updates into ones of another network: own keys, the recorded roles and faults.

A recorded envelope says what was done to it: whose signatures hold, which identifier belongs to whom. The same is done
to a transaction made here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from component.proposing import assemble, endorse, propose
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.orderer import configuration_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as raft_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

from fabric_admin.channelconfig import ChannelConfig, compute_update
from fabric_admin.errors import IdentityError
from fabric_admin.identity import verify_signature
from fabric_admin.proposal import sign_payload
from fabric_devnet.crypto import CertificateAuthority, KeyPair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fabric_admin.identity import SigningIdentity
    from fabric_admin.transport import Connection
    from fabric_devnet.network import Network


@dataclass(frozen=True, slots=True)
class Recorded:
    """One endorser transaction of the recorded chain."""

    envelope: common_pb2.Envelope
    code: str

    @property
    def payload(self) -> common_pb2.Payload:
        return common_pb2.Payload.FromString(self.envelope.payload)

    @property
    def transaction_id(self) -> str:
        return common_pb2.ChannelHeader.FromString(self.payload.header.channel_header).tx_id

    @property
    def signature_header(self) -> common_pb2.SignatureHeader:
        return common_pb2.SignatureHeader.FromString(self.payload.header.signature_header)

    @property
    def action(self) -> transaction_pb2.ChaincodeActionPayload:
        transaction = transaction_pb2.Transaction.FromString(self.payload.data)
        return transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)

    @property
    def invocation(self) -> chaincode_pb2.ChaincodeSpec:
        proposal = proposal_pb2.ChaincodeProposalPayload.FromString(self.action.chaincode_proposal_payload)
        return chaincode_pb2.ChaincodeInvocationSpec.FromString(proposal.input).chaincode_spec

    @property
    def is_init(self) -> bool:
        header = common_pb2.ChannelHeader.FromString(self.payload.header.channel_header)
        return header.type == common_pb2.ENDORSER_TRANSACTION and self.invocation.input.is_init

    def proposer(self, creators: Sequence[bytes]) -> bytes | None:
        """Return the creator the identifier was made from, None when it was made from nobody."""
        nonce = self.signature_header.nonce
        return next((each for each in creators if _transaction_id(nonce, each) == self.transaction_id), None)

    def endorsements(self) -> list[tuple[str, bool]]:
        """List each endorser's MSP ID, and whether its signature holds."""
        action = self.action.action
        signed = action.proposal_response_payload
        return [(_msp_id(each.endorser), _holds(signed, each)) for each in action.endorsements]


class Transcriber:
    """Makes the transactions of a recorded chain again on `network`."""

    def __init__(
        self, network: Network, connections: Mapping[str, Connection], chain: Sequence[common_pb2.Block]
    ) -> None:
        self._network = network
        self._connections = connections
        self._made: dict[str, common_pb2.Envelope] = {}
        envelopes = (common_pb2.Envelope.FromString(data) for block in chain for data in block.data.data)
        self._creators = sorted({Recorded(each, "").signature_header.creator for each in envelopes})

    def own(self, creator: bytes) -> SigningIdentity:
        """Return the identity here that has the role of a recorded one."""
        serialized = identities_pb2.SerializedIdentity.FromString(creator)
        if serialized.mspid not in self._network.organizations:
            return self._network.orderer_admin
        units = x509.load_pem_x509_certificate(serialized.id_bytes).subject.get_attributes_for_oid(
            x509.NameOID.ORGANIZATIONAL_UNIT_NAME
        )
        organization = self._network.organizations[serialized.mspid]
        return organization.admin if "admin" in {unit.value for unit in units} else organization.client

    async def make(self, channel: str, recorded: Recorded) -> common_pb2.Envelope:
        """Return the envelope here that has the same faults."""
        known = self._made.get(recorded.transaction_id)
        if known is not None:
            return known
        sender = self.own(recorded.signature_header.creator)
        proposer_found = recorded.proposer(self._creators)
        proposer = self.own(proposer_found) if proposer_found else sender
        spec = recorded.invocation
        proposal = propose(proposer, channel, spec.chaincode_id.name, list(spec.input.args))
        answers = {}
        for msp_id, _ in recorded.endorsements():
            if msp_id not in answers:
                answers[msp_id] = await endorse(self._connections[msp_id], proposal)
        endorsed = [_damaged(answers[msp_id], holds=holds) for msp_id, holds in recorded.endorsements()]
        envelope = assemble(proposer, proposal, endorsed)
        if proposer_found is None:
            envelope = _with_header(envelope, sender, transaction_id=recorded.transaction_id)
        elif proposer is not sender:
            envelope = _with_header(envelope, sender)
        self._made[recorded.transaction_id] = envelope
        return envelope


def transcribe_update(
    network: Network, current: ChannelConfig, recorded: configtx_pb2.ConfigUpdate, original: configtx_pb2.Config
) -> bytes:
    """Return the update here that sets what a recorded one sets, as many versions ahead as that one was."""
    edited = configtx_pb2.Config()
    edited.CopyFrom(current.config)
    consensus = original.channel_group.groups["Orderer"].values["ConsensusType"].value
    change = _Change(recorded.write_set, recorded.read_set, original.channel_group)
    ahead = dict(change.lay(edited.channel_group))
    value = edited.channel_group.groups["Orderer"].values["ConsensusType"]
    standing = current.config.channel_group.groups["Orderer"].values["ConsensusType"]
    if value.value != standing.value:
        value.value = _own_consenters(network, value.value, consensus, standing.value)
    update = compute_update(current.channel_id, current.config, edited)
    for path, versions in ahead.items():
        _raise(update.write_set, current.config.channel_group, path, versions)
    return update.SerializeToString(deterministic=True)


@dataclass(frozen=True, slots=True)
class _Change:
    """One group of a recorded update: as written, as read, and as it was before."""

    written: configtx_pb2.ConfigGroup
    read: configtx_pb2.ConfigGroup
    original: configtx_pb2.ConfigGroup

    def lay(
        self, target: configtx_pb2.ConfigGroup, path: tuple[str, ...] = ()
    ) -> Iterator[tuple[tuple[str, ...], int]]:
        """Copy what is written and not merely read into `target`; yields each element and its versions ahead.

        Groups here have names in lower case.
        """
        for kind in ("values", "policies"):
            standing, elements = getattr(self.original, kind), getattr(self.written, kind)
            for name in elements.keys() - getattr(self.read, kind).keys():
                ahead = elements[name].version - standing[name].version if name in standing else 1
                getattr(target, kind)[name].CopyFrom(elements[name])
                yield (*path, kind, name), ahead
        for name, group in self.written.groups.items():
            here = name if name in target.groups else name.lower()
            change = _Change(group, self.read.groups[name], self.original.groups[name])
            yield from change.lay(target.groups[here], (*path, here))


def _raise(
    written: configtx_pb2.ConfigGroup, standing: configtx_pb2.ConfigGroup, path: tuple[str, ...], by: int
) -> None:
    *groups, kind, name = path
    for group in groups:
        written, standing = written.groups[group], standing.groups[group]
    getattr(written, kind)[name].version = getattr(standing, kind)[name].version + by


def _own_consenters(network: Network, recorded: bytes, original: bytes, own: bytes) -> bytes:
    """Put own certificates in the place of those the recorded ordering organization issued."""
    consensus = configuration_pb2.ConsensusType.FromString(recorded)
    if consensus.type != "etcdraft":
        return recorded
    metadata = raft_pb2.ConfigMetadata.FromString(consensus.metadata)
    before = raft_pb2.ConfigMetadata.FromString(configuration_pb2.ConsensusType.FromString(original).metadata)
    here = raft_pb2.ConfigMetadata.FromString(configuration_pb2.ConsensusType.FromString(own).metadata)
    issuer = x509.load_pem_x509_certificate(before.consenters[0].client_tls_cert).issuer
    authority = _orderer_tls_authority(network)
    for consenter in metadata.consenters:
        if consenter in before.consenters:
            consenter.CopyFrom(here.consenters[0])
        elif _issued_by(consenter.client_tls_cert, issuer):
            pair = authority.issue_tls("127.0.0.1", "added")
            consenter.client_tls_cert = consenter.server_tls_cert = pair.certificate_pem
    consensus.metadata = metadata.SerializeToString()
    return consensus.SerializeToString()


def _orderer_tls_authority(network: Network) -> CertificateAuthority:
    organization = network.plan.orderer_organization
    name = f"tlsca.{organization.domain}"
    directory = organization.directory / "tlsca"
    key = serialization.load_pem_private_key((directory / "priv_sk").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificate = x509.load_pem_x509_certificate((directory / f"{name}-cert.pem").read_bytes())
    return CertificateAuthority(name, KeyPair(certificate, key))


def _issued_by(pem: bytes, issuer: x509.Name) -> bool:
    try:
        return x509.load_pem_x509_certificate(pem).issuer == issuer
    except ValueError:
        return False


def _transaction_id(nonce: bytes, creator: bytes) -> str:
    return hashlib.sha256(nonce + creator).hexdigest()


def _msp_id(creator: bytes) -> str:
    return identities_pb2.SerializedIdentity.FromString(creator).mspid


def _holds(payload: bytes, endorsement: proposal_response_pb2.Endorsement) -> bool:
    pem = identities_pb2.SerializedIdentity.FromString(endorsement.endorser).id_bytes
    key = x509.load_pem_x509_certificate(pem).public_key()
    try:
        verify_signature(key, payload + endorsement.endorser, endorsement.signature)
    except IdentityError:
        return False
    return True


def _damaged(answer: proposal_response_pb2.ProposalResponse, *, holds: bool) -> proposal_response_pb2.ProposalResponse:
    damaged = proposal_response_pb2.ProposalResponse()
    damaged.CopyFrom(answer)
    if not holds:
        signature = answer.endorsement.signature
        damaged.endorsement.signature = signature[:-1] + bytes([signature[-1] ^ 1])
    return damaged


def _with_header(
    envelope: common_pb2.Envelope, sender: SigningIdentity, *, transaction_id: str = ""
) -> common_pb2.Envelope:
    """Return the same content with another sender, or another identifier, signed by that sender."""
    payload = common_pb2.Payload.FromString(envelope.payload)
    channel_header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    signature_header = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
    channel_header.tx_id = transaction_id or channel_header.tx_id
    signature_header.creator = sender.creator
    payload.header.channel_header = channel_header.SerializeToString()
    payload.header.signature_header = signature_header.SerializeToString()
    return sign_payload(sender, payload.SerializeToString())
