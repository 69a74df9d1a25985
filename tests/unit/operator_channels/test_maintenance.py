"""Maintenance mode: whose peers get no block of it says so, submits nothing that is refused, and blames nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric import channel
from unit.fabric.channel import NOW, person
from unit.operator_channels.changes import ORDERER, ORG1, ORG2, ORG3, config
from unit.operator_channels.proposals import ACL, agreed, observed, proposed, work_of
from unit.operator_channels.test_delta import delta_of

from fabric_admin.channelconfig import ChannelConfig
from opssc_chaincode.ranking import proposal_seed, rank_by
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.channels.judgement import judge
from opssc_operator.domain.kinds.channel_work import Attempts, SubmitUpdate
from opssc_operator.domain.stage import Stage

MEMBERS = (ORG1, ORG2, ORG3)
REFUSED = Attempts(1000.0, 1, "FORBIDDEN: permission denied")


def maintenance(*, enabled: bool) -> dict[str, Any]:
    return {"setMaintenance": {"enabled": enabled}}


def in_maintenance() -> ChannelConfig:
    return channel.load(config().updated_by(delta_of(maintenance(enabled=True)).update))


def decided(
    own: str, *, signed: tuple[str, ...] = MEMBERS, audience: tuple[str, ...] | None = (ORG1,), **more: Any
) -> Stage:
    """What an organization does about an update that its orderers would take, or would not."""
    facts = agreed(proposed(), *MEMBERS, signed=signed)
    work = work_of(facts, **{"refusal": "", "ready_seconds": 60.0, "audience": audience, **more})
    return work.decide(observed(facts, own), {})


@pytest.mark.parametrize(
    ("change", "on", "audience"),
    [
        pytest.param(maintenance(enabled=True), config(), (ORDERER,), id="on"),
        pytest.param(maintenance(enabled=False), in_maintenance(), None, id="off"),
        pytest.param({"setBatch": {"maxMessageCount": 7}}, config(), None, id="another change"),
        pytest.param({"setBatch": {"maxMessageCount": 7}}, in_maintenance(), (ORDERER,), id="while it is on"),
    ],
)
def test_only_orderer_organizations_get_the_block_that_turns_it_on(
    change: dict[str, Any], on: ChannelConfig, audience: tuple[str, ...] | None
) -> None:
    assert delta_of(change, on=on).audience == audience


def test_what_is_judged_says_who_gets_its_block() -> None:
    entering = proposed({"changes": [{"type": "setMaintenance", **maintenance(enabled=True)}]})

    found = judge(agreed(entering, ORG1), config(), None, person(ORG1).creator, governance=False, now=NOW)
    plain = judge(agreed(proposed(ACL), ORG1), config(), None, person(ORG1).creator, governance=False, now=NOW)

    assert (found.audience, plain.audience) == ((ORDERER,), None)


@pytest.mark.parametrize("attempts", [Attempts(), Attempts(1000.0), REFUSED], ids=["none", "sent", "refused"])
def test_who_does_not_get_the_block_cannot_tell_and_says_so(attempts: Attempts) -> None:
    stage = decided(ORG2, attempts=attempts)

    applied = stage.conditions[ConditionType.APPLIED]
    assert (applied.status, applied.reason) == ("Unknown", Reason.IN_MAINTENANCE)
    assert "serve blocks to Org1MSP alone" in applied.message
    assert (stage.phase, stage.actions, stage.reports, stage.stalled) == (Phase.ACCEPTED, (), (), False)


def test_signatures_that_are_missing_are_still_waited_for() -> None:
    stage = decided(ORG2, signed=(ORG2,), refusal="policy not satisfied")

    assert stage.conditions[ConditionType.APPLIED].status == "False"


def test_those_that_get_the_block_submit_in_their_turn_without_the_others() -> None:
    first, second = rank_by(proposal_seed(ORG1, "change"), (ORG1, ORG3))
    seeing = (ORG1, ORG3)

    assert decided(first, audience=seeing, ready_seconds=0.0).actions == (SubmitUpdate(),)
    assert decided(second, audience=seeing, ready_seconds=0.0).requeue_seconds == 5.0
    assert decided(second, audience=seeing, ready_seconds=5.0).actions == (SubmitUpdate(),)
    assert decided(ORG1, attempts=REFUSED).phase is Phase.FAILED


def test_when_no_signer_gets_the_block_each_submits_once() -> None:
    first = rank_by(proposal_seed(ORG1, "change"), (ORG2, ORG3))[0]

    assert decided(first, signed=(ORG2, ORG3)).actions == (SubmitUpdate(),)
    assert decided(first, signed=(ORG2, ORG3), attempts=REFUSED).actions == ()


@given(
    st.sampled_from(MEMBERS),
    st.sets(st.sampled_from(MEMBERS)),
    st.sets(st.sampled_from(MEMBERS)),
    st.sampled_from((Attempts(), Attempts(1000.0), REFUSED)),
)
def test_nobody_is_blamed_by_who_cannot_see(own: str, signed: set[str], served: set[str], attempts: Attempts) -> None:
    audience = tuple(sorted(served))

    stage = decided(own, signed=tuple(sorted(signed)), audience=audience, attempts=attempts)

    if own not in served:
        assert not stage.reports
        assert stage.phase is not Phase.FAILED
        assert SubmitUpdate() not in stage.actions or (attempts == Attempts() and not served & signed)
