"""Who reads a status learns what the own vote came from."""

from __future__ import annotations

from datetime import timedelta

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import NOW, PROPOSAL, facts, observed

from opssc_chaincode.model import Decision as LedgerDecision
from opssc_operator.api.organization import VotingMode, VotingRule
from opssc_operator.api.trust import Trust
from opssc_operator.api.vote import Decision
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.votesource import source_of
from opssc_operator.domain.voting import CastVote, VoteWish, VotingRules

VOTE = ledger.vote(PROPOSAL, "Org2MSP", LedgerDecision.AGREE)


def wish(reason: str = "", *, name: str = "mine", seconds: int = 0) -> VoteWish:
    return VoteWish(name, NOW + timedelta(seconds=seconds), Decision.AGREE, reason, None)


@pytest.mark.parametrize(
    ("reason", "wishes", "own_msp_id", "said"),
    [
        pytest.param(None, (wish(),), "Org2MSP", "Vote mine", id="a-Vote"),
        pytest.param(
            None, (wish(name="second", seconds=1), wish(name="first")), "Org2MSP", "Vote first", id="the-older-Vote"
        ),
        pytest.param("agreed by rule 3", (), "Org2MSP", "rule 3 of FabricOrganization org2", id="a-rule"),
        pytest.param(
            "agreed by rule 3", (wish("agreed by rule 3"),), "Org2MSP", "Vote mine", id="a-Vote-in-the-words-of-a-rule"
        ),
        pytest.param(
            "agreed by rule 3",
            (wish("fine"),),
            "Org2MSP",
            "rule 3 of FabricOrganization org2",
            id="a-rule-not-a-Vote",
        ),
        pytest.param("fine", (), "Org2MSP", "a Vote that is no longer here", id="a-Vote-that-was-deleted"),
        pytest.param(None, (), "Org3MSP", None, id="a-vote-of-others"),
    ],
)
def test_the_own_vote_says_what_it_came_from(
    reason: str | None, wishes: tuple[VoteWish, ...], own_msp_id: str, said: str | None
) -> None:
    vote = VOTE.model_copy(update={"reason": reason})
    found = source_of(vote, creator="Org1MSP", own_msp_id=own_msp_id, wishes=wishes, organization="org2")
    assert found == said


def test_a_proposal_is_its_proposers_vote() -> None:
    vote = ledger.vote(PROPOSAL, "Org1MSP", LedgerDecision.AGREE)
    found = source_of(vote, creator="Org1MSP", own_msp_id="Org1MSP", wishes=(), organization="org1")
    assert found == "the proposal itself"


def test_an_automatic_vote_names_the_first_rule_that_agrees() -> None:
    # Given
    trust = Trust(image_registries=("registry.example.com/",))
    rules = VotingRules(
        VotingMode.RULES, (VotingRule(creators=("Org9MSP",)), VotingRule(), VotingRule()), "org2", trust
    )

    # When
    decision = decide_proposal(observed(facts(), own_msp_id="Org2MSP", rules=rules))

    # Then
    assert decision.ledger_actions == (CastVote(Decision.AGREE, "agreed by rule 2", PROPOSAL.content_hash),)
