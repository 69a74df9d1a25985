"""An update that lets an organization in: recognized by what it writes, and carried out by joining."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from unit.operator_channels.changes import ORG1, ORG2, definition
from unit.operator_channels.proposals import agreed, observed, proposed

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import JoinMode
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.channels.admission import lets_in, sends_away
from opssc_operator.domain.joining import Admission, JoiningObserved, JoiningPeer, Standing
from opssc_operator.domain.kinds.admission_work import AdmissionWork, JoinPeers
from opssc_operator.domain.proposal import decide_proposal

WELCOME: dict[str, Any] = {
    "changes": [
        {
            "type": "addOrganization",
            "addOrganization": {"mspID": "Org4MSP", "definitionFrom": {"inline": definition("Org4MSP")}},
        }
    ]
}
BLOCKS: dict[str, Any] = {"changes": [{"type": "setBatch", "setBatch": {"maxMessageCount": 7}}]}
SEEN = JoiningObserved(
    "trade", "Org4MSP", JoinMode.AUTOMATIC, suspended=False, peers=(JoiningPeer("peer0"),), orderers_known=True
)
MEMBER = Admission(Standing.MEMBER, config_block=7)
GENESIS = common_pb2.Block()


@pytest.mark.parametrize(
    ("changes", "msp_id", "expected"),
    [
        pytest.param(WELCOME, "Org4MSP", True, id="added"),
        pytest.param(WELCOME, "Org5MSP", False, id="another-added"),
        pytest.param(WELCOME, "Org1MSP", False, id="member-already"),
        pytest.param(BLOCKS, "Org4MSP", False, id="another-change"),
    ],
)
def test_an_update_lets_in_whom_it_writes_a_definition_of(changes: dict[str, Any], msp_id: str, expected: bool) -> None:
    assert lets_in(proposed(changes), msp_id) is expected


def leaving(msp_id: str, groups: list[str]) -> dict[str, Any]:
    removed = {"mspID": msp_id, "groups": groups}
    return {"changes": [{"type": "removeOrganization", "removeOrganization": removed}]}


@pytest.mark.parametrize(
    ("changes", "msp_id", "channel"),
    [
        pytest.param(leaving(ORG2, ["Application"]), ORG2, "trade", id="removed"),
        pytest.param(leaving(ORG2, ["Application"]), ORG1, None, id="another-removed"),
        pytest.param(BLOCKS, ORG2, None, id="another-change"),
        pytest.param(WELCOME, "Org4MSP", None, id="added"),
    ],
)
def test_an_update_sends_away_whom_it_says_it_removes(
    changes: dict[str, Any], msp_id: str, channel: str | None
) -> None:
    assert sends_away(proposed(changes).content, msp_id) == channel


def decided(work: AdmissionWork) -> Any:
    seen = observed(agreed(proposed(WELCOME), ORG1, ORG2))
    return decide_proposal(replace(seen, own_msp_id="Org4MSP", admission=work))


def test_peers_join_when_orderers_show_the_organization_as_a_member() -> None:
    decision = decided(AdmissionWork(replace(SEEN, admission=MEMBER), GENESIS))

    assert decision.ledger_actions == (JoinPeers(("peer0",)),)
    assert decision.phase is Phase.ACCEPTED
    assert not decision.conditions[ConditionType.READY].holds


def test_an_organization_that_is_not_let_in_yet_is_told_so_and_looks_again() -> None:
    decision = decided(AdmissionWork(replace(SEEN, admission=Admission(Standing.OUTSIDE))))

    assert decision.ledger_actions == ()
    assert decision.conditions[ConditionType.READY].reason is Reason.NOT_A_MEMBER
    assert decision.requeue_seconds


def test_it_is_done_when_the_peers_have_joined_and_nothing_is_reported() -> None:
    decision = decided(AdmissionWork(replace(SEEN, peers=(JoiningPeer("peer0", joined=True),))))

    assert decision.conditions[ConditionType.APPLIED].reason is Reason.JOINED
    assert decision.conditions[ConditionType.READY].holds
    assert decision.phase is Phase.APPLIED
    assert (decision.ledger_actions, decision.reports) == ((), ())
