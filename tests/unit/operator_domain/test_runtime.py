"""What own peers' answers say about a chaincode's server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode import strategies as ledger

from opssc_chaincode.model import (
    CcaasPackage,
    ChaincodeContent,
    Connection,
    Evidence,
    Facts,
    Image,
    KubernetesPackage,
    Outcome,
    Package,
    Step,
    ccaas_label,
)
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.outline import outline_of
from opssc_operator.domain.runtime import (
    LOOK_AGAIN_SECONDS,
    START_UP_SECONDS,
    Pauses,
    PeerReach,
    Reached,
    RuntimeSeen,
    ServerAddress,
    find_server,
    judge_reach,
    pauses_after,
    read_refusal,
)

PACKAGE_ID = f"asset:{'a' * 64}"
ANOTHER_ID = f"asset:{'b' * 64}"
ADDRESS = "asset.org1.svc:9999"
OWN = ServerAddress(ADDRESS, asked=True)
SHARED = ServerAddress(ADDRESS, asked=True, shared_with="asset-2")
REFUSED = (PeerReach("peer0", Reached.NO, "", 0.01),)
SILENT = (PeerReach("peer0", Reached.SILENT, "", 15.0),)
DOWN = (
    "error in simulation: failed to execute transaction 0a: could not launch chaincode basic:00: connection to basic:0 "
    "failed: error cannot create connection for basic:00: error creating grpc connection to 127.0.0.1:9999: failed to "
    'create new connection: connection error: desc = "transport: error while dialing: dial tcp"'
)


@pytest.mark.parametrize(
    ("text", "reached", "address"),
    [
        pytest.param(DOWN, Reached.NO, "127.0.0.1:9999", id="refused"),
        pytest.param("could not launch chaincode basic:00: timeout expired while starting", Reached.NO, "", id="mute"),
        pytest.param(
            "error in simulation: failed to execute transaction 0a: error sending: timeout expired while executing "
            "transaction",
            Reached.UNKNOWN,
            "",
            id="slow",
        ),
        pytest.param(
            "error in simulation: chaincode 'basic' has not been initialized for this version, must call as init first",
            Reached.UNKNOWN,
            "",
            id="not-initialized",
        ),
        pytest.param("Unknown transaction function GetMetadata", Reached.YES, "", id="its-own-refusal"),
        pytest.param("", Reached.YES, "", id="its-own-empty-refusal"),
    ],
)
def test_only_the_peers_own_words_about_launching_say_that_a_server_is_gone(
    text: str, reached: Reached, address: str
) -> None:
    assert read_refusal("peer0", text) == PeerReach("peer0", reached, address)


@pytest.mark.parametrize(
    ("answers", "status", "reason"),
    [
        pytest.param((Reached.YES, Reached.YES), "True", Reason.SERVER_REACHED, id="all"),
        pytest.param((Reached.YES, Reached.NO), "False", Reason.SERVER_UNREACHABLE, id="one-does-not"),
        pytest.param((Reached.UNKNOWN, Reached.NO), "False", Reason.SERVER_UNREACHABLE, id="one-is-sure"),
        pytest.param((Reached.UNKNOWN, Reached.YES), "Unknown", Reason.SERVER_NOT_ASKED, id="not-all-say"),
        pytest.param((Reached.SILENT, Reached.YES), "Unknown", Reason.SERVER_SILENT, id="one-is-silent"),
        pytest.param((Reached.SILENT, Reached.NO), "False", Reason.SERVER_UNREACHABLE, id="one-is-silent-one-is-sure"),
    ],
)
def test_every_peer_has_to_reach_the_server(answers: tuple[Reached, ...], status: str, reason: Reason) -> None:
    reaches = tuple(PeerReach(f"peer{number}", reached) for number, reached in enumerate(answers))

    verdict = judge_reach(RuntimeSeen(PACKAGE_ID, reaches=reaches))

    assert verdict is not None
    assert (verdict.status, verdict.reason) == (status, reason)


def test_nothing_is_said_before_anybody_was_asked() -> None:
    assert judge_reach(None) is None
    assert judge_reach(RuntimeSeen(PACKAGE_ID)) is None


@given(st.text())
def test_any_text_is_read_and_its_address_is_bounded(text: str) -> None:
    assert len(read_refusal("peer0", f"could not launch chaincode {text}").address) <= 253


@pytest.mark.parametrize(
    ("server", "registers", "said"),
    [
        pytest.param(OWN, ANOTHER_ID, ("False", Reason.SERVER_MISMATCH, f"runs {ANOTHER_ID}; "), id="another-package"),
        pytest.param(OWN, "\x1b[31m" * 999, ("False", Reason.SERVER_MISMATCH, "runs something else; "), id="hostile"),
        pytest.param(OWN, "", ("False", Reason.SERVER_MISMATCH, "runs something else; "), id="nothing"),
        pytest.param(SHARED, None, ("Unknown", Reason.SERVER_NOT_ASKED, "package asset-2 has the same"), id="shared"),
        pytest.param(SHARED, ANOTHER_ID, ("False", Reason.SERVER_MISMATCH, ANOTHER_ID), id="shared-and-the-other-runs"),
    ],
)
def test_peers_are_not_asked_where_they_would_find_the_server_of_another_package(
    server: ServerAddress, registers: str | None, said: tuple[str, Reason, str]
) -> None:
    seen = RuntimeSeen(PACKAGE_ID, server, registers)

    verdict = judge_reach(seen)

    assert not seen.may_ask_peers
    assert verdict is not None
    assert (verdict.status, verdict.reason) == said[:2]
    assert said[2] in verdict.message
    assert ADDRESS in verdict.message
    assert len(verdict.message) < 500


@pytest.mark.parametrize(
    ("server", "registers"),
    [
        pytest.param(None, None, id="no-server-named"),
        pytest.param(OWN, None, id="cannot-be-asked"),
        pytest.param(OWN, PACKAGE_ID, id="itself"),
        pytest.param(SHARED, PACKAGE_ID, id="itself-at-a-shared-address"),
    ],
)
def test_peers_are_asked_otherwise(server: ServerAddress | None, registers: str | None) -> None:
    assert RuntimeSeen(PACKAGE_ID, server, registers).may_ask_peers


@given(
    st.lists(st.tuples(st.sampled_from(Reached), st.floats(min_value=0.0, max_value=100.0)), max_size=4),
    st.integers(min_value=1, max_value=10**6),
)
def test_a_channel_stands_still_for_a_thirtieth_of_the_time_at_most(
    answers: list[tuple[Reached, float]], times: int
) -> None:
    reaches = tuple(PeerReach(f"peer{number}", each[0], "", each[1]) for number, each in enumerate(answers))
    kinds = {reached for reached, _ in answers}
    waited = START_UP_SECONDS if Reached.SILENT in kinds else max((seconds for _, seconds in answers), default=0.0)

    pauses = pauses_after(RuntimeSeen(PACKAGE_ID, reaches=reaches), times)

    assert pauses.peers >= max(30 * waited, LOOK_AGAIN_SECONDS)
    assert (pauses.peers == float("inf")) is (kinds == {Reached.YES})
    assert pauses.anybody == pauses.peers


@pytest.mark.parametrize(
    ("seen", "times", "anybody", "peers"),
    [
        pytest.param(RuntimeSeen(PACKAGE_ID, reaches=REFUSED), 1, 10.0, 10.0, id="at-first"),
        pytest.param(RuntimeSeen(PACKAGE_ID, reaches=REFUSED), 2, 20.0, 20.0, id="again"),
        pytest.param(RuntimeSeen(PACKAGE_ID, reaches=REFUSED), 9, 60.0, 60.0, id="for-long"),
        pytest.param(RuntimeSeen(PACKAGE_ID, reaches=SILENT), 1, 9000.0, 9000.0, id="silent"),
        pytest.param(RuntimeSeen(PACKAGE_ID, OWN, None, SILENT), 1, 10.0, 9000.0, id="silent-and-can-be-asked"),
        pytest.param(RuntimeSeen(PACKAGE_ID, OWN, PACKAGE_ID, SILENT), 1, 10.0, 10.0, id="silent-for-another-reason"),
        pytest.param(RuntimeSeen(PACKAGE_ID, OWN, ANOTHER_ID), 1, 10.0, 10.0, id="another-package"),
        pytest.param(
            RuntimeSeen(PACKAGE_ID, replace(SHARED, asked=False)), 1, float("inf"), float("inf"), id="cannot-be-asked"
        ),
    ],
)
def test_who_is_held_up_by_a_question_is_asked_less_often(
    seen: RuntimeSeen, times: int, anybody: float, peers: float
) -> None:
    assert pauses_after(seen, times) == Pauses(anybody, peers)


def served(name: str, address: str) -> Facts:
    connection = Connection(port=9999, address=address)
    label = ccaas_label(name, ledger.DIGEST, connection)
    image = Image(name=f"registry.example.com/{name}", digest=ledger.DIGEST)
    package = Package(ccaas=CcaasPackage(label=label, image=image, connection=connection))
    content = ledger.chaincode_content(name, package=package)
    return Facts(proposal=ledger.proposal(ledger.document(proposal_id=f"{name}-1", content=content)))


def installed(facts: Facts, msp_id: str) -> Facts:
    content = facts.proposal.content
    assert isinstance(content, ChaincodeContent)
    evidence = Evidence(package_id=content.package_id)
    report = ledger.report(facts.proposal, msp_id, Step.INSTALLED, Outcome.DONE, evidence)
    return facts.model_copy(update={"reports": (report,)})


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        pytest.param("asset.svc:9999", True, id="a-name"),
        pytest.param("{{.chaincode_host}}:9999", False, id="filled-in-by-each-peer"),
    ],
)
def test_another_package_at_the_same_address_is_known_once_it_was_installed_here(address: str, *, asked: bool) -> None:
    # Given
    first, second = served("asset", address), served("other", address)
    agreeing = (ledger.vote(second.proposal, "Org1MSP"), ledger.vote(second.proposal, "Org2MSP"))
    accepted = second.model_copy(update={"votes": agreeing})
    elsewhere, here = (installed(accepted, msp_id) for msp_id in ("Org2MSP", "Org1MSP"))
    content, other = first.proposal.content, second.proposal.content
    assert isinstance(content, ChaincodeContent)
    assert isinstance(other, ChaincodeContent)
    assert content.package_id
    assert other.package.label

    # When
    before = find_server(content, content.package_id, [outline_of(facts, "Org1MSP") for facts in (first, elsewhere)])
    after = find_server(content, content.package_id, [outline_of(facts, "Org1MSP") for facts in (first, here)])

    # Then
    assert before == ServerAddress(address, asked=asked)
    assert after == ServerAddress(address, asked=asked, shared_with=other.package.label)


def test_a_package_without_a_server_of_its_own_names_none() -> None:
    package = Package(k8s=KubernetesPackage(label="asset", image=Image(name="r.example/asset", digest=ledger.DIGEST)))

    assert find_server(ledger.chaincode_content(package=package), PACKAGE_ID, []) is None
    assert find_server(None, PACKAGE_ID, []) is None
