"""Every lifecycle call recorded on real Fabric, replayed in its order on the embedded network."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from component.proposing import assemble, endorse, propose
from component.rawchaincode import Kind, RawChaincode, Transaction, ok, serve
from conformance.consortium import eventually
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.peer import chaincode_event_pb2, chaincode_shim_pb2, proposal_response_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2
from google.protobuf import json_format
from vectors.transcription import Recorded, Transcriber, transcribe_update

from fabric_admin.blocks import last_config_index, transactions
from fabric_admin.channelconfig import ChannelConfig, sign
from fabric_admin.channelconfig import assemble as assemble_update
from fabric_admin.clock import new_moment
from fabric_admin.deliver import Deliver
from fabric_admin.errors import OrdererRefused
from fabric_admin.gateway import Gateway
from fabric_admin.orderer import Orderer
from fabric_admin.package import parse, unpack_code
from fabric_admin.proposal import Proposal
from fabric_admin.system import System
from fabric_admin.transport import Connection
from fabric_devnet.network import Network
from fabric_devnet.spec import ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fabric_admin.identity import SigningIdentity

CHANNEL = "golden-net"
TRANSACTION_ID = re.compile(r"execute transaction [0-9a-f]{64}:")
CALLER = re.compile(r"(admin|client \(not admin\)) of (Org\dMSP)")


class Replay:
    """Makes recorded calls and describes the answers as the recording does."""

    def __init__(self, network: Network, vectors: Path, cases: list[dict[str, Any]]) -> None:
        self.network = network
        self.folder = vectors / "lifecycle"
        self.connections = {
            msp_id: Connection(organization.peers[0].endpoint) for msp_id, organization in network.organizations.items()
        }
        self.orderer = Connection(network.orderers[0].endpoint)
        chain = [
            common_pb2.Block.FromString(file.read_bytes())
            for file in sorted((vectors / "blocks" / "chain").glob("block-*.pb"))
        ]
        self.transcriber = Transcriber(network, self.connections, chain)
        self.several = _sent_together(chain, cases)
        every = (Recorded(common_pb2.Envelope.FromString(data), "") for block in chain for data in block.data.data)
        self.initializations = {each.transaction_id for each in every if each.is_init}

    async def close(self) -> None:
        for connection in (*self.connections.values(), self.orderer):
            await connection.close()

    async def run(self, case: dict[str, Any]) -> dict[str, Any] | None:
        """Return what came of a case here, None when its call was not recorded."""
        if case["kind"] == "transactions":
            return await self.transact_together(case)
        if case["kind"] == "config-update":
            return await self.update_config(case)
        caller = self.caller(case["caller"])
        if caller is None or ("peer_org" not in case and "endorsing_orgs" not in case):
            return None
        return await (self.propose if case["kind"] == "proposal" else self.transact)(case, caller)

    async def transact_together(self, case: dict[str, Any]) -> dict[str, Any] | None:
        """Endorse all transactions of a case, then send them; an envelope the orderer refused is in no block."""
        results = case["expected"]["results"]
        if any(result["broadcast_status"] != "SUCCESS" for result in results):
            return None
        recorded = [next(self.several) for _ in results]
        envelopes = [await self.transcriber.make(CHANNEL, each) for each in recorded]
        answers, ledger = [], Deliver(self.connections["Org1MSP"], self.network.organizations["Org1MSP"].client)
        height = await self.height()
        for envelope in envelopes:
            await Orderer(self.orderer, self.network.orderer_admin).broadcast(envelope)
            answers.append({"broadcast_info": "", "broadcast_status": "SUCCESS"})
        codes: list[str] = []
        async for block in ledger.blocks(CHANNEL, start=height):
            codes += [transaction.validation_code for transaction in transactions(block)]
            if len(codes) >= len(envelopes):
                break
        assert codes == [each.code for each in recorded], case["id"]
        for answer, code, result in zip(answers, codes, results, strict=True):
            answer["tx_id"] = result["tx_id"]  # other keys, other identifiers
            if "validation_code" in result:
                answer["validation_code"] = code
        return {"results": answers}

    async def height(self) -> int:
        organization = self.network.organizations["Org1MSP"]
        return (await System(self.connections["Org1MSP"], organization.admin).chain_info(CHANNEL)).height

    async def update_config(self, case: dict[str, Any]) -> dict[str, Any]:
        """Submit the same change, signed by the same roles."""
        envelope = common_pb2.Envelope.FromString((self.folder / case["envelope"]).read_bytes())
        original = configtx_pb2.Config.FromString((self.folder / case["original_config"]).read_bytes())
        payload = common_pb2.Payload.FromString(envelope.payload)
        recorded = configtx_pb2.ConfigUpdateEnvelope.FromString(payload.data)
        change = configtx_pb2.ConfigUpdate.FromString(recorded.config_update)
        creators = [_creator(each.signature_header) for each in recorded.signatures]
        submitter = self.transcriber.own(_creator(payload.header.signature_header))
        update = transcribe_update(self.network, await self.config(), change, original)
        signatures = [sign(self.transcriber.own(creator), update) for creator in creators]
        try:
            await Orderer(self.orderer, submitter).broadcast(
                assemble_update(CHANNEL, update, signatures, submitter=submitter, moment=new_moment())
            )
        except OrdererRefused as exc:
            return {"broadcast_info": exc.info, "broadcast_status": exc.status}
        config = await self.config()
        for connection, organization in zip(
            self.connections.values(), self.network.organizations.values(), strict=True
        ):
            await self.config_arrived(System(connection, organization.admin), config.sequence)
        return {"broadcast_info": "", "broadcast_status": "SUCCESS", "sequence": config.sequence}

    async def config_arrived(self, system: System, sequence: int) -> None:
        async def arrived() -> bool:
            return (await system.channel_config(CHANNEL)).sequence == sequence

        await eventually(arrived)

    async def config(self) -> ChannelConfig:
        orderer = Orderer(self.orderer, self.network.orderer_admin)
        index = last_config_index(await orderer.fetch(CHANNEL, "newest"))
        return ChannelConfig.from_block(await orderer.fetch(CHANNEL, index))

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
        proposal = propose(caller, CHANNEL, case["chaincode"], args, is_init=self.is_init(case))
        answers = [await endorse(self.connections[msp_id], proposal) for msp_id in case["endorsing_orgs"]]
        failed = next((each.response for each in answers if not each.HasField("endorsement")), None)
        if failed is not None:
            return {"endorsement_failed": {"message": failed.message, "status": failed.status}}
        return {"validation_code": await self.submit(caller, proposal, answers)}

    def is_init(self, case: dict[str, Any]) -> bool:
        """Tell whether a call was an initialization: the chain says so, or the refusal."""
        refusal = case["expected"].get("endorsement_failed", {}).get("message", "")
        return case.get("tx_id") in self.initializations or "but called as init" in refusal

    async def submit(
        self, caller: SigningIdentity, proposal: Proposal, answers: list[proposal_response_pb2.ProposalResponse]
    ) -> str:
        envelope = assemble(caller, proposal, answers)
        await Orderer(self.orderer, caller).broadcast(envelope)
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
    if function == "bump":
        found = await transaction.ask(Kind.GET_STATE, chaincode_shim_pb2.GetState(key=args[0]))
        args = [args[0], found.decode() + "+"]
    if function == "priv":
        request = chaincode_shim_pb2.PutState(collection=args[0], key=args[1], value=args[2].encode())
    else:
        request = chaincode_shim_pb2.PutState(key=args[0], value=args[1].encode())
    await transaction.ask(Kind.PUT_STATE, request)
    return ok(b"done")


@pytest.mark.timeout(120)
async def test_the_embedded_network_answers_every_recorded_call_as_fabric_did(vectors: Path, tmp_path: Path) -> None:
    document = json.loads((vectors / "lifecycle" / "cases.json").read_text(encoding="utf-8"))
    cases = document["cases"]
    spec = NetworkSpec(directory=tmp_path, organizations=3, channels=(ChannelSpec(CHANNEL),))

    differences, skipped = {}, []
    async with (
        # First, while no connection of ours can have taken its port.
        serve(
            RawChaincode(document["package_id"], chaincode), _server(vectors / "lifecycle" / document["packages"][0])
        ) as server,
        Network.start(spec) as network,
    ):
        replay = Replay(network, vectors, cases)
        for case in cases:
            actual = await replay.run(case)
            if actual is None:
                skipped.append(case["id"])
                continue
            expected = {key: _canonical(value) for key, value in case["expected"].items() if key in actual}
            if _canonical(actual) != expected:
                differences[case["id"]] = (actual, expected)
        await replay.close()

    assert not differences, json.dumps(differences, indent=1)
    assert len(cases) - len(skipped) > 130, skipped
    assert [payload.hex() for payload in server.ready] == ["080110e807180120e807"] * 2


def _server(package: Path) -> str:
    """Return the address that the recorded package says its chaincode serves on."""
    connection = json.loads(unpack_code(parse(package.read_bytes()))["connection.json"])
    address: str = connection["address"]
    return address


def _sent_together(chain: list[common_pb2.Block], cases: list[dict[str, Any]]) -> Iterator[Recorded]:
    """Yield, in order, the recorded transactions that no case describes as a call of its own."""
    described = {case["expected"].get("block") for case in cases if case["kind"] == "transaction"}
    for block in chain:
        for data, view in zip(block.data.data, transactions(block), strict=True):
            if view.type == "ENDORSER_TRANSACTION" and block.header.number not in described:
                yield Recorded(common_pb2.Envelope.FromString(data), view.validation_code)


def _creator(signature_header: bytes) -> bytes:
    return common_pb2.SignatureHeader.FromString(signature_header).creator


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
    """Put lists in an order of their own: Fabric's is that of Go maps. Transaction IDs are those of each run."""
    if isinstance(value, str):
        return TRANSACTION_ID.sub("execute transaction ID:", value)
    if isinstance(value, dict):
        return {key: _canonical(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((_canonical(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value
