"""Each defect of a transaction earns the code Fabric gives it, and leaves no trace in the state."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    collection_pb2,
    policy_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from fabric_admin import policy
from fabric_devnet.embedded.chain import build_block
from fabric_devnet.embedded.errors import BadBlock
from fabric_devnet.embedded.transient import TransientStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.simulator import Simulator

    from .conftest import Consortium, Draft

KEY = "asset1"
POLICY_KEY = "VALIDATION_PARAMETER"


def write(simulator: Simulator) -> None:
    simulator.put_state("basic", KEY, b"value")


@pytest.fixture
def ledger(consortium: Consortium) -> Ledger:
    """A channel on which `basic` is committed, to be endorsed by a majority."""
    ledger = consortium.ledger()
    consortium.define(ledger)
    return ledger


def resigned(draft: Draft, payload: common_pb2.Payload) -> common_pb2.Envelope:
    data = payload.SerializeToString()
    return common_pb2.Envelope(payload=data, signature=draft.creator.sign(data))


def with_header(change: Callable[[common_pb2.ChannelHeader], object]) -> Callable[[Draft], common_pb2.Envelope]:
    def spoil(draft: Draft) -> common_pb2.Envelope:
        payload = draft.payload()
        header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
        change(header)
        payload.header.channel_header = header.SerializeToString()
        return resigned(draft, payload)

    return spoil


def with_action(
    change: Callable[[transaction_pb2.ChaincodeActionPayload], object],
) -> Callable[[Draft], common_pb2.Envelope]:
    def spoil(draft: Draft) -> common_pb2.Envelope:
        payload = draft.payload()
        transaction = transaction_pb2.Transaction.FromString(payload.data)
        action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
        change(action)
        transaction.actions[0].payload = action.SerializeToString()
        payload.data = transaction.SerializeToString()
        return resigned(draft, payload)

    return spoil


def with_response(change: Callable[[proposal_pb2.ChaincodeAction], object]) -> Callable[[Draft], common_pb2.Envelope]:
    """Change what was endorsed; the endorsements no longer fit, but the structure is looked at before them."""

    def spoil(action: transaction_pb2.ChaincodeActionPayload) -> None:
        response = proposal_response_pb2.ProposalResponsePayload.FromString(action.action.proposal_response_payload)
        endorsed = proposal_pb2.ChaincodeAction.FromString(response.extension)
        change(endorsed)
        response.extension = endorsed.SerializeToString()
        action.action.proposal_response_payload = response.SerializeToString()

    return with_action(spoil)


def two_actions(draft: Draft) -> common_pb2.Envelope:
    payload = draft.payload()
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    transaction.actions.append(transaction.actions[0])
    payload.data = transaction.SerializeToString()
    return resigned(draft, payload)


def without_nonce(draft: Draft) -> common_pb2.Envelope:
    payload = draft.payload()
    header = common_pb2.SignatureHeader.FromString(payload.header.signature_header)
    header.ClearField("nonce")
    payload.header.signature_header = header.SerializeToString()
    return resigned(draft, payload)


def twice_the_namespace(action: proposal_pb2.ChaincodeAction) -> None:
    # Repeated fields of concatenated messages add up.
    action.results = action.results + action.results


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        pytest.param(lambda d: d.envelope(), "VALID", id="nothing"),
        pytest.param(lambda _: common_pb2.Envelope(), "NIL_ENVELOPE", id="an empty envelope"),
        pytest.param(lambda _: common_pb2.Envelope(payload=b"\xff"), "BAD_PAYLOAD", id="a payload nobody can parse"),
        pytest.param(
            lambda d: resigned(d, common_pb2.Payload(data=b"x")), "BAD_COMMON_HEADER", id="a payload without header"
        ),
        pytest.param(
            with_header(lambda h: setattr(h, "type", common_pb2.MESSAGE)), "BAD_COMMON_HEADER", id="type MESSAGE"
        ),
        pytest.param(with_header(lambda h: setattr(h, "epoch", 1)), "BAD_COMMON_HEADER", id="an epoch"),
        pytest.param(without_nonce, "BAD_COMMON_HEADER", id="no nonce"),
        pytest.param(
            with_header(lambda h: setattr(h, "type", common_pb2.CONFIG_UPDATE)),
            "UNSUPPORTED_TX_PAYLOAD",
            id="type CONFIG_UPDATE",
        ),
        pytest.param(with_header(lambda h: setattr(h, "tx_id", "00")), "BAD_PROPOSAL_TXID", id="another identifier"),
        pytest.param(two_actions, "INVALID_ENDORSER_TRANSACTION", id="two actions"),
        pytest.param(
            with_action(lambda a: setattr(a, "chaincode_proposal_payload", b"")),
            "INVALID_ENDORSER_TRANSACTION",
            id="a proposal altered after endorsement",
        ),
        pytest.param(
            with_header(lambda h: setattr(h, "channel_id", "other")),
            "INVALID_ENDORSER_TRANSACTION",
            id="a header altered after endorsement",
        ),
        pytest.param(
            with_response(lambda a: setattr(a.chaincode_id, "name", "other")), "INVALID_CHAINCODE", id="another name"
        ),
        pytest.param(
            with_response(lambda a: setattr(a.chaincode_id, "version", "")), "INVALID_CHAINCODE", id="no version"
        ),
        pytest.param(with_response(twice_the_namespace), "ILLEGAL_WRITESET", id="a namespace twice"),
        pytest.param(
            with_response(lambda a: setattr(a, "results", b"\xff")), "BAD_RWSET", id="results nobody can parse"
        ),
        pytest.param(
            with_response(lambda a: setattr(a.response, "message", "forged")),
            "ENDORSEMENT_POLICY_FAILURE",
            id="a result altered after endorsement",
        ),
    ],
)
def test_a_defect_earns_its_code(
    consortium: Consortium, ledger: Ledger, spoil: Callable[[Draft], common_pb2.Envelope], code: str
) -> None:
    # Given a well endorsed transaction, spoiled in one place and signed again
    envelope = spoil(consortium.draft(ledger, write))

    # When it is committed
    codes = consortium.commit(ledger, envelope)

    # Then it gets this code, and only a valid one changes state
    assert codes == [code]
    assert ledger.get_state("basic", KEY) == (b"value" if code == "VALID" else None)


@pytest.mark.parametrize("who", ["another member", "an outsider", "a high-S signature"])
def test_a_signature_that_is_not_the_creators_earns_its_code(consortium: Consortium, ledger: Ledger, who: str) -> None:
    # Given a transaction whose signature is not one of its creator, or not in the form Fabric takes
    if who == "an outsider":
        envelope = consortium.draft(ledger, write, creator=consortium.outsider.client).envelope()
    elif who == "another member":
        envelope = consortium.draft(ledger, write).envelope(signer=consortium.members[1].client)
    else:
        envelope = consortium.draft(ledger, write).envelope()
        envelope.signature = high_s(envelope.signature)

    # When it is committed, then it is flagged
    assert consortium.commit(ledger, envelope) == ["BAD_CREATOR_SIGNATURE"]


def high_s(signature: bytes) -> bytes:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, order - s)


class TestEndorsementPolicies:
    @pytest.mark.parametrize(
        ("endorsers", "code"),
        [
            pytest.param(0, "ENDORSEMENT_POLICY_FAILURE", id="none"),
            pytest.param(1, "ENDORSEMENT_POLICY_FAILURE", id="one of three"),
            pytest.param(2, "VALID", id="two of three"),
            pytest.param(3, "VALID", id="all"),
        ],
    )
    @pytest.mark.parametrize("writes", [True, False], ids=["a write", "a read alone"])
    def test_a_majority_must_endorse_even_what_writes_nothing(
        self, consortium: Consortium, ledger: Ledger, endorsers: int, code: str, writes: bool
    ) -> None:
        program = write if writes else (lambda s: s.get_state("basic", KEY))
        draft = consortium.draft(ledger, program, endorsers=endorsers)
        assert consortium.commit(ledger, draft.envelope()) == [code]

    def test_the_same_endorser_counts_once_and_bad_endorsements_do_not_count(
        self, consortium: Consortium, ledger: Ledger
    ) -> None:
        # Given one good endorsement, given twice, or next to one that is forged or by a client
        draft = consortium.draft(ledger, write, endorsers=1)
        (good,) = draft.endorsements
        forged = draft.endorsement(consortium.members[1].peer)
        forged.signature = good.signature
        by_client = draft.endorsement(consortium.members[1].client)

        # When they are committed, then none of them is a majority; but a bad one next to a majority does no harm
        second = draft.endorsement(consortium.members[1].peer)
        for others, code in [
            ((good,), "ENDORSEMENT_POLICY_FAILURE"),
            ((forged,), "ENDORSEMENT_POLICY_FAILURE"),
            ((by_client,), "ENDORSEMENT_POLICY_FAILURE"),
            ((forged, by_client, second), "VALID"),
        ]:
            envelope = draft.with_endorsements(good, *others).envelope()
            fresh = consortium.ledger()
            consortium.define(fresh)
            assert consortium.commit(fresh, envelope) == [code]

    def test_every_written_namespace_is_judged_by_its_own_policy(self, consortium: Consortium, ledger: Ledger) -> None:
        # Given a chaincode that all three organizations must endorse
        everyone = policy_pb2.ApplicationPolicy(
            signature_policy=policy.parse("AND('Org1MSP.peer','Org2MSP.peer','Org3MSP.peer')")
        )
        consortium.define(ledger, "strict", policy=everyone.SerializeToString())

        def both(simulator: Simulator) -> None:
            write(simulator)
            simulator.put_state("strict", KEY, b"value")

        # When another chaincode writes its state, with and without all endorsements
        two = consortium.draft(ledger, both, endorsers=2).envelope()
        three = consortium.draft(ledger, both, endorsers=3).envelope()

        # Then the stricter policy decides
        assert consortium.commit(ledger, two, three) == ["ENDORSEMENT_POLICY_FAILURE", "VALID"]

    @pytest.mark.parametrize("namespace", ["unknown", "qscc", "cscc"])
    def test_a_namespace_without_definition_cannot_be_written(
        self, consortium: Consortium, ledger: Ledger, namespace: str
    ) -> None:
        draft = consortium.draft(ledger, lambda s: s.put_state(namespace, KEY, b""))
        assert consortium.commit(ledger, draft.envelope()) == ["INVALID_CHAINCODE"]

    @pytest.mark.parametrize(
        "parameter",
        [
            pytest.param(b"\xff", id="garbage"),
            pytest.param(b"", id="empty"),
            pytest.param(
                policy_pb2.ApplicationPolicy(channel_config_policy_reference="/Channel/No/Such").SerializeToString(),
                id="an unknown reference",
            ),
        ],
    )
    def test_a_policy_nobody_can_evaluate_is_never_satisfied(self, consortium: Consortium, parameter: bytes) -> None:
        ledger = consortium.ledger()
        consortium.define(ledger, policy=parameter)
        draft = consortium.draft(ledger, write, endorsers=3)
        assert consortium.commit(ledger, draft.envelope()) == ["ENDORSEMENT_POLICY_FAILURE"]

    def test_an_approval_needs_only_its_own_organization(self, consortium: Consortium) -> None:
        # Given writes to the collections of organizations 1 and 2 in the lifecycle namespace
        def approve(number: int) -> Callable[[Simulator], None]:
            return lambda s: s.put_private("_lifecycle", f"_implicit_org_Org{number}MSP", "k", b"v")

        # When organization 1 alone endorses each
        ledger = consortium.ledger()
        drafts = [consortium.draft(ledger, approve(number), chaincode="_lifecycle", endorsers=1) for number in (1, 2)]

        # Then it can write for itself, not for another
        codes = consortium.commit(ledger, *(draft.envelope() for draft in drafts))
        assert codes == ["VALID", "ENDORSEMENT_POLICY_FAILURE"]

    def test_a_commit_needs_the_lifecycle_policy(self, consortium: Consortium) -> None:
        ledger = consortium.ledger()
        draft = consortium.draft(
            ledger, lambda s: s.put_state("_lifecycle", "k", b"v"), chaincode="_lifecycle", endorsers=1
        )
        assert consortium.commit(ledger, draft.envelope()) == ["ENDORSEMENT_POLICY_FAILURE"]

    def test_a_key_with_a_policy_of_its_own_is_judged_by_it_alone(self, consortium: Consortium, ledger: Ledger) -> None:
        # Given a key that organization 3 alone may write
        own = policy.parse("OR('Org3MSP.peer')").SerializeToString()

        def guard(simulator: Simulator) -> None:
            write(simulator)
            simulator.put_state_metadata("basic", KEY, {POLICY_KEY: own})

        assert consortium.commit(ledger, consortium.draft(ledger, guard).envelope()) == ["VALID"]

        # When a majority without it, and it alone, write the key
        majority = consortium.draft(ledger, write, endorsers=2)
        alone = consortium.draft(ledger, write, endorsers=0)
        alone = alone.with_endorsements(alone.endorsement(consortium.members[2].peer))

        # Then the key's policy decides
        codes = consortium.commit(ledger, majority.envelope(), alone.envelope())
        assert codes == ["ENDORSEMENT_POLICY_FAILURE", "VALID"]

    def test_a_key_whose_policy_changes_in_the_same_block_cannot_be_written(
        self, consortium: Consortium, ledger: Ledger
    ) -> None:
        own = policy.parse("OR('Org3MSP.peer')").SerializeToString()
        change = consortium.draft(ledger, lambda s: s.put_state_metadata("basic", KEY, {POLICY_KEY: own}))
        late = consortium.draft(ledger, write)
        codes = consortium.commit(ledger, change.envelope(), late.envelope())
        assert codes == ["VALID", "ENDORSEMENT_POLICY_FAILURE"]


class TestDuplicates:
    def test_an_identifier_is_used_once_in_a_block_and_in_the_ledger(
        self, consortium: Consortium, ledger: Ledger
    ) -> None:
        # Given one transaction sent twice, and once more later
        draft = consortium.draft(ledger, write)
        envelope = draft.envelope()

        # When it is committed, then only the first occurrence is valid, and it keeps answering for the identifier
        assert consortium.commit(ledger, envelope, envelope) == ["VALID", "DUPLICATE_TXID"]
        assert consortium.commit(ledger, envelope) == ["DUPLICATE_TXID"]
        status = ledger.commit_status(draft.proposal.transaction_id)
        assert status is not None
        assert (status.code, status.block_number) == (0, 2)


class TestPrivateData:
    COLLECTION = "secrets"

    def collections(self, *members: str) -> bytes:
        roles = ",".join(f"'{member}.member'" for member in members)
        static = collection_pb2.StaticCollectionConfig(
            name=self.COLLECTION,
            member_orgs_policy=collection_pb2.CollectionPolicyConfig(signature_policy=policy.parse(f"OR({roles})")),
        )
        config = collection_pb2.CollectionConfig(static_collection_config=static)
        return collection_pb2.CollectionConfigPackage(config=[config]).SerializeToString()

    def test_members_keep_values_and_everybody_keeps_hashes(self, consortium: Consortium) -> None:
        # Given a collection of organizations 1 and 2, and ledgers of all three
        transient = TransientStore()
        ledgers = {each.msp_id: consortium.ledger(each.msp_id, transient) for each in consortium.members}
        first = ledgers["Org1MSP"]
        consortium.define(first, collections=self.collections("Org1MSP", "Org2MSP"))
        for msp_id in ("Org2MSP", "Org3MSP"):
            ledgers[msp_id].append(first.block(1))

        # When a private value is endorsed and committed
        results: list[Simulator] = []

        def program(simulator: Simulator) -> None:
            simulator.put_private("basic", self.COLLECTION, KEY, b"topaz")
            results.append(simulator)

        draft = consortium.draft(first, program)
        private = results[0].results().private
        assert private is not None
        transient.put("mychannel", draft.proposal.transaction_id, private)
        block = build_block(2, first.blocks.last_hash, [draft.envelope()])
        for ledger in ledgers.values():
            ledger.append(block)

        # Then the members hold the value, and all hold its hash
        held = {msp_id: each.snapshot().get_private("basic", self.COLLECTION, KEY) for msp_id, each in ledgers.items()}
        assert {msp_id: found.value if found else None for msp_id, found in held.items()} == {
            "Org1MSP": b"topaz",
            "Org2MSP": b"topaz",
            "Org3MSP": None,
        }
        digest = hashlib.sha256(b"topaz").digest()
        for ledger in ledgers.values():
            assert ledger.simulator("later").get_private_hash("basic", self.COLLECTION, KEY) == digest
        assert ledgers["Org2MSP"].simulator("later").get_private("basic", self.COLLECTION, KEY) == b"topaz"

    def test_values_that_were_not_endorsed_are_not_kept(self, consortium: Consortium) -> None:
        # Given a forged private value under the right transaction ID
        transient = TransientStore()
        ledger = consortium.ledger(transient=transient)
        consortium.define(ledger, collections=self.collections("Org1MSP"))
        draft = consortium.draft(ledger, lambda s: s.put_private("basic", self.COLLECTION, KEY, b"topaz"))
        forger = ledger.simulator("forger")
        forger.put_private("basic", self.COLLECTION, KEY, b"forged")
        private = forger.results().private
        assert private is not None
        transient.put("mychannel", draft.proposal.transaction_id, private)

        # When the transaction is committed
        assert consortium.commit(ledger, draft.envelope()) == ["VALID"]

        # Then its hash is there, and no value
        assert ledger.snapshot().get_private("basic", self.COLLECTION, KEY) is None
        assert ledger.simulator("later").get_private_hash("basic", self.COLLECTION, KEY) is not None

    def test_a_collection_that_is_not_defined_cannot_be_written(self, consortium: Consortium, ledger: Ledger) -> None:
        draft = consortium.draft(ledger, lambda s: s.put_private("basic", "nowhere", KEY, b""))
        assert consortium.commit(ledger, draft.envelope()) == ["ENDORSEMENT_POLICY_FAILURE"]


def test_a_block_of_another_chain_is_refused(consortium: Consortium, ledger: Ledger) -> None:
    # Given a block that continues something else
    envelope = consortium.draft(ledger, write).envelope()
    foreign = build_block(ledger.height, b"\x00" * 32, [envelope])

    # When it arrives, then nothing changes
    with pytest.raises(BadBlock, match="does not carry the hash of the block before it"):
        ledger.append(foreign)
    assert ledger.get_state("basic", KEY) is None
    assert ledger.height == 2
