"""An update that lets an organization in: recognized by what it writes, and carried out by joining."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fabric_protos.common import common_pb2
from unit.operator_channels.changes import ORG1, ORG2, config, definition, leaving
from unit.operator_channels.proposals import agreed, observed, proposed

from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import ConfigUpdateRefused
from opssc_chaincode.model import ChannelContent, Proposal
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import JoinMode
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.channels.admission import lets_in, membership_change, removes, shown_membership
from opssc_operator.domain.joining import Admission, JoiningObserved, JoiningPeer, Standing
from opssc_operator.domain.kinds.admission_work import AdmissionWork, JoinPeers
from opssc_operator.domain.membership import MembershipChange, is_removed
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


@pytest.mark.parametrize(
    ("changes", "msp_id", "admits"),
    [
        pytest.param(leaving(ORG2), ORG2, False, id="removed"),
        pytest.param(leaving(ORG2), ORG1, None, id="another-removed"),
        pytest.param(BLOCKS, ORG2, None, id="another-change"),
        pytest.param(WELCOME, "Org4MSP", True, id="added"),
        pytest.param(WELCOME, ORG2, None, id="another-added"),
    ],
)
def test_an_update_says_what_it_makes_of_a_membership(
    changes: dict[str, Any], msp_id: str, admits: bool | None
) -> None:
    expected = None if admits is None else MembershipChange("trade", admits, version=1, sequence=0)
    assert membership_change(proposed(changes), msp_id) == expected


def test_nobody_is_removed_who_is_not_pinned_as_a_member() -> None:
    removal = proposed(leaving(ORG2))
    others = removal.snapshot.model_copy(update={"members": (ORG1,)})

    assert removes(removal, ORG2)
    assert not removes(removal.model_copy(update={"snapshot": others}), ORG2)


def test_what_a_raw_update_removes_is_not_told_apart() -> None:
    removal = proposed(leaving(ORG2))
    raw = removal.content.model_copy(update={"changes": ()})

    assert membership_change(removal.model_copy(update={"content": raw}), ORG2) is None


def test_an_admission_is_recognized_in_a_raw_update_too() -> None:
    admission = proposed(WELCOME)
    raw = admission.content.model_copy(update={"changes": ()})

    assert membership_change(admission.model_copy(update={"content": raw}), "Org4MSP") == MembershipChange(
        "trade", admits=True, version=1, sequence=0
    )


def test_versions_tell_whether_a_removal_can_still_happen() -> None:
    """The same rule that orderers apply, on the library's configurations."""
    # Given: a member, and two changes that were made on the same configuration
    start = config()
    removal, rival = proposed(leaving(ORG2)), proposed(WELCOME)
    removed, let_in = membership_change(removal, ORG2), shown_membership(start, ORG2)
    assert removed is not None
    assert is_removed([removed], let_in)

    # When: the other one is applied first
    after = ChannelConfig.from_config(start.updated_by(update_of(rival)), "trade")

    # Then: the removal comes too late, by the orderers and by the versions
    with pytest.raises(ConfigUpdateRefused):
        after.updated_by(update_of(removal))
    assert not is_removed([removed], shown_membership(after, ORG2))

    # When: something else than the members changes, which leaves the removal possible
    other = ChannelConfig.from_config(start.updated_by(update_of(proposed(BLOCKS))), "trade")

    # Then
    assert ORG2 not in ChannelConfig.from_config(other.updated_by(update_of(removal)), "trade").members
    assert is_removed([removed], shown_membership(other, ORG2))


def update_of(proposal: Proposal) -> bytes:
    assert isinstance(proposal.content, ChannelContent)
    return proposal.content.update_bytes


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
