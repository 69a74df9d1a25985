"""What a peer answers below the Gateway: proposals, its system chaincodes, discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from component.proposing import assemble, endorse, propose
from component.rawchaincode import ok
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.common import common_pb2
from fabric_protos.discovery import protocol_pb2, protocol_pb2_grpc
from fabric_protos.gossip import message_pb2
from fabric_protos.peer import (
    peer_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
)
from fabric_protos.peer.lifecycle import lifecycle_pb2

from fabric_admin.certificates import curve_order
from fabric_admin.clock import new_moment
from fabric_admin.errors import ChaincodeError
from fabric_admin.orderer import Orderer
from fabric_admin.proposal import Moment, build_proposal
from fabric_admin.transport import Connection
from fabric_devnet.release import FABRIC_3_0

if TYPE_CHECKING:
    from component.rawdeployment import RawDeployment
    from conformance.consortium import Consortium

    from fabric_admin.identity import SigningIdentity

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHANNEL = "mychannel"
QUERY = [b"QueryChaincodeDefinitions", b""]
_HOUR_NANOSECONDS = 3600 * 10**9


async def refusal(consortium: Consortium, signed: proposal_pb2.SignedProposal) -> tuple[str, str]:
    """Send a proposal that must be refused before simulation; its code and text."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await peer_pb2_grpc.EndorserStub(consortium.first.connection.channel).ProcessProposal(signed, timeout=10)
    return failed.value.code().name, plain(str(failed.value.details()))


def plain(text: str) -> str:
    """Go's protobuf library writes a plain or a no-break space after its name, depending on how it was built."""
    return text.replace("\u00a0", " ")


def altered(
    identity: SigningIdentity, *, header_type: int | None = None, epoch: int = 0, tx_id: str = ""
) -> proposal_pb2.SignedProposal:
    """A signed proposal whose channel header was changed before signing."""
    proposal = proposal_pb2.Proposal.FromString(propose(identity, CHANNEL, "_lifecycle", QUERY).signed.proposal_bytes)
    header = common_pb2.Header.FromString(proposal.header)
    channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
    channel_header.epoch = epoch
    if header_type is not None:
        channel_header.type = header_type
    if tx_id:
        channel_header.tx_id = tx_id
    header.channel_header = channel_header.SerializeToString()
    proposal.header = header.SerializeToString()
    data = proposal.SerializeToString()
    return proposal_pb2.SignedProposal(proposal_bytes=data, signature=identity.sign(data))


async def test_a_proposal_nobody_can_read_is_refused(consortium: Consortium) -> None:
    assert await refusal(consortium, proposal_pb2.SignedProposal(proposal_bytes=b"\xff")) == (
        "UNKNOWN",
        "failed parsing proposal: error unmarshalling Proposal: proto: cannot parse invalid wire-format data",
    )


@pytest.mark.parametrize("hours", [-1, 1], ids=["too old", "too new"])
async def test_a_proposal_outside_the_time_window_is_refused_by_3(consortium: Consortium, hours: int) -> None:  # 40
    now = new_moment()
    moment = Moment(now.nonce, now.unix_nanoseconds + hours * _HOUR_NANOSECONDS)
    signed = build_proposal(consortium.first.organization.client, CHANNEL, "_lifecycle", QUERY, moment).signed

    if consortium.network.release < FABRIC_3_0:
        stub = peer_pb2_grpc.EndorserStub(consortium.first.connection.channel)
        assert (await stub.ProcessProposal(signed, timeout=10)).response.status == ok().status
        return
    code, text = await refusal(consortium, signed)

    assert code == "UNKNOWN"
    assert text.startswith("request unauthorized due to incorrect timestamp ")
    assert text.endswith(", peer.authentication.timewindow 15m0s")


async def test_a_header_that_cannot_become_a_transaction_is_refused(consortium: Consortium) -> None:
    client = consortium.first.organization.client

    texts = [
        (await refusal(consortium, altered(client, header_type=common_pb2.HeaderType.MESSAGE)))[1],
        (await refusal(consortium, altered(client, epoch=1)))[1],
        (await refusal(consortium, altered(client, tx_id="0" * 64)))[1],
    ]

    assert texts[:2] == [
        "error validating proposal: invalid header type MESSAGE",
        "error validating proposal: epoch is non-zero",
    ]
    assert texts[2].startswith(f"error validating proposal: incorrectly computed txid '{'0' * 64}' -- expected '")


async def test_a_signature_with_high_s_is_refused(consortium: Consortium) -> None:  # 39
    client = consortium.first.organization.client
    signed = propose(client, CHANNEL, "_lifecycle", QUERY).signed
    r, s = decode_dss_signature(signed.signature)
    signed.signature = encode_dss_signature(r, curve_order(client.private_key.curve) - s)  # type: ignore[union-attr]

    assert await refusal(consortium, signed) == (
        "UNKNOWN",
        "error validating proposal: access denied: channel [mychannel] creator org [Org1MSP]",
    )


async def test_a_committed_transaction_cannot_be_proposed_again(
    consortium: Consortium, raw: RawDeployment
) -> None:  # 31
    client = consortium.first.organization.client
    moment = new_moment()
    prepared = build_proposal(client, CHANNEL, raw.name, [b"f"], moment)
    answers = [await endorse(member.connection, prepared) for member in consortium.members[:2]]
    async with Connection(consortium.network.orderers[0].endpoint) as connection:
        await Orderer(connection, client).broadcast(assemble(client, prepared, answers))
    await consortium.first.client.commit_status(CHANNEL, prepared.transaction_id)

    assert await refusal(consortium, prepared.signed) == (
        "UNKNOWN",
        f"duplicate transaction found [{prepared.transaction_id}]. Creator [{client.creator.hex()}]",
    )


async def test_an_orderers_identity_is_no_writer_of_a_chaincode(consortium: Consortium, raw: RawDeployment) -> None:
    signed = propose(consortium.network.orderer_admin, CHANNEL, raw.name, [b"f"]).signed

    assert await refusal(consortium, signed) == (
        "UNKNOWN",
        (
            "Failed evaluating policy on signed data during check policy on channel [mychannel] with policy "
            "[/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, but "
            "this policy requires 1 of the 'Writers' sub-policies to be satisfied]"
        ),
    )


async def test_an_unjoined_channel_is_an_answer_not_a_failure(consortium: Consortium) -> None:
    answer = await endorse(
        consortium.first.connection, propose(consortium.first.organization.client, "nowhere", "asset", [b"f"])
    )

    assert (answer.response.status, answer.response.message) == (500, "channel 'nowhere' not found")
    assert not answer.payload


@pytest.mark.parametrize(
    ("status", "endorsed", "with_payload"),
    [
        pytest.param(100, True, True, id="below 200"),
        pytest.param(399, True, True, id="below 400"),
        pytest.param(404, False, False, id="client error"),
        pytest.param(500, False, True, id="server error"),
    ],
)
async def test_what_is_endorsed_depends_on_the_chaincodes_status(
    consortium: Consortium, raw: RawDeployment, status: int, *, endorsed: bool, with_payload: bool
) -> None:
    async def script(_msp_id: str, _transaction: object) -> proposal_response_pb2.Response:
        return proposal_response_pb2.Response(status=status)

    raw.script = script
    answer = await endorse(
        consortium.first.connection, propose(consortium.first.organization.client, CHANNEL, raw.name, [b"f"])
    )

    assert (answer.response.status, answer.HasField("endorsement"), bool(answer.payload)) == (
        status,
        endorsed,
        with_payload,
    )


@pytest.mark.parametrize(
    ("args", "text"),
    [
        pytest.param(["GetChainInfo"], "Incorrect number of arguments, 1", id="too few"),
        pytest.param(["GetChainInfo", "nowhere"], "Invalid chain ID, nowhere", id="channel"),
        pytest.param(["GetBlockByNumber", CHANNEL], "missing 3rd argument for GetBlockByNumber", id="argument"),
        pytest.param(
            ["GetBlockByNumber", CHANNEL, "99999"],
            "Failed to get block number 99999, error no such block number [99999] in index",
            id="number",
        ),
        pytest.param(
            ["GetBlockByNumber", CHANNEL, "x"],
            'Failed to parse block number with error strconv.ParseUint: parsing "x": invalid syntax',
            id="no number",
        ),
        pytest.param(
            ["GetTransactionByID", CHANNEL, "nosuch"],
            "Failed to get transaction with id nosuch, error no such transaction ID [nosuch] in index",
            id="transaction",
        ),
        pytest.param(
            ["GetBlockByTxID", CHANNEL, "nosuch"],
            "Failed to get block for txID nosuch, error no such transaction ID [nosuch] in index",
            id="block of transaction",
        ),
        pytest.param(
            ["GetNothing", CHANNEL, "x"],
            "access denied for [GetNothing][mychannel]: [Unmapped policy for qscc/GetNothing]",
            id="function",
        ),
    ],
)
async def test_qscc_says_what_it_cannot_find(consortium: Consortium, args: list[str], text: str) -> None:  # 61
    with pytest.raises(ChaincodeError) as refused:
        await consortium.first.endorser.call("qscc", [arg.encode() for arg in args])

    assert (refused.value.status, refused.value.message) == (500, text)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        pytest.param(["GetConfigBlock"], "Incorrect number of arguments, 1", id="too few"),
        pytest.param(
            ["GetConfigBlock", "nowhere"],
            "access denied for [GetConfigBlock][nowhere]: Failed to get policy manager for channel [nowhere]",
            id="channel",
        ),
        pytest.param(["GetNothing", "x"], "Requested function GetNothing not found.", id="function"),
        pytest.param(
            ["JoinChain", "\x0a\x02"],
            "Failed to reconstruct the genesis block, error unmarshalling Block: "
            "proto: cannot parse invalid wire-format data",
            id="garbage",
        ),
        pytest.param(
            ["JoinChainBySnapshot", "/nowhere"],
            "cannot create ledger from snapshot /nowhere: error opening dir [/nowhere]: "
            "open /nowhere: no such file or directory",
            id="snapshot",
        ),
    ],
)
async def test_cscc_says_what_it_cannot_do(consortium: Consortium, args: list[str], text: str) -> None:
    with pytest.raises(ChaincodeError) as refused:
        await consortium.first.endorser.call("cscc", [arg.encode() for arg in args])

    assert (refused.value.status, plain(refused.value.message)) == (500, text)


async def test_an_empty_block_is_no_genesis_block(consortium: Consortium) -> None:
    block = common_pb2.Block(header=common_pb2.BlockHeader(number=0))

    with pytest.raises(ChaincodeError) as refused:
        await consortium.first.endorser.call("cscc", [b"JoinChain", block.SerializeToString()])

    assert refused.value.message == (
        '"JoinChain" request failed to extract channel id from the block due to '
        "[failed to retrieve channel id - block is empty]"
    )


async def test_a_function_of_a_channel_cannot_be_called_without_one(consortium: Consortium) -> None:
    args = [b"QueryChaincodeDefinition", lifecycle_pb2.QueryChaincodeDefinitionArgs(name="x").SerializeToString()]

    with pytest.raises(ChaincodeError) as refused:
        await consortium.first.endorser.call("_lifecycle", args)

    assert refused.value.message == (
        "Failed to authorize invocation due to failed ACL check: Failed getting local MSP principal during channelless "
        "check policy with policy [/Channel/Application/Writers]: "
        "[MSP Principal role [/Channel/Application/Writers] not recognized]"
    )


async def discover(
    consortium: Consortium, identity: SigningIdentity, *queries: protocol_pb2.Query
) -> list[protocol_pb2.QueryResult]:
    request = protocol_pb2.Request(
        authentication=protocol_pb2.AuthInfo(client_identity=identity.creator), queries=queries
    ).SerializeToString()
    signed = protocol_pb2.SignedRequest(payload=request, signature=identity.sign(request))
    service = protocol_pb2_grpc.DiscoveryStub(consortium.first.connection.channel)
    return list((await service.Discover(signed, timeout=10)).results)


async def test_a_member_discovers_config_peers_and_endorsers(consortium: Consortium, raw: RawDeployment) -> None:  # 67
    interest = proposal_response_pb2.ChaincodeInterest(chaincodes=[proposal_response_pb2.ChaincodeCall(name=raw.name)])

    config, peers, endorsers = await discover(
        consortium,
        consortium.first.organization.client,
        protocol_pb2.Query(channel=CHANNEL, config_query=protocol_pb2.ConfigQuery()),
        protocol_pb2.Query(channel=CHANNEL, peer_query=protocol_pb2.PeerMembershipQuery()),
        protocol_pb2.Query(channel=CHANNEL, cc_query=protocol_pb2.ChaincodeQuery(interests=[interest])),
    )

    assert set(config.config_result.msps) == {"Org1MSP", "Org2MSP", "Org3MSP", "OrdererMSP"}
    assert set(peers.members.peers_by_org) == {"Org1MSP", "Org2MSP", "Org3MSP"}
    state = message_pb2.GossipMessage.FromString(
        peers.members.peers_by_org["Org2MSP"].peers[0].state_info.payload
    ).state_info.properties
    assert ("1", raw.name) in {(each.version, each.name) for each in state.chaincodes}
    descriptor = endorsers.cc_query_res.content[0]
    assert sorted(sorted(layout.quantities_by_group.items()) for layout in descriptor.layouts) == [
        [("G0", 1), ("G1", 1)],
        [("G0", 1), ("G2", 1)],
        [("G1", 1), ("G2", 1)],
    ]


async def test_what_a_stranger_asks_discovery_is_denied(consortium: Consortium) -> None:  # 67
    peers = protocol_pb2.PeerMembershipQuery()
    unknown = proposal_response_pb2.ChaincodeInterest(chaincodes=[proposal_response_pb2.ChaincodeCall(name="nocc")])

    stranger = await discover(
        consortium, consortium.network.orderer_admin, protocol_pb2.Query(channel=CHANNEL, peer_query=peers)
    )
    member = await discover(
        consortium,
        consortium.first.organization.client,
        protocol_pb2.Query(channel="nowhere", peer_query=peers),
        protocol_pb2.Query(local_peers=protocol_pb2.LocalPeerQuery()),
        protocol_pb2.Query(channel=CHANNEL),
        protocol_pb2.Query(channel=CHANNEL, cc_query=protocol_pb2.ChaincodeQuery()),
        protocol_pb2.Query(channel=CHANNEL, cc_query=protocol_pb2.ChaincodeQuery(interests=[unknown])),
    )

    written = '{name:"nocc"}' if consortium.network.release >= FABRIC_3_0 else '<name:"nocc" > '
    assert [each.error.content for each in (*stranger, *member)] == [
        "access denied",
        "access denied",
        "access denied",
        "unknown or missing request type",
        "chaincode query must have at least one chaincode interest",
        f"failed constructing descriptor for chaincodes:{written}",
    ]
