"""Organizations with real keys, and a channel of them, shared by the tests of the embedded network's core."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, policy_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

from fabric_admin import genesis
from fabric_admin.clock import new_moment
from fabric_admin.identity import SigningIdentity
from fabric_admin.msp import MSP
from fabric_admin.proposal import Proposal, build_proposal
from fabric_devnet.crypto import Role
from fabric_devnet.embedded.chain import build_block
from fabric_devnet.embedded.ledger import Ledger
from fabric_devnet.embedded.lifecycle import state as lifecycle
from fabric_devnet.embedded.transient import TransientStore
from fabric_devnet.material import write_organization

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fabric_devnet.embedded.simulator import Simulator

CHANNEL = "mychannel"
DEFAULT_POLICY = policy_pb2.ApplicationPolicy(
    channel_config_policy_reference="/Channel/Application/Endorsement"
).SerializeToString()


@dataclass(frozen=True)
class Member:
    """An organization: its MSP and one identity per role."""

    msp_id: str
    msp: MSP
    peer: SigningIdentity
    client: SigningIdentity
    admin: SigningIdentity


@dataclass(frozen=True)
class Draft:
    """A transaction before it is signed, so that a test can spoil one part."""

    creator: SigningIdentity
    proposal: Proposal
    response_payload: bytes
    endorsements: tuple[proposal_response_pb2.Endorsement, ...]

    @classmethod
    def endorse(
        cls, creator: SigningIdentity, simulator: Simulator, proposal: Proposal, chaincode: str, peers: Sequence[Member]
    ) -> Draft:
        action = proposal_pb2.ChaincodeAction(
            results=simulator.results().public.SerializeToString(),
            response=proposal_response_pb2.Response(status=200),
            chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode, version="1.0"),
        )
        payload = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=_proposal_hash(proposal), extension=action.SerializeToString()
        ).SerializeToString()
        draft = cls(creator, proposal, payload, ())
        return replace(draft, endorsements=tuple(draft.endorsement(each.peer) for each in peers))

    def endorsement(self, signer: SigningIdentity) -> proposal_response_pb2.Endorsement:
        signature = signer.sign(self.response_payload + signer.creator)
        return proposal_response_pb2.Endorsement(endorser=signer.creator, signature=signature)

    def with_endorsements(self, *endorsements: proposal_response_pb2.Endorsement) -> Draft:
        return replace(self, endorsements=endorsements)

    def envelope(self, *, signer: SigningIdentity | None = None) -> common_pb2.Envelope:
        payload = self.payload().SerializeToString()
        return common_pb2.Envelope(payload=payload, signature=(signer or self.creator).sign(payload))

    def payload(self) -> common_pb2.Payload:
        header = common_pb2.Header.FromString(self.proposal.header)
        content = proposal_pb2.Proposal.FromString(self.proposal.signed.proposal_bytes).payload
        endorsed = transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=self.response_payload, endorsements=self.endorsements
        )
        action = transaction_pb2.ChaincodeActionPayload(chaincode_proposal_payload=content, action=endorsed)
        transaction = transaction_pb2.Transaction(
            actions=[
                transaction_pb2.TransactionAction(header=header.signature_header, payload=action.SerializeToString())
            ]
        )
        return common_pb2.Payload(header=header, data=transaction.SerializeToString())


@dataclass(frozen=True)
class LifecycleState:
    """The public state of `_lifecycle` inside a simulation."""

    simulator: Simulator

    def get(self, key: str) -> bytes | None:
        return self.simulator.get_state(lifecycle.NAMESPACE, key)

    def put(self, key: str, value: bytes) -> None:
        self.simulator.put_state(lifecycle.NAMESPACE, key, value)

    def delete(self, key: str) -> None:
        self.simulator.delete_state(lifecycle.NAMESPACE, key)


@dataclass(frozen=True)
class Consortium:
    """Three members of a channel, an outsider, and the channel's genesis block."""

    members: tuple[Member, ...]
    outsider: Member
    orderer: SigningIdentity
    genesis: common_pb2.Block

    def ledger(self, msp_id: str = "Org1MSP", transient: TransientStore | None = None) -> Ledger:
        return Ledger.create(self.genesis, msp_id=msp_id, transient=transient or TransientStore())

    def draft(
        self,
        ledger: Ledger,
        program: Callable[[Simulator], object],
        *,
        chaincode: str = "basic",
        channel: str = CHANNEL,
        endorsers: int = 2,
        creator: SigningIdentity | None = None,
    ) -> Draft:
        """Simulate a program and let the first organizations endorse it."""
        creator = creator or self.members[0].client
        proposal = build_proposal(creator, channel, chaincode, [b"Invoke"], new_moment())
        simulator = ledger.simulator(proposal.transaction_id)
        program(simulator)
        return Draft.endorse(creator, simulator, proposal, chaincode, self.members[:endorsers])

    def commit(self, ledger: Ledger, *envelopes: common_pb2.Envelope) -> list[str]:
        """Commit one block of these and return the name of each validation code."""
        stored = ledger.append(build_block(ledger.height, ledger.blocks.last_hash, envelopes))
        codes = stored.metadata.metadata[common_pb2.BlockMetadataIndex.TRANSACTIONS_FILTER]
        return [transaction_pb2.TxValidationCode.Name(transaction_pb2.TxValidationCode.ValueType(c)) for c in codes]

    def define(
        self, ledger: Ledger, name: str = "basic", *, policy: bytes = DEFAULT_POLICY, collections: bytes = b""
    ) -> None:
        """Commit a chaincode definition, as a commit transaction of `_lifecycle` does."""
        parameters = lifecycle.Parameters("1.0", "escc", False, "vscc", policy, collections)  # noqa: FBT003 - Fabric's
        definition = lifecycle.Definition(name, 1, parameters)

        def program(simulator: Simulator) -> None:
            lifecycle.write_record(LifecycleState(simulator), lifecycle.DEFINITIONS, name, definition.record())

        draft = self.draft(ledger, program, chaincode=lifecycle.NAMESPACE)
        assert self.commit(ledger, draft.envelope()) == ["VALID"]


def _proposal_hash(proposal: Proposal) -> bytes:
    header = common_pb2.Header.FromString(proposal.header)
    content = proposal_pb2.Proposal.FromString(proposal.signed.proposal_bytes).payload
    return hashlib.sha256(header.channel_header + header.signature_header + content).digest()


@pytest.fixture(scope="session")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    directory = tmp_path_factory.mktemp("consortium")
    members = tuple(_member(directory, f"Org{number}MSP") for number in (1, 2, 3))
    orderers = directory / "OrdererMSP"
    write_organization(orderers, "example.com", Role.ORDERER, ("orderer0.example.com",))
    node = orderers / "orderers" / "orderer0.example.com"
    certificate = (node / "tls" / "server.crt").read_bytes()
    profile = genesis.Profile(
        CHANNEL,
        tuple(genesis.ApplicationOrganization(each.msp_id, each.msp.to_config()) for each in members),
        (
            genesis.OrdererOrganization(
                "OrdererMSP", MSP.from_directory(orderers / "msp", "OrdererMSP").to_config(), ("127.0.0.1:7050",)
            ),
        ),
        (genesis.Consenter(genesis.Address("127.0.0.1", 7050), certificate, certificate),),
    )
    orderer = SigningIdentity.from_directory("OrdererMSP", node / "msp")
    return Consortium(members, _member(directory, "Org9MSP"), orderer, genesis.build(profile))


def _member(directory: Path, msp_id: str) -> Member:
    domain = f"{msp_id.removesuffix('MSP').lower()}.example.com"
    root = directory / msp_id
    write_organization(root, domain, Role.PEER, (f"peer0.{domain}",))
    return Member(
        msp_id,
        MSP.from_directory(root / "msp", msp_id),
        SigningIdentity.from_directory(msp_id, root / "peers" / f"peer0.{domain}" / "msp"),
        SigningIdentity.from_directory(msp_id, root / "users" / f"User1@{domain}" / "msp"),
        SigningIdentity.from_directory(msp_id, root / "users" / f"Admin@{domain}" / "msp"),
    )
