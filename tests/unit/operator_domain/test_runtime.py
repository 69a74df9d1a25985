"""What own peers' answers say about a chaincode's server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode import strategies as ledger

from opssc_chaincode.model import (
    ArchivePackage,
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
    UnchangedPackage,
    ccaas_label,
)
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.outline import outline_of
from opssc_operator.domain.runtime import (
    LOOK_AGAIN_SECONDS,
    START_UP_SECONDS,
    PeerReach,
    Reached,
    RuntimeSeen,
    judge_reach,
    learn,
    look_again,
    peer_pause,
    read_refusal,
)
from opssc_operator.domain.server_address import (
    CONNECTION_FILE,
    STARTED_BY_PEERS,
    UNREADABLE,
    NamedServer,
    ServerAddress,
    find_server,
    name_server,
    read_server,
)

PACKAGE_ID = f"asset:{'a' * 64}"
ANOTHER_ID = f"asset:{'b' * 64}"
ADDRESS = "asset.org1.svc:9999"
OWN = ServerAddress(ADDRESS, asked=True)
SHARED = ServerAddress(ADDRESS, asked=True, shared_with="asset-2")
PATIENT = ServerAddress(ADDRESS, asked=True, dial_seconds=600.0)
REFUSED = PeerReach("peer0", Reached.NO, seconds=0.01)
SILENT = PeerReach("peer0", Reached.SILENT, seconds=15.0)
REACHED = PeerReach("peer0", Reached.YES)
DOWN = (
    "error in simulation: failed to execute transaction 0a: could not launch chaincode basic:00: connection to basic:0 "
    "failed: error cannot create connection for basic:00: error creating grpc connection to 127.0.0.1:9999: failed to "
    'create new connection: connection error: desc = "transport: error while dialing: dial tcp"'
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(DOWN, PeerReach("peer0", Reached.NO, "127.0.0.1:9999", initialized=True), id="refused"),
        pytest.param(
            "could not launch chaincode basic:00: timeout expired while starting",
            PeerReach("peer0", Reached.NO, initialized=True),
            id="mute",
        ),
        pytest.param(
            "error in simulation: failed to execute transaction 0a: error sending: timeout expired while executing "
            "transaction",
            PeerReach("peer0", Reached.UNKNOWN, initialized=True),
            id="slow",
        ),
        pytest.param(
            "error in simulation: failed to execute transaction 0a: invalid invocation: chaincode 'basic' has not been "
            "initialized for this version, must call as init first",
            PeerReach("peer0", Reached.UNKNOWN, initialized=False),
            id="init-is-due",
        ),
        pytest.param(
            "I have not been initialized: has not been initialized for this version, must call as init first",
            PeerReach("peer0", Reached.UNKNOWN, initialized=True),
            id="a-chaincode-in-the-words-of-a-peer",
        ),
        pytest.param("invalid invocation: what", PeerReach("peer0", Reached.UNKNOWN), id="another-refusal"),
        pytest.param(
            "make sure the chaincode basic has been successfully defined on channel mychannel",
            PeerReach("peer0", Reached.UNKNOWN),
            id="undefined",
        ),
        pytest.param("channel 'mychannel' not found", PeerReach("peer0", Reached.UNKNOWN), id="no-channel"),
        pytest.param(
            "Unknown transaction function GetMetadata",
            PeerReach("peer0", Reached.YES, initialized=True),
            id="its-own-refusal",
        ),
        pytest.param("", PeerReach("peer0", Reached.YES, initialized=True), id="its-own-empty-refusal"),
    ],
)
def test_the_peers_own_words_say_that_a_server_is_gone_or_init_is_due(text: str, expected: PeerReach) -> None:
    read = read_refusal("peer0", text)

    assert read == expected
    assert bool(read.problem) is (expected.initialized is None)


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
    ("seen", "may"),
    [
        pytest.param(RuntimeSeen(PACKAGE_ID), True, id="started-by-peers"),
        pytest.param(RuntimeSeen(PACKAGE_ID, OWN), True, id="cannot-be-asked"),
        pytest.param(RuntimeSeen(PACKAGE_ID, OWN, PACKAGE_ID), True, id="itself"),
        pytest.param(RuntimeSeen(PACKAGE_ID, SHARED, PACKAGE_ID), True, id="itself-at-a-shared-address"),
        pytest.param(RuntimeSeen(PACKAGE_ID, SHARED), False, id="shared"),
        pytest.param(RuntimeSeen(PACKAGE_ID, SHARED, init_due=True), False, id="shared-though-init-is-due"),
        pytest.param(RuntimeSeen(PACKAGE_ID, PATIENT), False, id="peers-would-try-for-long"),
        pytest.param(RuntimeSeen(PACKAGE_ID, PATIENT, PACKAGE_ID), True, id="itself-and-nobody-tries-for-long"),
        pytest.param(RuntimeSeen(PACKAGE_ID, OWN, ANOTHER_ID, init_due=True), False, id="another-whatever-is-due"),
        pytest.param(RuntimeSeen(PACKAGE_ID, OWN, "", init_due=True), False, id="mute"),
    ],
)
def test_peers_are_asked_where_they_do_not_wait_long(seen: RuntimeSeen, may: bool) -> None:
    assert seen.may_ask_peers is may


@pytest.mark.parametrize(
    ("seen", "may"),
    [
        pytest.param(RuntimeSeen(PACKAGE_ID, OWN), True, id="anybody"),
        pytest.param(RuntimeSeen(PACKAGE_ID, SHARED), False, id="shared"),
        pytest.param(RuntimeSeen(PACKAGE_ID, SHARED, init_due=True), True, id="shared-but-init-is-checked-first"),
        pytest.param(RuntimeSeen(PACKAGE_ID, PATIENT, init_due=True), True, id="for-long-but-init-is-checked-first"),
        pytest.param(RuntimeSeen(PACKAGE_ID, OWN, ANOTHER_ID, init_due=True), False, id="another-whatever-is-due"),
    ],
)
def test_one_peer_tells_whether_init_is_due_where_others_are_not_asked(seen: RuntimeSeen, may: bool) -> None:
    assert seen.may_ask_one is may


def test_whoever_is_not_asked_for_the_dial_timeout_is_told_so() -> None:
    verdict = judge_reach(RuntimeSeen(PACKAGE_ID, PATIENT))

    assert verdict is not None
    assert (verdict.status, verdict.reason) == ("Unknown", Reason.SERVER_NOT_ASKED)
    assert "propose a shorter dialTimeout" in verdict.message


@given(
    st.sampled_from(Reached),
    st.sampled_from([True, False, None]),
    st.floats(min_value=0.0, max_value=100.0),
    st.integers(min_value=1, max_value=10**6),
)
def test_a_channel_stands_still_for_a_thirtieth_of_the_time_at_most_after_one_more_try(
    reached: Reached, initialized: bool | None, seconds: float, times: int
) -> None:
    # Given: only a peer that has not checked for Init yet may say that it is due
    told = initialized if reached is Reached.UNKNOWN else True
    waited = START_UP_SECONDS if reached is Reached.SILENT else seconds

    pause = peer_pause(PeerReach("peer0", reached, "", told, "", seconds), times)

    if told is False:
        assert pause == 0.0
    elif reached is Reached.SILENT and times == 1:
        assert pause == 2 * waited
    else:
        assert pause >= max(30 * waited, LOOK_AGAIN_SECONDS)
    assert (pause == float("inf")) is (reached is Reached.YES)


@pytest.mark.parametrize(
    ("reach", "times", "expected"),
    [
        pytest.param(REFUSED, 1, 10.0, id="at-first"),
        pytest.param(REFUSED, 2, 20.0, id="again"),
        pytest.param(REFUSED, 9, 60.0, id="for-long"),
        pytest.param(SILENT, 1, 600.0, id="silent"),
        pytest.param(SILENT, 2, 9000.0, id="silent-again"),
        pytest.param(SILENT, 9, 9000.0, id="silent-for-long"),
    ],
)
def test_who_is_held_up_by_a_question_is_asked_less_often(reach: PeerReach, times: int, expected: float) -> None:
    assert peer_pause(reach, times) == expected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(None, None, None, id="never-said"),
        pytest.param(None, ANOTHER_ID, ANOTHER_ID, id="another"),
        pytest.param(ANOTHER_ID, None, ANOTHER_ID, id="another-that-may-come-back"),
        pytest.param("", None, "", id="mute-and-away"),
        pytest.param(ANOTHER_ID, PACKAGE_ID, PACKAGE_ID, id="replaced"),
        pytest.param(PACKAGE_ID, None, None, id="stopped"),
        pytest.param(PACKAGE_ID, ANOTHER_ID, ANOTHER_ID, id="replaced-by-another"),
    ],
)
def test_a_server_of_another_package_is_not_forgotten_while_it_is_away(
    before: str | None, now: str | None, expected: str | None
) -> None:
    assert learn(PACKAGE_ID, before, now) == expected


@pytest.mark.parametrize(
    ("seen", "seconds", "expected"),
    [
        pytest.param(None, 7.0, 7.0, id="nothing-known"),
        pytest.param(RuntimeSeen(PACKAGE_ID, reaches=(REFUSED,), again_seconds=10.0), None, 10.0, id="not-reached"),
        pytest.param(RuntimeSeen(PACKAGE_ID, reaches=(REFUSED,), again_seconds=10.0), 7.0, 7.0, id="sooner-already"),
        pytest.param(RuntimeSeen(PACKAGE_ID, reaches=(REACHED,), again_seconds=10.0), None, None, id="reached"),
        pytest.param(RuntimeSeen(PACKAGE_ID, SHARED), None, None, id="no-use"),
    ],
)
def test_what_no_event_tells_is_looked_at_again(
    seen: RuntimeSeen | None, seconds: float | None, expected: float | None
) -> None:
    assert look_again(seen, seconds) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            b'{"address": "asset:9999", "dial_timeout": "1m30s", "tls_required": true}',
            NamedServer("asset:9999", tls=True, dial_seconds=90.0),
            id="whole",
        ),
        pytest.param(b'{"address": "asset:9999"}', NamedServer("asset:9999", dial_seconds=10.0), id="defaults"),
        pytest.param(
            b'{"address": "decoy:1", "Address": "asset:9999", "TLS_Required": null}',
            NamedServer("asset:9999", dial_seconds=10.0),
            id="by-the-rules-of-a-peer",
        ),
        pytest.param(
            b'{"address": "a:1", "tls_required": "no"}', NamedServer("a:1", tls=True, dial_seconds=10.0), id="odd-tls"
        ),
        pytest.param(b'{"address": "' + b"a" * 65_536 + b':1"}', UNREADABLE, id="large"),
        pytest.param(b'{"address": "\\ud800:1"}', UNREADABLE, id="no-address-at-all"),
        pytest.param(b'{"address": ""}', UNREADABLE, id="no-address"),
        pytest.param(b'{"address": 7}', UNREADABLE, id="no-text"),
        pytest.param(b'{"address": "a:1", "dial_timeout": "soon"}', UNREADABLE, id="no-duration"),
        pytest.param(b"[" * 100_000, UNREADABLE, id="deep"),
        pytest.param(b"[]", UNREADABLE, id="a-list"),
        pytest.param(b"\xff", UNREADABLE, id="no-json"),
    ],
)
def test_a_package_says_where_its_server_is(text: bytes, expected: NamedServer) -> None:
    assert read_server({CONNECTION_FILE: text}) == expected


@pytest.mark.parametrize(
    "address", ["unix:9999", "dns:53", "unix:///run/a.sock", "vsock:1:2", "a b:1", "{{.peername}}-a:1", "a", "a:1\n"]
)
def test_what_grpc_may_take_for_another_place_is_not_asked(address: str) -> None:
    server = find_server(NamedServer(address), PACKAGE_ID, [], [])

    assert server is not None
    assert not server.asked


def test_an_unreadable_package_is_not_asked_for() -> None:
    server = find_server(UNREADABLE, PACKAGE_ID, [], [])

    assert server is not None
    assert not server.asked
    assert not RuntimeSeen(PACKAGE_ID, server).may_ask_peers


def served(name: str, address: str | None) -> Facts:
    connection = Connection(port=9999, address=address)
    label = ccaas_label(name, ledger.DIGEST, connection)
    image = Image(name=f"registry.example.com/{name}", digest=ledger.DIGEST)
    package = Package(ccaas=CcaasPackage(label=label, image=image, connection=connection))
    content = ledger.chaincode_content(name, package=package)
    return Facts(proposal=ledger.proposal(ledger.document(proposal_id=f"{name}-1", content=content)))


def installed(facts: Facts, msp_id: str, package_id: str | None = None) -> Facts:
    content = facts.proposal.content
    assert isinstance(content, ChaincodeContent)
    evidence = Evidence(package_id=package_id or content.package_id)
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
    own = installed(accepted, "Org1MSP", ANOTHER_ID)
    content, other = first.proposal.content, second.proposal.content
    assert isinstance(content, ChaincodeContent)
    assert isinstance(other, ChaincodeContent)
    assert other.package_id
    label = other.package_id.partition(":")[0]

    def found(facts: Facts, *packages: str) -> ServerAddress | None:
        named = name_server(content)
        assert named is not None
        assert content.package_id
        outlines = [outline_of(each, "Org1MSP") for each in (first, facts)]
        return find_server(named, content.package_id, outlines, packages)

    # Then
    assert found(elsewhere) == ServerAddress(address, asked=asked)
    assert found(own) == ServerAddress(address, asked=asked)
    assert found(here) == ServerAddress(address, asked=asked, shared_with=label)
    assert found(elsewhere, other.package_id) == ServerAddress(address, asked=asked, shared_with=label)


def test_packages_with_one_label_have_the_same_address_by_default() -> None:
    # Given
    facts = served("asset", None)
    content = facts.proposal.content
    assert isinstance(content, ChaincodeContent)
    assert content.package_id
    named = name_server(content)
    assert named is not None
    with_indexes = content.model_copy(update={"package_id": f"{content.package.label}:{'c' * 64}"})
    proposal = facts.proposal.model_copy(update={"content": with_indexes})
    second = facts.model_copy(update={"proposal": proposal})

    # When
    server = find_server(named, content.package_id, [outline_of(installed(second, "Org1MSP"), "Org1MSP")], [])

    # Then
    assert server is not None
    assert server.shared_with == content.package.label


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        pytest.param(
            Package(k8s=KubernetesPackage(label="asset", image=Image(name="r.example/asset", digest=ledger.DIGEST))),
            STARTED_BY_PEERS,
            id="k8s",
        ),
        pytest.param(
            Package(archive=ArchivePackage(label="asset", sha256="a" * 64, urls=("https://example.com/a.tgz",))),
            None,
            id="archive",
        ),
        pytest.param(Package(unchanged=UnchangedPackage()), None, id="unchanged"),
    ],
)
def test_where_the_proposal_does_not_say_it_the_package_is_read(package: Package, expected: NamedServer | None) -> None:
    assert name_server(ledger.chaincode_content(package=package)) == expected
    assert name_server(None) is None
    assert find_server(STARTED_BY_PEERS, PACKAGE_ID, [], []) is None
