"""Local choices: which package an organization installs, and when it joins what it did not vote for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import (
    ACCEPTED,
    DONE,
    LOCAL,
    NOW,
    PROPOSAL,
    TARGET,
    UNDONE,
    facts,
    observed,
)

from opssc_chaincode.model import (
    ChaincodeContent,
    Connection,
    Facts,
    Image,
    KubernetesPackage,
    Package,
    ccaas_label,
)
from opssc_chaincode.model import Decision as LedgerDecision
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import ExecutionMode, VotingMode
from opssc_operator.api.trust import Trust
from opssc_operator.api.vote import Decision, LocalPackage
from opssc_operator.domain.choices import LocalChoice, choose
from opssc_operator.domain.content import build_package
from opssc_operator.domain.deployment import Approve
from opssc_operator.domain.installation import Install
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.verdict import no
from opssc_operator.domain.voting import VoteWish, VotingRules

DIGEST = "sha256:" + "ab" * 32
LABEL = ccaas_label("own", DIGEST, Connection(port=9999))
CONTENT = PROPOSAL.content
PROPOSED = LocalPackage.model_validate({"type": "Proposed"})
NONE = LocalPackage.model_validate({"type": "None"})
DISAGREED = facts(Org2MSP=LedgerDecision.AGREE, Org3MSP=LedgerDecision.DISAGREE)


def own(label: str = LABEL) -> LocalPackage:
    image = {"name": "ghcr.io/org3/own", "digest": DIGEST}
    return LocalPackage.model_validate(
        {"type": "ccaas", "ccaas": {"label": label, "image": image, "connection": {"port": 9999}}}
    )


def wish(decision: Decision = Decision.AGREE, **changes: Any) -> VoteWish:
    base = VoteWish("mine", NOW + timedelta(seconds=1), decision, "", None)
    return replace(base, **changes)


def chosen(*wishes: VoteWish) -> LocalChoice:
    assert isinstance(CONTENT, ChaincodeContent)
    return choose(wishes, CONTENT)


@pytest.mark.parametrize(
    "wishes",
    [
        pytest.param((), id="no-vote"),
        pytest.param((wish(),), id="nothing-said"),
        pytest.param((wish(local=PROPOSED),), id="said"),
        pytest.param((wish(), wish(name="later", created=NOW + timedelta(hours=1), local=NONE)), id="older-vote-says"),
    ],
)
def test_the_proposed_package_is_taken_unless_the_oldest_vote_says_otherwise(wishes: tuple[VoteWish, ...]) -> None:
    assert chosen(*wishes) == replace(chosen(), vote="")
    assert chosen(*wishes).content == CONTENT


def test_an_organization_may_take_no_package_or_one_of_its_own() -> None:
    # When
    nothing, another = chosen(wish(local=NONE)), chosen(wish(local=own()))

    # Then
    assert (nothing.content, nothing.problem) == (None, None)
    assert another.content is not None
    assert build_package(another.content.package).package_id.startswith(f"{LABEL}:")


def test_a_package_of_its_own_whose_label_binds_other_code_is_installed_nowhere_and_says_so() -> None:
    # Given
    wrong = chosen(wish(local=own("own-0123456789ab")))

    # When
    decision = decide_proposal(
        observed(ACCEPTED, wishes=(wish(),), target=replace(TARGET, package_id=None), deployment=UNDONE, choice=wrong)
    )

    # Then
    assert wrong.content is None
    assert wrong.problem is not None
    assert f"Vote mine: local.package.ccaas: label must end in -{LABEL[-12:]}" in wrong.problem.message
    assert decision.ledger_actions == ()
    assert decision.conditions[ConditionType.INSTALLED].reason is Reason.INVALID_SPEC
    assert decision.conditions[ConditionType.STALLED].reason is Reason.INVALID_SPEC
    assert decision.vote_problems == {"mine": wrong.problem}


def test_a_wrong_package_of_its_own_is_not_ready_although_the_others_committed() -> None:
    wrong = LocalChoice(None, is_own=True, vote="mine", problem=no(Reason.INVALID_SPEC, "wrong"))
    decision = decide_proposal(observed(ACCEPTED, target=TARGET, deployment=DONE, choice=wrong))
    assert decision.conditions[ConditionType.READY].reason is Reason.INVALID_SPEC


AGREED_LATE = wish(created=NOW + timedelta(hours=1))
OWN_VOTE_ONLY = {"execution": ExecutionMode.OWN_VOTE_ONLY}


@pytest.mark.parametrize(
    ("given_facts", "changes", "before_commit", "after_commit"),
    [
        pytest.param(ACCEPTED, {}, True, True, id="follows-the-decision"),
        pytest.param(DISAGREED, {"wishes": (wish(Decision.DISAGREE),)}, False, False, id="disagreed"),
        pytest.param(DISAGREED, {"wishes": ()}, False, False, id="disagreed-and-its-vote-is-gone"),
        pytest.param(
            DISAGREED,
            {"wishes": (wish(Decision.DISAGREE, local=PROPOSED),)},
            False,
            True,
            id="disagreed-and-joins-late",
        ),
        pytest.param(ACCEPTED, OWN_VOTE_ONLY, False, False, id="own-vote-only"),
        pytest.param(ACCEPTED, {**OWN_VOTE_ONLY, "wishes": (AGREED_LATE,)}, True, True, id="own-vote-only-agrees-late"),
        pytest.param(
            ACCEPTED,
            {**OWN_VOTE_ONLY, "wishes": (replace(AGREED_LATE, created=NOW - timedelta(hours=1)),)},
            False,
            False,
            id="own-vote-only-blank-cheque",
        ),
        pytest.param(
            ACCEPTED,
            {**OWN_VOTE_ONLY, "wishes": (replace(AGREED_LATE, content_hash="0" * 64),)},
            False,
            False,
            id="own-vote-only-agrees-to-something-else",
        ),
        pytest.param(
            ACCEPTED,
            {**OWN_VOTE_ONLY, "wishes": (replace(AGREED_LATE, decision=Decision.DISAGREE),)},
            False,
            False,
            id="own-vote-only-disagrees-late",
        ),
        pytest.param(
            ACCEPTED,
            {**OWN_VOTE_ONLY, "wishes": (replace(AGREED_LATE, decision=Decision.DISAGREE, local=PROPOSED),)},
            False,
            True,
            id="own-vote-only-disagrees-late-and-joins",
        ),
    ],
)
def test_an_organization_joins_what_it_did_not_vote_for_by_its_own_consent_alone(
    given_facts: Facts, changes: dict[str, Any], before_commit: bool, after_commit: bool
) -> None:
    # Given
    bare = replace(DONE.peers[0], installed=False)
    before = replace(UNDONE, own_msp_id="Org3MSP", peers=(bare,))
    after = replace(before, committed=DONE.committed)

    # When
    acts = [
        any(isinstance(action, Install | Approve) for action in decide_proposal(seen).ledger_actions)
        for seen in (
            observed(given_facts, own_msp_id="Org3MSP", manifest=LOCAL, target=TARGET, deployment=deployment, **changes)
            for deployment in (before, after)
        )
    ]

    # Then
    assert acts == [before_commit, after_commit]


IMAGE = Image(name="registry.example.com/basic", digest=DIGEST)
BUILT_BY_PEERS = ledger.proposal(
    ledger.document(
        content=ledger.chaincode_content(package=Package(k8s=KubernetesPackage(label="basic_1", image=IMAGE)))
    )
)


def built_by_peers(**votes: LedgerDecision) -> Facts:
    cast = {"Org1MSP": LedgerDecision.AGREE, "Org2MSP": LedgerDecision.AGREE, **votes}
    given = tuple(ledger.vote(BUILT_BY_PEERS, msp_id, how) for msp_id, how in cast.items())
    return Facts(proposal=BUILT_BY_PEERS, votes=given)


WITHOUT_US = built_by_peers()
TRUSTING = {"rules": VotingRules(VotingMode.MANUAL, trust=Trust(image_registries=("registry.example.com",)))}


@pytest.mark.parametrize(
    ("given_facts", "changes", "acts"),
    [
        pytest.param(WITHOUT_US, {}, False, id="untrusted"),
        pytest.param(WITHOUT_US, {"wishes": (wish(Decision.DISAGREE),)}, False, id="untrusted-and-disagrees-late"),
        pytest.param(WITHOUT_US, TRUSTING, True, id="trusted"),
        pytest.param(built_by_peers(Org3MSP=LedgerDecision.AGREE), {}, True, id="agreed"),
        pytest.param(WITHOUT_US, {"wishes": (AGREED_LATE,)}, True, id="agrees-late"),
        pytest.param(WITHOUT_US, {"wishes": (wish(local=PROPOSED),)}, True, id="by-local-choice"),
        pytest.param(
            WITHOUT_US,
            {"choice": LocalChoice(None), "target": replace(TARGET, package_id=None)},
            True,
            id="without-a-package",
        ),
    ],
)
def test_peers_run_an_image_that_others_accepted_only_from_trusted_registries_or_by_own_consent(
    given_facts: Facts, changes: dict[str, Any], acts: bool
) -> None:
    # Given
    bare = replace(DONE.peers[0], installed=False)
    before = replace(UNDONE, own_msp_id="Org3MSP", peers=(bare,))

    # When
    decision = decide_proposal(
        observed(given_facts, **{"own_msp_id": "Org3MSP", "target": TARGET, "deployment": before, **changes})
    )

    # Then
    assert any(isinstance(action, Install | Approve) for action in decision.ledger_actions) is acts
    refused = decision.conditions[ConditionType.INSTALLED].reason is Reason.UNTRUSTED_SOURCE
    assert refused is not acts


def test_an_image_that_is_approved_already_is_not_distrusted_later() -> None:
    approved = replace(DONE, own_msp_id="Org3MSP")
    decision = decide_proposal(observed(WITHOUT_US, own_msp_id="Org3MSP", target=TARGET, deployment=approved))
    assert decision.conditions[ConditionType.READY].holds
