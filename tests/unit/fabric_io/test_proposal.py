"""Proposals and definitions are the bytes Fabric expects."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from fabric_protos.common import common_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric_admin.collection import CollectionConfig, collection_package, read_collection_package
from fabric_admin.definition import channel_policy_parameter, policy_text, signature_policy_parameter
from fabric_admin.errors import BlockError, PolicySyntaxError
from fabric_admin.grpc_status import decode_details
from fabric_admin.identity import verify_signature
from fabric_admin.proposal import Moment, build_proposal, transaction_response

if TYPE_CHECKING:
    from fabric_admin.identity import SigningIdentity

MOMENT = Moment(nonce=b"n" * 24, unix_nanoseconds=1_700_000_000_000_000_123)
POLICIES = st.sampled_from(["OR('Org1MSP.member', 'Org2MSP.member')", "OR('Org1MSP.peer')"])


def test_a_proposal_says_what_was_asked_and_is_signed_by_its_creator(signer: SigningIdentity) -> None:
    proposal = build_proposal(
        signer, "mychannel", "asset", (b"Set", b"k"), MOMENT, transient={"secret": b"s"}, is_init=True
    )

    verify_signature(signer.certificate.public_key(), proposal.signed.proposal_bytes, proposal.signed.signature)
    decoded = proposal_pb2.Proposal.FromString(proposal.signed.proposal_bytes)
    assert decoded.header == proposal.header
    header = common_pb2.Header.FromString(decoded.header)
    channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
    signature_header = common_pb2.SignatureHeader.FromString(header.signature_header)
    assert proposal.transaction_id == hashlib.sha256(MOMENT.nonce + signer.creator).hexdigest()
    assert (channel_header.type, channel_header.channel_id) == (common_pb2.ENDORSER_TRANSACTION, "mychannel")
    assert channel_header.tx_id == proposal.transaction_id
    assert (channel_header.timestamp.seconds, channel_header.timestamp.nanos) == (1_700_000_000, 123)
    assert (signature_header.creator, signature_header.nonce) == (signer.creator, MOMENT.nonce)
    extension = proposal_pb2.ChaincodeHeaderExtension.FromString(channel_header.extension)
    assert extension.chaincode_id.name == "asset"
    payload = proposal_pb2.ChaincodeProposalPayload.FromString(decoded.payload)
    spec = chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input).chaincode_spec
    assert (list(spec.input.args), spec.input.is_init) == ([b"Set", b"k"], True)
    assert dict(payload.TransientMap) == {"secret": b"s"}


@pytest.mark.parametrize(
    "payload",
    [pytest.param(b"", id="empty"), pytest.param(b"\xff", id="garbage"), pytest.param(b"\x12\x00", id="no-action")],
)
def test_a_malformed_prepared_transaction_is_a_block_error(payload: bytes) -> None:
    with pytest.raises(BlockError):
        transaction_response(common_pb2.Envelope(payload=payload))


def test_the_default_policy_parameter_has_the_bytes_fabric_stores() -> None:
    parameter = channel_policy_parameter("/Channel/Application/Endorsement")

    assert parameter == b"\x12\x20/Channel/Application/Endorsement"


def test_policy_parameters_read_back_as_their_text() -> None:
    signature = signature_policy_parameter("OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.admin')")
    reference = channel_policy_parameter("/Channel/Application/Mine")

    assert signature_policy_parameter(policy_text(signature)) == signature
    assert policy_text(reference) == "/Channel/Application/Mine"


@pytest.mark.parametrize("parameter", [pytest.param(b"", id="empty"), pytest.param(b"\xff\xff", id="garbage")])
def test_a_policy_parameter_that_is_none_is_refused(parameter: bytes) -> None:
    with pytest.raises(PolicySyntaxError):
        policy_text(parameter)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            CollectionConfig,
            name=st.from_regex(r"[A-Za-z0-9-]{1,12}", fullmatch=True),
            member_orgs_policy=POLICIES,
            required_peer_count=st.integers(0, 3),
            max_peer_count=st.integers(3, 9),
            block_to_live=st.integers(0, 2**40),
            member_only_read=st.booleans(),
            member_only_write=st.booleans(),
            endorsement_policy=st.none() | POLICIES | st.just("/Channel/Application/Endorsement"),
        ),
        max_size=4,
    )
)
def test_collections_read_back_as_they_were_given(collections: list[CollectionConfig]) -> None:
    package = collection_package(collections)

    again = read_collection_package(package)

    assert collection_package(again) == package
    assert [(each.name, each.max_peer_count, each.block_to_live) for each in again] == [
        (each.name, each.max_peer_count, each.block_to_live) for each in collections
    ]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_trailer_can_make_reading_details_fail(value: bytes) -> None:
    details = decode_details([("grpc-status-details-bin", value), ("other", "text")])

    assert all(isinstance(detail.message, str) for detail in details)
