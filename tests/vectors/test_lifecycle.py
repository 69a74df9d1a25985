"""Every lifecycle call recorded on real Fabric, replayed in its order on the embedded network."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from component.proposing import assemble, endorse, propose
from component.rawchaincode import Kind, RawChaincode, Transaction, ok, serve
from fabric_protos.peer import chaincode_event_pb2, chaincode_shim_pb2, proposal_response_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2
from google.protobuf import json_format

from fabric_admin.gateway import Gateway
from fabric_admin.orderer import Orderer
from fabric_admin.proposal import Proposal
from fabric_admin.transport import Connection
from fabric_devnet.network import Network
from fabric_devnet.spec import ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from pathlib import Path

    from fabric_admin.identity import SigningIdentity

CHANNEL = "golden-net"
SERVER = "127.0.0.1:37180"  # written in the recorded package
# Made with identities and envelopes that were not recorded as calls; other suites cover them.
OTHER_KINDS = ("transactions", "config-update")
CALLER = re.compile(r"(admin|client \(not admin\)) of (Org\dMSP)")


class Replay:
    """Makes recorded calls and describes the answers as the recording does."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.connections = {
            msp_id: Connection(organization.peers[0].endpoint) for msp_id, organization in network.organizations.items()
        }

    def caller(self, text: str) -> SigningIdentity | None:
        found = CALLER.fullmatch(text)
        organization = self.network.organizations.get(found[2]) if found else None
        if found is None or organization is None:
            return None
        return organization.admin if found[1] == "admin" else organization.client

    async def propose(self, case: dict[str, Any], caller: SigningIdentity) -> dict[str, Any]:
        proposal = propose(caller, case["channel"], case["chaincode"], _args(case))
        try:
            answer = await endorse(self.connections[case["peer_org"]], proposal)
        except grpc.aio.AioRpcError as exc:
            return {"grpc_code": exc.code().name.capitalize(), "grpc_message": exc.details()}
        return _describe(answer, case)

    async def transact(self, case: dict[str, Any], caller: SigningIdentity) -> dict[str, Any]:
        args = _args(case) if "args" in case else [case["function"].encode(), *map(str.encode, case["arguments"])]
        is_init = case["id"].startswith("tx-init")
        proposal = propose(caller, CHANNEL, case["chaincode"], args, is_init=is_init)
        answers = [await endorse(self.connections[msp_id], proposal) for msp_id in case["endorsing_orgs"]]
        failed = next((each.response for each in answers if not each.HasField("endorsement")), None)
        if failed is not None:
            return {"endorsement_failed": {"message": failed.message, "status": failed.status}}
        return {"validation_code": await self.submit(caller, proposal, answers)}

    async def submit(
        self, caller: SigningIdentity, proposal: Proposal, answers: list[proposal_response_pb2.ProposalResponse]
    ) -> str:
        envelope = assemble(caller, proposal, answers)
        async with Connection(self.network.orderers[0].endpoint) as connection:
            await Orderer(connection, caller).broadcast(envelope)
        codes = set()
        for msp_id, connection in self.connections.items():
            client = self.network.organizations[msp_id].client
            status = await Gateway(connection, client).commit_status(CHANNEL, proposal.transaction_id)
            codes.add(status.code)
        assert len(codes) == 1, f"peers disagree: {codes}"
        return codes.pop()


async def chaincode(transaction: Transaction) -> proposal_response_pb2.Response:
    """Do what the recorded chaincode did."""
    function, *args = transaction.args
    if function == "fail":
        return proposal_response_pb2.Response(status=500, message=f"asked to fail: {args[0]}")
    if function == "event":
        transaction.event = chaincode_event_pb2.ChaincodeEvent(event_name="happened", payload=args[0].encode())
        args = [args[0], "e"]
    if function == "priv":
        request = chaincode_shim_pb2.PutState(collection=args[0], key=args[1], value=args[2].encode())
    else:
        request = chaincode_shim_pb2.PutState(key=args[0], value=args[1].encode())
    await transaction.ask(Kind.PUT_STATE, request)
    return ok(b"done")


@pytest.mark.timeout(120)
async def test_the_embedded_network_answers_every_recorded_call_as_fabric_did(vectors: Path, tmp_path: Path) -> None:
    document = json.loads((vectors / "lifecycle" / "cases.json").read_text(encoding="utf-8"))
    # What follows a config update needs one; the embedded orderer does not apply them yet.
    before = itertools.takewhile(lambda case: case["kind"] != "config-update", document["cases"])
    cases = [case for case in before if case["kind"] not in OTHER_KINDS]
    spec = NetworkSpec(directory=tmp_path, organizations=3, channels=(ChannelSpec(CHANNEL),))

    differences, skipped = {}, []
    async with (
        # First, while no connection of ours can have taken its port.
        serve(RawChaincode(document["package_id"], chaincode), SERVER) as server,
        Network.start(spec) as network,
    ):
        replay = Replay(network)
        for case in cases:
            caller = replay.caller(case["caller"])
            if caller is None or ("peer_org" not in case and "endorsing_orgs" not in case):
                skipped.append(case["id"])
                continue
            run = replay.propose if case["kind"] == "proposal" else replay.transact
            actual = await run(case, caller)
            expected = {key: _canonical(value) for key, value in case["expected"].items() if key in actual}
            if actual != expected:
                differences[case["id"]] = (actual, expected)
        for connection in replay.connections.values():
            await connection.close()

    assert not differences, json.dumps(differences, indent=1)
    assert len(cases) - len(skipped) > 80, skipped
    assert [payload.hex() for payload in server.ready] == ["080110e807180120e807"] * 2


def _args(case: dict[str, Any]) -> list[bytes]:
    if "raw_args_hex" in case:
        return [case["function"].encode(), *map(bytes.fromhex, case["raw_args_hex"] or [])]
    message = getattr(lifecycle_pb2, case["args_type"].removeprefix("lifecycle."))()
    json_format.ParseDict(case["args"], message)
    return [case["function"].encode(), message.SerializeToString()]


def _describe(answer: proposal_response_pb2.ProposalResponse, case: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "endorsed": answer.HasField("endorsement"),
        "message": answer.response.message,
        "status": answer.response.status,
    }
    if "payload_type" in case["expected"]:
        message = getattr(lifecycle_pb2, case["expected"]["payload_type"].removeprefix("lifecycle."))()
        message.ParseFromString(answer.response.payload)
        described["payload"] = _canonical(json_format.MessageToDict(message, preserving_proto_field_name=True))
    return described


def _canonical(value: Any) -> Any:
    """Put lists in an order of their own: Fabric's is that of Go maps."""
    if isinstance(value, dict):
        return {key: _canonical(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((_canonical(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value
