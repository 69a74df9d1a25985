"""What an organization that joined a channel later does about what is committed there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.operator_domain.proposals import ACCEPTED, DONE, MIRROR, NOW, REF, TARGET, observed

from opssc_chaincode.model import CcaasPackage, ChaincodeContent
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import CatchUpMode, ExecutionMode, VotingMode
from opssc_operator.api.trust import Trust
from opssc_operator.api.vote import Decision, LocalPackage, LocalPackageType
from opssc_operator.domain.deployment import Approve, Commit
from opssc_operator.domain.installation import Install, PeerState
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.stage import ProposalDecision
from opssc_operator.domain.verdict import no
from opssc_operator.domain.voting import VoteWish, VotingRules

CONTENT = ACCEPTED.proposal.content
BARE = replace(
    DONE,
    own_msp_id="Org9MSP",
    peers=(PeerState("peer0", reachable=True, on_channel=True),),
    approval=None,
)
INSTALLED = replace(BARE, peers=DONE.peers)
TRUSTING = VotingRules(VotingMode.MANUAL, trust=Trust(image_registries=("ghcr.io/org",)))
CONSENT = VoteWish(
    name="consent",
    created=NOW,
    decision=Decision.AGREE,
    reason="",
    content_hash=ACCEPTED.proposal.content_hash,
    local=LocalPackage(type=LocalPackageType.PROPOSED),
)


def decide(**changes: Any) -> ProposalDecision:
    usual = {
        "own_msp_id": "Org9MSP",
        "manifest": None,
        "mirror": MIRROR,
        "newcomer": True,
        "target": TARGET,
        "deployment": BARE,
    }
    return decide_proposal(observed(ACCEPTED, **{**usual, **changes}))


def trusted() -> VotingRules:
    """Rules that trust the registry of the proposal at hand."""
    assert isinstance(CONTENT, ChaincodeContent)
    assert isinstance(CONTENT.package.source, CcaasPackage)
    return replace(TRUSTING, trust=Trust(image_registries=(CONTENT.package.source.image.name,)))


def test_what_is_trusted_is_installed_then_approved_and_never_committed_or_reported() -> None:
    # When
    first, second = decide(rules=trusted()), decide(rules=trusted(), deployment=INSTALLED)
    done = decide(rules=trusted(), deployment=replace(DONE, own_msp_id="Org9MSP"))

    # Then
    assert first.ledger_actions == (Install("peer0"),)
    assert second.ledger_actions == (Approve(),)
    assert done.ledger_actions == ()
    assert done.conditions[ConditionType.READY].holds
    assert not any(isinstance(action, Commit) for action in (*first.ledger_actions, *second.ledger_actions))
    assert (first.reports, second.reports, done.reports) == ((), (), ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"rules": VotingRules(VotingMode.MANUAL)}, Reason.UNTRUSTED_SOURCE, id="trusts-nobody"),
        pytest.param({"catch_up": CatchUpMode.MANUAL}, Reason.AWAITING_CONSENT, id="manual"),
        pytest.param({"execution": ExecutionMode.OWN_VOTE_ONLY}, Reason.AWAITING_CONSENT, id="own-vote-only"),
    ],
)
def test_nothing_is_done_without_trust_or_consent(changes: dict[str, Any], reason: Reason) -> None:
    # When
    decision = decide(**{"rules": trusted(), **changes})
    consented = decide(**{"rules": trusted(), **changes, "wishes": (CONSENT,)})

    # Then
    assert decision.ledger_actions == ()
    assert decision.conditions[ConditionType.READY].reason is reason
    assert "Vote on it with spec.local" in decision.conditions[ConditionType.READY].message
    assert consented.ledger_actions == (Install("peer0"),)


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param(replace(CONSENT, local=None), id="no-local-choice"),
        pytest.param(replace(CONSENT, content_hash="0" * 64), id="another-content"),
    ],
)
def test_a_vote_that_says_nothing_of_this_content_or_of_the_own_nodes_is_no_consent(wish: VoteWish) -> None:
    decision = decide(catch_up=CatchUpMode.MANUAL, wishes=(wish,))

    assert decision.ledger_actions == ()


def test_of_two_proposals_for_what_is_committed_the_one_decided_last_is_followed() -> None:
    decision = decide(rules=trusted(), superseded_by=replace(REF, id="newer"))

    assert decision.ledger_actions == ()
    assert decision.conditions[ConditionType.READY].reason is Reason.SUPERSEDED


def test_without_a_commit_that_fits_it_is_no_business_of_a_newcomer() -> None:
    decision = decide(rules=trusted(), newcomer=False)

    assert decision.ledger_actions == ()
    assert decision.conditions[ConditionType.READY].reason is Reason.NOT_A_MEMBER


def test_a_proposal_that_does_not_say_the_truth_is_not_followed_although_what_it_asks_for_is_committed() -> None:
    # Somebody may propose what is committed with another package, and with a rule that only they have to satisfy.
    decision = decide(rules=trusted(), verified=no(Reason.SNAPSHOT_MISMATCH, "rule"), wishes=(CONSENT,))

    assert decision.ledger_actions == ()
    assert decision.conditions[ConditionType.READY].reason is Reason.SNAPSHOT_MISMATCH


def test_a_suspended_newcomer_does_nothing() -> None:
    assert decide(rules=trusted(), suspended=True).ledger_actions == ()
