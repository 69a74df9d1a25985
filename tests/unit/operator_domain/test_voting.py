"""When a Vote object, or a rule, becomes a vote on the ledger, and what is said on the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode import strategies as ledger

from opssc_chaincode.model import Charter, Facts, Kind
from opssc_chaincode.model import Decision as LedgerDecision
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import VotingMode, VotingRule
from opssc_operator.api.trust import Trust
from opssc_operator.api.vote import Decision
from opssc_operator.domain.status import vote_status
from opssc_operator.domain.trust import continues
from opssc_operator.domain.verdict import Verdict, no, unknown, yes
from opssc_operator.domain.voting import (
    CastVote,
    VoteWish,
    VotingObserved,
    VotingRules,
    decide_vote,
    matches,
)

PROPOSAL = ledger.proposal(ledger.document(ledger.members(3)))
FACTS = Facts(proposal=PROPOSAL, votes=(ledger.vote(PROPOSAL, "Org1MSP"),))
HASH = PROPOSAL.content_hash
SHOWN = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LATER = SHOWN + timedelta(seconds=1)
VERIFIED = yes(Reason.VERIFIED)
TRUSTING = Trust(image_registries=("registry.example.com/",))
MANUAL = VotingRules(VotingMode.MANUAL)
WISH = VoteWish("agree", LATER, Decision.AGREE, "", HASH)
OBSERVED = VotingObserved(
    own_msp_id="Org2MSP",
    facts=FACTS,
    open_for_votes=True,
    verified=VERIFIED,
    wishes=(WISH,),
    rules=MANUAL,
    shown_since=SHOWN,
    bound=False,
)


@pytest.mark.parametrize(
    ("changes", "reason", "cast"),
    [
        pytest.param({}, Reason.PROGRESSING, Decision.AGREE, id="bound-by-its-hash"),
        pytest.param({"wishes": (replace(WISH, content_hash="0" * 64),)}, Reason.HASH_MISMATCH, None, id="other-hash"),
        pytest.param({"wishes": (replace(WISH, content_hash=None),)}, Reason.PROGRESSING, Decision.AGREE, id="seen"),
        pytest.param(
            {"wishes": (replace(WISH, content_hash=None, created=SHOWN),)},
            Reason.CONTENT_HASH_REQUIRED,
            None,
            id="same-second-is-not-seen-before",
        ),
        pytest.param(
            {"wishes": (replace(WISH, content_hash=None),), "shown_since": None},
            Reason.CONTENT_HASH_REQUIRED,
            None,
            id="blank-cheque",
        ),
        pytest.param(
            {"wishes": (replace(WISH, content_hash=None, created=SHOWN),), "bound": True},
            Reason.PROGRESSING,
            Decision.AGREE,
            id="bound-by-an-observer",
        ),
        pytest.param({"facts": None}, Reason.AWAITING_PROPOSAL, None, id="nothing-to-vote-on"),
        pytest.param({"own_msp_id": "Org9MSP"}, Reason.NOT_A_MEMBER, None, id="no-member"),
        pytest.param({"open_for_votes": False}, Reason.VOTING_CLOSED, None, id="decided"),
        pytest.param({"hold": True}, Reason.SUSPENDED, None, id="suspended"),
        pytest.param(
            {"verified": no(Reason.SNAPSHOT_MISMATCH, "lies")}, Reason.SNAPSHOT_MISMATCH, None, id="agree-to-lies"
        ),
        pytest.param({"verified": unknown(Reason.PENDING)}, Reason.PENDING, None, id="agree-unverified"),
        pytest.param(
            {"verified": no(Reason.SNAPSHOT_MISMATCH), "wishes": (replace(WISH, decision=Decision.DISAGREE),)},
            Reason.PROGRESSING,
            Decision.DISAGREE,
            id="disagree-to-lies",
        ),
        pytest.param({"own_msp_id": "Org1MSP"}, Reason.COUNTED, None, id="voted-the-same"),
        pytest.param(
            {"own_msp_id": "Org1MSP", "wishes": (replace(WISH, decision=Decision.DISAGREE),)},
            Reason.ALREADY_VOTED,
            None,
            id="voted-otherwise",
        ),
    ],
)
def test_a_vote_object_is_sent_only_when_it_may_count(
    changes: dict[str, object], reason: Reason, cast: Decision | None
) -> None:
    # When
    decision = decide_vote(replace(OBSERVED, **changes))  # type: ignore[arg-type]

    # Then
    assert decision.outcomes["agree"].reason is reason
    assert (decision.cast.decision if decision.cast else None) is cast


def test_the_older_of_two_vote_objects_speaks() -> None:
    # Given
    younger = replace(WISH, name="afterthought", created=LATER + timedelta(seconds=5), decision=Decision.DISAGREE)

    # When
    decision = decide_vote(replace(OBSERVED, wishes=(younger, WISH)))

    # Then
    assert decision.cast == CastVote(Decision.AGREE, "", HASH)
    assert decision.outcomes["afterthought"].reason is Reason.DUPLICATE_VOTE


@pytest.mark.parametrize(
    ("rule", "agrees"),
    [
        pytest.param(VotingRule(), True, id="anything"),
        pytest.param(VotingRule(creators=("Org1MSP",)), True, id="creator"),
        pytest.param(VotingRule(creators=("Org3MSP",)), False, id="other-creator"),
        pytest.param(VotingRule(channels=("elsewhere",)), False, id="other-channel"),
        pytest.param(VotingRule(chaincodes=("basic",)), True, id="chaincode"),
        pytest.param(VotingRule(chaincodes=("other",)), False, id="other-chaincode"),
        pytest.param(VotingRule(image_prefixes=("evil.example.com",)), False, id="other-registry"),
    ],
)
def test_a_rule_agrees_only_to_what_matches_all_of_it(rule: VotingRule, agrees: bool) -> None:
    # Given
    rules = VotingRules(VotingMode.RULES, (rule,), trust=TRUSTING)

    # When
    decision = decide_vote(replace(OBSERVED, wishes=(), rules=rules))

    # Then
    assert (decision.cast is not None) is agrees


@pytest.mark.parametrize(
    ("image", "prefix", "matching"),
    [
        pytest.param("ghcr.io/org/basic", "ghcr.io/org", True, id="path"),
        pytest.param("ghcr.io/org/basic", "ghcr.io/org/", True, id="trailing-slash"),
        pytest.param("ghcr.io/org", "ghcr.io/org", True, id="equal"),
        pytest.param("ghcr.io/organization-of-crooks/basic", "ghcr.io/org", False, id="no-half-names"),
        pytest.param("ghcr.io.evil.com/org/basic", "ghcr.io", False, id="no-half-hosts"),
        pytest.param("", "ghcr.io", False, id="no-image"),
    ],
)
def test_an_image_prefix_ends_at_a_path_boundary(image: str, prefix: str, matching: bool) -> None:
    assert continues(image, prefix) is matching


def test_no_rule_agrees_to_a_charter() -> None:
    # Given
    charter = PROPOSAL.model_copy(update={"kind": Kind.CHARTER, "content": Charter(version=1)})
    rules = VotingRules(VotingMode.RULES, (VotingRule(),), trust=TRUSTING)

    # When
    decision = decide_vote(replace(OBSERVED, facts=Facts(proposal=charter), wishes=(), rules=rules))

    # Then
    assert decision.cast is None


def test_no_rule_votes_twice() -> None:
    # Given
    rules = VotingRules(VotingMode.RULES, (VotingRule(),), trust=TRUSTING)

    # When
    decision = decide_vote(replace(OBSERVED, own_msp_id="Org1MSP", wishes=(), rules=rules))

    # Then
    assert decision.cast is None


verdicts = st.sampled_from([VERIFIED, no(Reason.SNAPSHOT_MISMATCH), unknown(Reason.PENDING)])
wishes = st.lists(
    st.builds(
        VoteWish,
        name=st.sampled_from(["a", "b", "c"]),
        created=st.sampled_from([SHOWN, LATER]),
        decision=st.sampled_from(list(Decision)),
        reason=st.just(""),
        content_hash=st.sampled_from([None, HASH, "0" * 64]),
    ),
    max_size=3,
    unique_by=lambda wish: wish.name,
).map(tuple)


@given(
    own=st.sampled_from(["Org1MSP", "Org2MSP", "Org9MSP"]),
    verified=verdicts,
    applied=wishes,
    shown=st.sampled_from([None, SHOWN]),
    bound=st.booleans(),
    is_open=st.booleans(),
    mode=st.sampled_from(list(VotingMode)),
    trust=st.sampled_from([TRUSTING, Trust()]),
)
def test_no_blank_cheque_and_no_agreement_to_the_unverified(
    *,
    own: str,
    verified: Verdict,
    applied: tuple[VoteWish, ...],
    shown: datetime | None,
    bound: bool,
    is_open: bool,
    mode: VotingMode,
    trust: Trust,
) -> None:
    decision = decide_vote(
        VotingObserved(
            own, FACTS, is_open, verified, applied, VotingRules(mode, (VotingRule(),), trust=trust), shown, bound
        )
    )
    assert set(decision.outcomes) == {wish.name for wish in applied}
    if decision.cast is None:
        return
    assert decision.cast.content_hash == HASH
    assert is_open
    assert own == "Org2MSP"
    assert applied or (mode is VotingMode.RULES and trust is TRUSTING)
    if decision.cast.decision is Decision.AGREE:
        assert verified.holds
    if applied:
        first = min(applied, key=lambda wish: (wish.created, wish.name))
        assert first.decision is decision.cast.decision
        seen = shown is not None and shown < first.created
        assert first.content_hash == HASH or (first.content_hash is None and (bound or seen))


def test_the_matched_content_is_the_one_on_the_ledger() -> None:
    assert LedgerDecision.AGREE == Decision.AGREE
    assert matches(VotingRule(chaincodes=(PROPOSAL.content.name,)), "Org1MSP", PROPOSAL.content)  # type: ignore[union-attr,arg-type]


def test_a_vote_that_waits_for_the_own_peer_needs_no_person() -> None:
    # Given
    verified = unknown(Reason.AWAITING_VERIFICATION, "the own peer does not show config block 7 yet")

    # When
    decision = decide_vote(replace(OBSERVED, verified=verified))
    _, conditions = vote_status(decision.outcomes[WISH.name], FACTS, "Org2MSP", generation=1)

    # Then
    assert decision.cast is None
    assert ConditionType.RECONCILING in conditions
    assert ConditionType.STALLED not in conditions
