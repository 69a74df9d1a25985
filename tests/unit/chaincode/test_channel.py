"""Proposals of kind Channel: what they must say, and config signatures that only their maker may report."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.common import common_pb2, configtx_pb2
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode import identities
from unit.chaincode.identities import admin, client
from unit.chaincode.ledger import Ledger, Simulation
from unit.chaincode.strategies import NOW, closing, hex_hash, members, proposal, report, snapshot, vote

from fabric_admin.certificates import curve_order
from opssc_chaincode.canonical import dumps
from opssc_chaincode.model import (
    SCHEMA,
    Change,
    ChannelContent,
    Evidence,
    Facts,
    Kind,
    Outcome,
    Proposal,
    ProposalDocument,
    Rule,
    Step,
    change_types,
)
from opssc_chaincode.tally import StepState, derive

ORG1, ORG2, ORG3 = members(3)
UPDATE = configtx_pb2.ConfigUpdate(
    channel_id="mychannel", write_set=configtx_pb2.ConfigGroup(version=1)
).SerializeToString()
PEM = identities.certificate(("peer",)).decode()
DEFINITION = {"rootCerts": [PEM]}
CONSENTER = {"host": "orderer.example.com", "port": 7050, "clientTlsCert": PEM, "serverTlsCert": PEM}
CHANGES: dict[str, dict[str, Any]] = {
    "addOrganization": {"mspID": "Org4MSP", "definition": DEFINITION, "groups": ["Application", "Orderer"]},
    "removeOrganization": {"mspID": "Org3MSP"},
    "setAnchorPeers": {"mspID": "Org1MSP", "anchorPeers": [{"host": "peer0.org1", "port": 7051}]},
    "setOrganizationMSP": {"mspID": "Org1MSP", "rootCerts": [PEM], "nodeOUs": {"peer": {"organizationalUnit": "peer"}}},
    "setOrdererEndpoints": {"mspID": "Org1MSP", "endpoints": ["orderer.example.com:7050"]},
    "addConsenter": CONSENTER,
    "removeConsenter": {"host": "orderer.example.com", "port": 7050},
    "replaceConsenterCertificates": {"host": "orderer.example.com", "port": 7050, "serverTlsCert": PEM},
    "setBatch": {"timeout": "1s", "maxMessageCount": 100},
    "setRaftOptions": {"tickInterval": "500ms"},
    "setCapability": {"section": "Application", "level": "V2_5"},
    "setPolicy": {"path": "/Channel/Application/Admins", "rule": "ANY Admins"},
    "setModPolicy": {"path": "/Channel/Application/ACLs", "modPolicy": "/Channel/Application/Admins"},
    "setACL": {"resource": "peer/Propose", "policy": "/Channel/Application/Readers"},
    "setMaintenance": {"enabled": True},
}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def genesis(number: int = 0) -> str:
    block = common_pb2.Block(header=common_pb2.BlockHeader(number=number), data=common_pb2.BlockData(data=[b"config"]))
    return b64(block.SerializeToString())


def update_content(**more: Any) -> dict[str, Any]:
    return {"channel": "mychannel", "action": "Update", "configUpdate": b64(UPDATE), **more}


def create_content(**more: Any) -> dict[str, Any]:
    recipe = {
        "members": [{"mspID": ORG1, "definition": DEFINITION}, {"mspID": ORG2, "definition": DEFINITION}],
        "orderers": [
            {
                "mspID": ORG1,
                "definition": DEFINITION,
                "endpoints": ["orderer.example.com:7050"],
                "consenters": [CONSENTER],
            }
        ],
        **more.pop("recipe", {}),
    }
    return {"channel": "newchannel", "action": "Create", "create": recipe, "genesisBlock": genesis(), **more}


def raw_document(content: dict[str, Any], **more: Any) -> dict[str, Any]:
    created = content.get("action") == "Create"
    pinned = snapshot((ORG1, ORG2) if created else members(3), Rule(n=2, of=(ORG1, ORG2))).to_json()
    if created:
        pinned["channel"] = "ops-channel"
    return {
        "schema": SCHEMA,
        "id": "change-1",
        "kind": "Channel",
        "content": content,
        "snapshot": {**pinned, **more.pop("snapshot", {})},
        "deadline": "2026-03-08T12:00:00Z",
        **more,
    }


def parsed(content: dict[str, Any]) -> ProposalDocument:
    return ProposalDocument.parse(dumps(raw_document(content)))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(NOW)


@pytest.fixture
def proposed(ledger: Ledger) -> Proposal:
    answer = ledger.submit(admin(ORG1), "Propose", dumps(raw_document(update_content(changes=[change("setBatch")]))))
    return Proposal.parse(answer.response.payload)


def change(name: str) -> dict[str, Any]:
    return {name: CHANGES[name]}


def test_there_is_an_example_of_every_change() -> None:
    assert set(CHANGES) == set(change_types())


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_can_be_proposed(ledger: Ledger, name: str) -> None:
    raw = raw_document(update_content(changes=[change(name)]))

    answer = ledger.submit(admin(ORG1), "Propose", dumps(raw))

    assert answer.ok, answer.response.message
    content = Proposal.parse(answer.response.payload).content
    assert isinstance(content, ChannelContent)
    assert [each.type for each in content.changes] == [name]
    assert content.changes[0].to_json() == change(name)


def test_a_raw_update_and_a_new_channel_can_be_proposed(ledger: Ledger) -> None:
    for content in (update_content(), create_content()):
        raw = raw_document(content) | {"id": content["action"].lower()}

        answer = ledger.submit(admin(ORG1), "Propose", dumps(raw))

        assert answer.ok, answer.response.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(update_content(configUpdate="####"), "configUpdate", id="no base64"),
        pytest.param(update_content(configUpdate=b64(b"\xff\xff\xff")), "no ConfigUpdate", id="no protobuf"),
        pytest.param(update_content(channel="other"), "not of other", id="update of another channel"),
        pytest.param(
            update_content(configUpdate=b64(configtx_pb2.ConfigUpdate(channel_id="mychannel").SerializeToString())),
            "no write set",
            id="update without a write set",
        ),
        pytest.param({"channel": "mychannel", "action": "Update"}, "configUpdate", id="update without its delta"),
        pytest.param(update_content(genesisBlock=genesis()), "action Create", id="update with a block"),
        pytest.param(create_content(changes=[change("setBatch")]), "action Update", id="new channel with changes"),
        pytest.param(create_content(genesisBlock=genesis(1)), "first block", id="a later block"),
        pytest.param(create_content(genesisBlock=b64(b"\xff\xff\xff")), "no Block", id="no block"),
        pytest.param(update_content(changes=[{}]), "exactly one of", id="a change of nothing"),
        pytest.param(
            update_content(changes=[change("setBatch") | change("setACL")]), "exactly one of", id="two changes in one"
        ),
        pytest.param(
            create_content(recipe={"members": [{"mspID": ORG1, "definition": DEFINITION}] * 2}),
            "members names an organization twice",
            id="a member twice",
        ),
        pytest.param(update_content(changes=[{"setBatch": {"timeout": "1s; rm"}}]), "timeout", id="hostile text"),
    ],
)
def test_contents_that_are_refused(ledger: Ledger, content: dict[str, Any], said: str) -> None:
    answer = ledger.simulate(admin(ORG1), "Propose", dumps(raw_document(content)))

    assert (answer.code, answer.response.status) == ("INVALID", 400)
    assert said in answer.response.message


@pytest.mark.parametrize(
    ("pinned", "said"),
    [
        pytest.param({"channel": "mychannel"}, "is of ops-channel", id="of another channel than the governance's"),
        pytest.param({"members": [ORG1, ORG2, ORG3]}, "organizations of content.create", id="more members"),
        pytest.param({"rule": {"n": 1, "of": [ORG1, ORG2]}}, "all of its members", id="not all must agree"),
    ],
)
def test_a_new_channel_is_a_matter_of_all_its_members(ledger: Ledger, pinned: dict[str, Any], said: str) -> None:
    raw = raw_document(create_content(), snapshot=pinned)

    answer = ledger.simulate(admin(ORG1), "Propose", dumps(raw))

    assert answer.code == "INVALID"
    assert said in answer.response.message


def signature(
    creator: bytes, update: bytes = UPDATE, *, mend: Callable[[bytes], bytes] = lambda data: data, nonce: bytes = b"n"
) -> str:
    """A config signature by the key of the test identities."""
    header = common_pb2.SignatureHeader(creator=creator, nonce=nonce).SerializeToString()
    key = identities.signing_key()
    r, s = decode_dss_signature(key.sign(header + update, ec.ECDSA(hashes.SHA256())))
    made = encode_dss_signature(r, min(s, curve_order(key.curve) - s))
    return b64(configtx_pb2.ConfigSignature(signature_header=header, signature=mend(made)).SerializeToString())


def high(made: bytes) -> bytes:
    r, s = decode_dss_signature(made)
    return encode_dss_signature(r, curve_order(identities.signing_key().curve) - s)


def sign(ledger: Ledger, of: Proposal, caller: bytes, text: str) -> Simulation:
    evidence = dumps({"configSignature": text})
    return ledger.submit(caller, "Report", of.creator.msp_id, of.id, "Signed", "Done", evidence, "")


def test_an_organization_reports_its_own_signature(ledger: Ledger, proposed: Proposal) -> None:
    text = signature(admin(ORG2))

    answer = sign(ledger, proposed, admin(ORG2), text)

    assert answer.ok, answer.response.message
    (kept,) = ledger.facts(ORG1, "change-1").reports
    assert kept.evidence == Evidence(config_signature=text)
    assert (kept.msp_id, kept.step) == (ORG2, Step.SIGNED)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(signature(admin(ORG3)), id="of somebody else"),
        pytest.param(signature(admin(ORG2), UPDATE + b"\x00"), id="over another update"),
        pytest.param(signature(admin(ORG2), mend=high), id="with a high S"),
        pytest.param(signature(admin(ORG2), mend=lambda made: made[:-1]), id="cut short"),
        pytest.param(signature(admin(ORG2), mend=lambda _: b""), id="empty"),
        pytest.param(b64(b"\xff\xff\xff"), id="no protobuf"),
        pytest.param("Zm9v====", id="no base64"),
    ],
)
def test_signatures_that_are_not_the_callers_are_refused(ledger: Ledger, proposed: Proposal, text: str) -> None:
    answer = sign(ledger, proposed, admin(ORG2), text)

    assert (answer.code, answer.response.status) == ("BAD_SIGNATURE", 400)
    assert not ledger.facts(ORG1, "change-1").reports


@given(st.binary(max_size=400))
def test_any_bytes_as_a_signature_give_a_coded_refusal(data: bytes) -> None:
    ledger = Ledger(NOW)
    stored = ledger.submit(admin(ORG1), "Propose", dumps(raw_document(update_content())))
    assert stored.ok

    answer = sign(ledger, Proposal.parse(stored.response.payload), admin(ORG2), b64(data + b"xyz"))

    assert answer.code == "BAD_SIGNATURE"


def test_signing_takes_the_role_that_votes(ledger: Ledger, proposed: Proposal) -> None:
    assert sign(ledger, proposed, client(ORG2), signature(client(ORG2))).code == "FORBIDDEN"


def test_there_is_nothing_to_sign_in_a_new_channel(ledger: Ledger) -> None:
    stored = ledger.submit(admin(ORG1), "Propose", dumps(raw_document(create_content())))

    answer = sign(ledger, Proposal.parse(stored.response.payload), admin(ORG2), signature(admin(ORG2)))

    assert answer.code == "INVALID"
    assert "no config update to sign" in answer.response.message


def applied(of: Proposal, msp_id: str, block: int) -> Any:
    evidence = Evidence(config_block=block, config_hash=hex_hash(f"block {block}"))
    return report(of, msp_id, Step.APPLIED, Outcome.DONE, evidence)


@pytest.mark.parametrize(
    ("blocks", "completed", "conflicting"),
    [
        pytest.param({ORG1: 7}, False, (), id="one of two"),
        pytest.param({ORG1: 7, ORG2: 7}, True, (), id="both"),
        pytest.param({ORG1: 7, ORG2: 8}, False, (ORG2,), id="two blocks"),
        pytest.param({ORG1: 7, ORG2: 7, ORG3: 9}, True, (ORG3,), id="one in another block"),
    ],
)
def test_an_update_is_complete_when_enough_show_one_block(
    blocks: dict[str, int], completed: bool, conflicting: tuple[str, ...]
) -> None:
    of = proposal(parsed(update_content()))
    reports = tuple(applied(of, msp_id, block) for msp_id, block in blocks.items())
    facts = Facts(proposal=of, votes=(vote(of, ORG1), vote(of, ORG2)), reports=reports)

    tally = derive(facts, NOW)

    assert (tally.completed, tally.conflicting) == (completed, conflicting)
    assert tally.execution[ORG3][Step.SIGNED] is StepState.PENDING


def test_a_closed_channel_proposal_takes_no_signature(ledger: Ledger, proposed: Proposal) -> None:
    ledger.submit(admin(ORG1), "Close", ORG1, proposed.id, "Withdrawn", "")

    assert sign(ledger, proposed, admin(ORG2), signature(admin(ORG2))).code == "CLOSED"
    assert derive(Facts(proposal=proposed, closing=closing(proposed)), NOW + timedelta(days=1)).final


def test_a_change_names_itself() -> None:
    made = Change.model_validate_json(dumps(change("setACL")))

    assert made.type == "setACL"
    assert made.member.to_json() == CHANGES["setACL"]
    assert parsed(update_content()).kind is Kind.CHANNEL
