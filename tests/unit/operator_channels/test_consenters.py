"""Own orderers of a change: they follow the channel before anybody signs, and take part before it is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric import channel
from unit.operator_channels.test_delta import consenter
from unit.operator_channels.test_work import ORG1, ORG2, agreed, observed, proposed, work_of

from opssc_chaincode.model import ChannelContent, Outcome, Step
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.channels.consenter_tasks import ConsenterTask, Task, find_tasks, still_asked
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.kinds.channel_work import SignUpdate, UpdateWork
from opssc_operator.domain.kinds.consenter_work import (
    ConsenterNode,
    JoinConsenter,
    joined_report,
    joins,
    lacks_after,
    lacks_before,
)
from opssc_operator.domain.stage import Stage

ADDRESS = "orderer4:7050"
ADDED = ConsenterNode(ConsenterTask(Task.ADD, ADDRESS))
FOLLOWING = replace(ADDED, relation="follower", status="active")
ONBOARDING = replace(ADDED, relation="follower", status="onboarding")
ACTIVE = replace(ADDED, relation="consenter", status="active")
REPLACED = replace(ACTIVE, task=ConsenterTask(Task.REPLACE, ADDRESS, "PEM"))
REMOVED = ConsenterNode(ConsenterTask(Task.REMOVE, ADDRESS))
SILENT = replace(ADDED, problem="no answer")
UNLISTED = replace(ADDED, listed=False)
APPLIED = AppliedIn(7, "ab" * 32, ORG2)


def content(*changes: dict[str, Any]) -> ChannelContent:
    found = proposed({"changes": [{"type": next(iter(each)), **each} for each in changes]}).content
    assert isinstance(found, ChannelContent)
    return found


def accepted(*nodes: ConsenterNode, own: str = ORG1, signed: tuple[str, ...] = ()) -> Stage:
    facts = agreed(proposed(), ORG1, ORG2, signed=signed)
    return replace(work_of(facts), nodes=nodes).decide(observed(facts, own), {})


def applied(*nodes: ConsenterNode) -> Stage:
    facts = agreed(proposed(), ORG1, ORG2, signed=(ORG1, ORG2))
    work = UpdateWork(work_of(facts).change, APPLIED, nodes=nodes)
    return work.decide(observed(facts), {})


@pytest.mark.parametrize(
    ("nodes", "actions", "waits"),
    [
        pytest.param((), (SignUpdate(),), "", id="none"),
        pytest.param((ADDED,), (JoinConsenter(ADDRESS),), "has not joined", id="not-joined"),
        pytest.param((ONBOARDING,), (), "is follower, onboarding; waiting for active", id="onboarding"),
        pytest.param((FOLLOWING,), (SignUpdate(),), "", id="following"),
        pytest.param((SILENT,), (), "no answer", id="silent"),
        pytest.param((replace(FOLLOWING, presents=False),), (), "another TLS certificate", id="other-certificate"),
        pytest.param((UNLISTED,), (SignUpdate(),), "", id="unlisted-is-a-person-s-business"),
        pytest.param((REPLACED, REMOVED), (SignUpdate(),), "", id="replaced-and-removed"),
        pytest.param((ADDED, REMOVED), (JoinConsenter(ADDRESS),), "has not joined", id="one-of-several"),
    ],
)
def test_a_new_consenter_follows_the_channel_before_its_organization_signs(
    nodes: tuple[ConsenterNode, ...], actions: tuple[object, ...], waits: str
) -> None:
    stage = accepted(*nodes)

    assert stage.actions == actions
    verdict = stage.conditions[ConditionType.APPLIED]
    assert (verdict.reason is Reason.AWAITING_ORDERER) is bool(waits)
    assert waits in verdict.message
    assert (stage.requeue_seconds is not None) is bool(waits)


def test_who_signed_already_waits_for_the_others_alone() -> None:
    stage = accepted(ADDED, signed=(ORG1,))

    assert stage.actions == ()
    assert stage.conditions[ConditionType.APPLIED].reason is Reason.AWAITING_SIGNATURES


@pytest.mark.parametrize(
    ("node", "actions", "waits"),
    [
        pytest.param(ADDED, (JoinConsenter(ADDRESS),), "has not joined", id="not-joined"),
        pytest.param(FOLLOWING, (), "is follower, active; waiting for consenter, active", id="still-a-follower"),
        pytest.param(replace(ACTIVE, status="onboarding"), (), "is consenter, onboarding", id="onboarding"),
        pytest.param(SILENT, (), f"orderer {ADDRESS}: no answer", id="silent"),
        pytest.param(UNLISTED, (), "is not in spec.orderers", id="unlisted"),
        pytest.param(replace(REPLACED, presents=False), (), "another TLS certificate", id="old-certificate"),
        pytest.param(ConsenterNode(REPLACED.task), (), "has not joined", id="replaced-elsewhere"),
    ],
)
def test_an_applied_change_is_done_when_own_orderers_take_part(
    node: ConsenterNode, actions: tuple[object, ...], waits: str
) -> None:
    stage = applied(node)

    assert (stage.phase, stage.actions) == (Phase.APPLIED, actions)
    assert stage.conditions[ConditionType.APPLIED].holds
    assert stage.ready.reason is Reason.AWAITING_ORDERER
    assert waits in stage.ready.message
    assert stage.waiting
    assert [wish.step for wish in stage.reports] == [Step.APPLIED]


@pytest.mark.parametrize("node", [ACTIVE, REPLACED], ids=["added", "replaced"])
def test_the_others_are_told_which_orderer_takes_part(node: ConsenterNode) -> None:
    stage = applied(node, REMOVED)

    assert stage.ready.holds
    (told,) = (wish for wish in stage.reports if wish.step is Step.JOINED)
    assert told.outcome is Outcome.DONE
    assert told.evidence is not None
    assert told.evidence.peers == (ADDRESS,)


def test_an_orderer_that_left_keeps_its_ledger_which_a_person_is_told() -> None:
    stage = applied(REMOVED)

    assert stage.ready.holds
    assert stage.ready.message.endswith(
        f"own orderer {ADDRESS} keeps its ledger of the channel until a person removes it"
    )
    assert [wish.step for wish in stage.reports] == [Step.APPLIED]


def test_the_last_word_on_an_orderer_is_its_task() -> None:
    added = {"addConsenter": consenter(4)}
    tls = consenter(5)["serverTlsCert"]
    replaced = {"replaceConsenterCertificates": {"host": "orderer4", "port": 7050, "serverTlsCert": tls}}
    removed = {"removeConsenter": {"host": "orderer3", "port": 7050}}

    assert find_tasks(content(added)) == (
        ConsenterTask(Task.ADD, ADDRESS, consenter(4)["serverTlsCert"], channel.ORDERERS[0]),
    )
    assert find_tasks(content(removed, added, replaced)) == (
        ConsenterTask(Task.REMOVE, "orderer3:7050"),
        ConsenterTask(Task.REPLACE, ADDRESS, tls),
    )
    assert find_tasks(content({"setBatch": {"timeout": "1s"}})) == ()


def test_a_later_configuration_has_the_last_word_on_what_is_asked() -> None:
    config = channel.load(channel.build())
    gone = ConsenterTask(Task.ADD, ADDRESS, "PEM")
    renewed = ConsenterTask(Task.REPLACE, "orderer1:7050", "PEM")
    silent = ConsenterTask(Task.REPLACE, "orderer2:7050")

    in_force = channel.consenter(1).server_tls_cert.decode()
    assert still_asked((gone, renewed, silent), config) == (replace(renewed, certificate=in_force), silent)


NODES = st.builds(
    ConsenterNode,
    task=st.builds(ConsenterTask, st.sampled_from(Task), st.just(ADDRESS)),
    listed=st.booleans(),
    relation=st.sampled_from(["", "consenter", "follower", "other"]),
    status=st.sampled_from(["active", "onboarding", "inactive", "failed"]),
    presents=st.booleans(),
    problem=st.sampled_from(["", "no answer"]),
)


@given(st.lists(NODES, max_size=4))
def test_nothing_joins_that_lacks_nothing_and_nothing_is_told_for_it(nodes: list[ConsenterNode]) -> None:
    assert not joins(nodes) or (lacks_before(nodes) and lacks_after(nodes))
    if lacks_after(nodes):
        assert joined_report([node for node in nodes if node.task.task is not Task.REMOVE], APPLIED) is not None
    for node in nodes:
        if not lacks_after([node]) and node.task.task is not Task.REMOVE:
            assert (node.relation, node.status, node.presents, node.problem) == ("consenter", "active", True, "")
