"""A new channel: planned on the ops channel, its own nodes join it in order, and block 0 is the one agreed to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric.channel import NOW
from unit.operator_channels.changes import ORG1, ORG2, RECIPE, config, consenter, definition, spec
from unit.operator_channels.proposals import agreed, observed, plan, planned, proposed, tx
from unit.operator_channels.test_content import creation

from opssc_chaincode.model import ChannelContent, Evidence, Facts, Outcome, ProposalDocument, Report, Rule, Step
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.channels.content import create_content, resolve_recipe
from opssc_operator.domain.channels.founding import build_genesis
from opssc_operator.domain.channels.verification import CreationRules
from opssc_operator.domain.kinds.channel_status import channel_status
from opssc_operator.domain.kinds.channel_work import ChannelChange
from opssc_operator.domain.kinds.creation_work import CreationWork, JoinOrderer, JoinPeer, OrdererSeen, PeerSeen
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.planning import Preview
from opssc_operator.domain.stage import Stage
from opssc_operator.domain.verdict import Verdict
from opssc_operator.ledger.new_channels import REFUSAL

CREATION: dict[str, Any] = {"channel": "newchannel", "action": "Create", "create": RECIPE}
EXPECTED, OTHER = "ab" * 32, "cd" * 32
CHANGE = ChannelChange("newchannel", ("+ /Channel/Application/Org1MSP",), ())
ORDERER, PEER = OrdererSeen("orderer1:7050"), PeerSeen("peer0")
JOINED_ORDERER = replace(ORDERER, joined=True, block_hash=EXPECTED)
JOINED_PEER = replace(PEER, joined=True, block_hash=EXPECTED)


def with_(*members: dict[str, Any]) -> dict[str, Any]:
    return {**CREATION, "create": {**RECIPE, "members": [*RECIPE["members"], *members]}}


def facts(*reports: Report) -> Facts:
    return replace_reports(agreed(proposed(CREATION), ORG1), reports)


def replace_reports(of: Facts, reports: tuple[Report, ...]) -> Facts:
    return of.model_copy(update={"reports": reports})


def seen(*reports: Report) -> ProposalObserved:
    return observed(facts(*reports))


def decided(*nodes: OrdererSeen | PeerSeen, told: bool = False, of: ProposalObserved | None = None) -> Stage:
    work = CreationWork(
        CHANGE,
        EXPECTED,
        tuple(node for node in nodes if isinstance(node, OrdererSeen)),
        tuple(node for node in nodes if isinstance(node, PeerSeen)),
        told=told,
    )
    return work.decide(of or seen(), {})


def test_a_creation_is_pinned_on_the_ops_channel_and_needs_all_who_are_to_be_in_it() -> None:
    second = {"mspID": ORG2, "definitionFrom": {"inline": definition(ORG2)}}

    document = ProposalDocument.parse(plan(with_(second)).document)

    assert document.snapshot.channel != "newchannel"
    assert document.snapshot.members == (ORG1, ORG2)
    assert document.snapshot.rule == Rule(n=2, of=(ORG1, ORG2))
    assert isinstance(document.content, ChannelContent)
    assert document.content.block_bytes


def test_an_organization_that_cannot_vote_is_named() -> None:
    stranger = {"mspID": "Org9MSP", "definitionFrom": {"inline": definition("Org9MSP")}}

    found = planned(with_(stranger))

    assert isinstance(found, Verdict)
    assert found.reason is Reason.INVALID_SPEC
    assert "Org9MSP cannot agree" in found.message


def test_a_dry_run_shows_members_and_consenters() -> None:
    found = planned({**CREATION, "dryRun": True})

    assert isinstance(found, Preview)
    assert isinstance(found.review, ChannelChange)
    assert "+ /Channel/Application/Org1MSP" in found.review.lines
    assert "+ consenter orderer1:7050 of Org1MSP" in found.review.lines


@pytest.mark.parametrize(
    ("nodes", "actions", "said"),
    [
        pytest.param(
            (ORDERER, PEER), (JoinOrderer("orderer1:7050"),), "orderer orderer1:7050 has not joined", id="orderers"
        ),
        pytest.param((JOINED_ORDERER, PEER), (JoinPeer("peer0"),), "peer peer0 has not joined", id="then-peers"),
        pytest.param(
            (replace(ORDERER, listed=False), PEER), (JoinPeer("peer0"),), "is not in spec.orderers", id="not-listed"
        ),
        pytest.param(
            (replace(ORDERER, problem="no answer"), PEER),
            (JoinPeer("peer0"),),
            "orderer orderer1:7050: no answer",
            id="orderer-is-away",
        ),
        pytest.param((replace(PEER, problem="no answer"),), (), "peer peer0: no answer", id="peer-is-away"),
        pytest.param((replace(PEER, joined=True),), (), "no own peer shows block 0 yet", id="unproved"),
        pytest.param(
            (replace(ORDERER, joined=True), JOINED_PEER),
            (),
            "orderer orderer1:7050 does not show block 0 yet",
            id="orderer-is-unproved",
        ),
        pytest.param(
            (replace(ORDERER, joined=True, problem="no answer"), JOINED_PEER),
            (),
            "orderer orderer1:7050: no answer",
            id="orderer-is-in-and-away",
        ),
        pytest.param(
            (replace(ORDERER, joined=True, problem=REFUSAL), JOINED_PEER),
            (),
            "orderer orderer1:7050: is in a channel of that name and refuses to show its first block",
            id="orderer-refuses",
        ),
    ],
)
def test_what_is_missing_is_done_in_order_and_said(
    nodes: tuple[OrdererSeen | PeerSeen, ...], actions: tuple[object, ...], said: str
) -> None:
    stage = decided(*nodes)

    assert stage.actions == actions
    assert said in stage.ready.message
    assert not stage.ready.holds
    assert stage.requeue_seconds is not None
    assert not stage.stalled


def test_it_is_ready_when_every_own_node_runs_from_the_agreed_block() -> None:
    stage = decided(JOINED_ORDERER, JOINED_PEER)

    assert stage.ready.holds
    assert stage.phase is Phase.APPLIED
    assert stage.conditions[ConditionType.APPLIED].holds
    assert [(each.step, each.evidence) for each in stage.reports] == [
        (Step.JOINED, Evidence(config_block=0, config_hash=EXPECTED, peers=("peer0",))),
        (Step.APPLIED, Evidence(config_block=0, config_hash=EXPECTED)),
    ]


@pytest.mark.parametrize(
    ("nodes", "named"),
    [
        pytest.param((ORDERER, replace(JOINED_PEER, block_hash=OTHER), PEER), "on peer peer0 with", id="peer"),
        pytest.param((replace(JOINED_ORDERER, block_hash=OTHER), PEER), "on orderer orderer1:7050 with", id="orderer"),
        pytest.param((replace(JOINED_ORDERER, block_hash=OTHER),), "osnadmin channel remove", id="orderer-alone"),
    ],
)
def test_a_channel_of_that_name_with_another_first_block_is_left_alone(
    nodes: tuple[OrdererSeen | PeerSeen, ...], named: str
) -> None:
    stage = decided(*nodes)

    assert (stage.actions, stage.reports) == ((), ())
    assert stage.stalled
    assert stage.ready.reason is Reason.SUPERSEDED
    assert "channel newchannel exists" in stage.conditions[ConditionType.APPLIED].message
    assert named in stage.ready.message


def test_an_organization_that_only_orders_tells_what_its_orderers_showed() -> None:
    unproved, proved = decided(replace(ORDERER, joined=True)), decided(JOINED_ORDERER)

    assert (unproved.ready.holds, unproved.reports) == (False, ())
    assert [(each.step, each.evidence) for each in proved.reports] == [
        (Step.APPLIED, Evidence(config_block=0, config_hash=EXPECTED))
    ]


def test_who_has_no_node_in_it_cannot_say_that_it_runs() -> None:
    stage = decided()

    assert stage.conditions[ConditionType.APPLIED].status == "Unknown"
    assert (stage.actions, stage.reports, stage.stalled) == ((), (), False)


def test_what_was_told_is_not_told_again_and_nothing_joins_anew() -> None:
    evidence = Evidence(config_block=0, config_hash=EXPECTED)
    report = Report(
        msp_id=ORG1,
        step=Step.APPLIED,
        outcome=Outcome.DONE,
        evidence=evidence,
        time=datetime(2026, 6, 1, tzinfo=UTC),
        tx_id=tx("applied"),
        attempt=1,
    )

    stage = decided(told=True, of=seen(report))

    assert stage.ready.holds
    assert (stage.actions, stage.reports) == ((), ())


def test_nothing_joins_while_suspended() -> None:
    stage = decided(ORDERER, PEER, of=replace(seen(), suspended=True))

    assert stage.actions == ()
    assert stage.ready.reason is Reason.SUSPENDED


NODES = st.one_of(
    st.builds(
        OrdererSeen,
        st.just("orderer1:7050"),
        st.booleans(),
        st.booleans(),
        st.sampled_from(("", "away")),
        st.sampled_from(("", EXPECTED, OTHER)),
    ),
    st.builds(
        PeerSeen, st.just("peer0"), st.booleans(), st.sampled_from(("", EXPECTED, OTHER)), st.sampled_from(("", "away"))
    ),
)


@given(st.lists(NODES, max_size=4))
def test_no_node_joins_twice_and_nothing_is_told_before_all_is_shown(nodes: list[OrdererSeen | PeerSeen]) -> None:
    stage = decided(*nodes)

    complete = all(node.joined for node in nodes)
    assert not (stage.actions and complete)
    assert not (stage.reports and stage.actions)
    assert bool(stage.reports) == stage.conditions[ConditionType.APPLIED].holds
    if stage.reports:
        assert nodes
        assert all(node.joined for node in nodes if isinstance(node, PeerSeen))
        assert all(node.block_hash == EXPECTED for node in nodes if isinstance(node, OrdererSeen))
        assert all(node.block_hash != OTHER for node in nodes if isinstance(node, PeerSeen))


def test_the_status_shows_what_the_channel_has() -> None:
    watched = replace(seen(), work=CreationWork(CHANGE, EXPECTED, (ORDERER,), (PEER,)))

    fields = channel_status(watched, {})

    assert fields["diff"] == CHANGE.lines
    assert [each.msp_id for each in fields["organizations"]] == list(facts().proposal.snapshot.members)


def judged(content: ChannelContent) -> Verdict:
    proposal = proposed(CREATION)
    return CreationRules(content, config().organization(ORG1)).judge_content(proposal)


def test_a_voter_builds_the_first_block_anew_and_looks_for_its_own_definition() -> None:
    _, honest = creation()
    other_recipe = {**RECIPE, "batch": {"maxMessageCount": 7}}
    robbed = {**RECIPE}
    for part in ("members", "orderers"):
        robbed[part] = [{**RECIPE[part][0], "definitionFrom": {"inline": definition(ORG2)}}]
    foreign = {name: value for name, value in consenter(1, ORG2).items() if name != "mspID"}
    robbed["orderers"] = [{**robbed["orderers"][0], "consenters": [foreign]}]

    def content(recipe: dict[str, Any], block: bytes | None = None) -> ChannelContent:
        manifest = spec(channel="newchannel", action="Create", create=recipe)
        resolved = resolve_recipe(manifest, {})
        return create_content(manifest, resolved, block or build_genesis("newchannel", resolved, at=NOW))

    assert judged(honest).holds
    forged = judged(content(other_recipe, honest.block_bytes))
    assert (forged.reason, "genesisBlock is not what its recipe" in forged.message) == (Reason.DELTA_MISMATCH, True)
    stolen = judged(content(robbed))
    assert (stolen.reason, "another definition" in stolen.message) == (Reason.DELTA_MISMATCH, True)
