"""A package that stays and that this organization never approved: whom it is taken from, and what is said otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import DONE, MIRROR, REF, TARGET, UNDONE, observed
from unit.operator_domain.test_catchup import CONSENT

from opssc_chaincode.model import Facts, Package, UnchangedPackage
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.organization import ExecutionMode, VotingMode
from opssc_operator.api.trust import Trust
from opssc_operator.domain.deployment import Approve
from opssc_operator.domain.installation import Install, PeerState
from opssc_operator.domain.keeping import Origin, not_known
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.stage import ProposalDecision
from opssc_operator.domain.voting import VotingRules

OWN = "Org3MSP"
ORIGIN = Origin(replace(REF, id="basic-0"), ledger.chaincode_content(), agreed=False)
KEEPING = ledger.chaincode_content(package=Package(unchanged=UnchangedPackage()))
PROPOSAL = ledger.proposal(ledger.document(ledger.members(3), content=KEEPING))
VOTES = tuple(ledger.vote(PROPOSAL, msp_id) for msp_id in ("Org1MSP", "Org2MSP"))
AGREED = Facts(proposal=PROPOSAL, votes=VOTES)
BARE = replace(UNDONE, own_msp_id=OWN, peers=(PeerState("peer0", reachable=True, on_channel=True),))
TRUSTING = VotingRules(VotingMode.MANUAL, trust=Trust(image_registries=("registry.example.com",)))
CONSENTING = replace(CONSENT, content_hash=PROPOSAL.content_hash)


def decide(**changes: Any) -> ProposalDecision:
    usual = {
        "own_msp_id": OWN,
        "manifest": None,
        "mirror": MIRROR,
        "target": TARGET,
        "deployment": BARE,
        "origin": ORIGIN,
    }
    return decide_proposal(observed(AGREED, **{**usual, **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"rules": TRUSTING}, id="from-a-trusted-source"),
        pytest.param({"origin": replace(ORIGIN, agreed=True)}, id="it-agreed-to-the-origin"),
        pytest.param({"wishes": (CONSENTING,)}, id="by-local-consent"),
        pytest.param(
            {"execution": ExecutionMode.OWN_VOTE_ONLY, "wishes": (CONSENTING,)}, id="own-vote-only-by-local-consent"
        ),
        pytest.param({"rules": TRUSTING, "newcomer": True, "own_msp_id": "Org9MSP"}, id="newcomer-that-trusts"),
    ],
)
def test_what_others_brought_is_installed(changes: dict[str, Any]) -> None:
    decision = decide(**changes)
    assert decision.ledger_actions == (Install("peer0"),)


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        pytest.param({}, Reason.UNTRUSTED_SOURCE, "Org1MSP/basic-0 brought the package", id="untrusted"),
        pytest.param(
            {"newcomer": True, "own_msp_id": "Org9MSP"},
            Reason.UNTRUSTED_SOURCE,
            "image registry.example.com/basic is not in trust.imageRegistries",
            id="newcomer-untrusted",
        ),
        pytest.param(
            {
                "execution": ExecutionMode.OWN_VOTE_ONLY,
                "rules": TRUSTING,
                "wishes": (replace(CONSENTING, local=None),),
            },
            Reason.AWAITING_CONSENT,
            "execution is OwnVoteOnly",
            id="own-vote-only",
        ),
    ],
)
def test_what_others_brought_is_not_taken_without_trust_or_consent(
    changes: dict[str, Any], reason: Reason, said: str
) -> None:
    # When
    decision = decide(**changes)

    # Then
    assert decision.ledger_actions == ()
    assert decision.conditions[ConditionType.INSTALLED].reason is reason
    assert said in decision.conditions[ConditionType.READY].message


@pytest.mark.parametrize("newcomer", [pytest.param(False, id="member"), pytest.param(True, id="newcomer")])
def test_a_package_nobody_can_name_is_not_the_same_as_none(newcomer: bool) -> None:
    # Given
    unknown = not_known(OWN, KEEPING, 1)
    target = replace(TARGET, package_id=None, not_known=unknown.missing)
    deployment = replace(DONE, own_msp_id=OWN, approval=None) if newcomer else BARE

    # When
    decision = decide(target=target, deployment=deployment, origin=None, newcomer=newcomer)
    by_vote = decide(target=replace(target, not_known=None), deployment=deployment, origin=None, newcomer=newcomer)

    # Then
    assert decision.ledger_actions == ()
    assert decision.conditions[ConditionType.INSTALLED].reason is Reason.AWAITING_CONSENT
    assert not decision.conditions[ConditionType.READY].holds
    assert "Org3MSP never approved sequence 1 of basic" in decision.conditions[ConditionType.READY].message
    assert decision.requeue_seconds is not None
    assert by_vote.ledger_actions == (Approve(),)
    assert by_vote.conditions[ConditionType.INSTALLED].reason is Reason.SKIPPED_BY_VOTE


def test_what_is_approved_already_is_not_distrusted_later() -> None:
    decision = decide(deployment=replace(DONE, own_msp_id=OWN))
    assert decision.conditions[ConditionType.READY].holds
