"""A proposal on the ledger of three organizations, and what the operator of one of them observes of it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from unit.chaincode import strategies as ledger

from fabric_admin.definition import Definition
from fabric_admin.rule import NOutOf
from opssc_chaincode.model import Decision as LedgerDecision
from opssc_chaincode.model import Facts
from opssc_chaincode.tally import derive
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import ExecutionMode, VotingMode
from opssc_operator.api.proposal import Origin
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.deployment import Approval, Committed, DeploymentObserved, Target
from opssc_operator.domain.installation import PeerState
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork
from opssc_operator.domain.observation import ManifestState, ProposalObserved, rank_seed
from opssc_operator.domain.planning import Plan
from opssc_operator.domain.verdict import yes
from opssc_operator.domain.voting import VotingRules

NOW = ledger.NOW
PROPOSAL = ledger.proposal(ledger.document(ledger.members(3)))
REF = ProposalRef("Org1MSP", PROPOSAL.id)
PLAN = Plan(b"{}", PROPOSAL.content, PROPOSAL.content_hash)
DEFINITION = Definition(name="basic", version="1.0", sequence=1)
TARGET = Target("mychannel", DEFINITION, "basic:" + "00" * 32, rank_seed(REF))
LOCAL = ManifestState("basic-1", Origin.LOCAL, NOW)
OBSERVER = ManifestState("basic-1", Origin.OBSERVED, NOW)
MIRROR = ManifestState("basic-1.org1msp", Origin.MIRRORED, NOW)
DONE = DeploymentObserved(
    own_msp_id="Org1MSP",
    peers=(PeerState("peer0", reachable=True, on_channel=True, installed=True),),
    committed=Committed(DEFINITION, {}),
    approval=Approval(DEFINITION, "basic:" + "00" * 32),
    approvals={},
    mismatches={},
    rule=NOutOf(2, ledger.members(3)),
)
UNDONE = replace(DONE, committed=None, approval=None)


def facts(**votes: LedgerDecision) -> Facts:
    cast = {"Org1MSP": LedgerDecision.AGREE, **votes}
    return Facts(proposal=PROPOSAL, votes=tuple(ledger.vote(PROPOSAL, msp_id, how) for msp_id, how in cast.items()))


ACCEPTED = facts(Org2MSP=LedgerDecision.AGREE)
REJECTED = facts(Org2MSP=LedgerDecision.DISAGREE, Org3MSP=LedgerDecision.DISAGREE)


def observed(given_facts: Facts | None, **changes: Any) -> ProposalObserved:
    now: datetime = changes.pop("now", NOW)
    base = ProposalObserved(
        now=now,
        ref=REF,
        own_msp_id="Org1MSP",
        execution=ExecutionMode.FOLLOW_DECISION,
        suspended=False,
        rules=VotingRules(VotingMode.MANUAL),
        manifest=LOCAL,
        mirror=None,
        mirror_wanted=False,
        wishes=(),
        facts=given_facts,
        tally=None if given_facts is None else derive(given_facts, now),
        verified=yes(Reason.VERIFIED),
    )
    if "target" in changes:
        names = {field.name for field in fields(ChaincodeWork)} & changes.keys()
        changes["work"] = ChaincodeWork(**{name: changes.pop(name) for name in names})
    return replace(base, **changes)
