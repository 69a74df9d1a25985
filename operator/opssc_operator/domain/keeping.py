"""Which package stays with an organization that is to keep what it had, and whether it takes one it never had. Pure.

Who was away, or joined later, has approved nothing that could stay: the package is then the one that came last to the
sequence before, from a proposal this organization may have had no part in.
"""

from __future__ import annotations

from dataclasses import dataclass

from opssc_chaincode.model import ChaincodeContent, Decision, Facts
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import ExecutionMode
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.choices import consents
from opssc_operator.domain.trust import judge_source
from opssc_operator.domain.verdict import Verdict, no
from opssc_operator.domain.voting import VotingObserved, own_vote


@dataclass(frozen=True, slots=True)
class Origin:
    """The verified and committed proposal that brought a package; ``agreed`` says that this organization voted so."""

    ref: ProposalRef
    content: ChaincodeContent
    agreed: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """The package that stays, None for none; ``origin`` when this organization never approved it.

    ``missing`` says why it is not known which one that is, ``fetching`` what comes of fetching it.
    """

    package_id: str | None
    origin: Origin | None = None
    missing: Verdict | None = None
    fetching: Verdict | None = None


def origin_of(facts: Facts, content: ChaincodeContent, own_msp_id: str) -> Origin:
    """The origin of what a proposal brought, as organization ``own_msp_id`` voted on it."""
    proposal = facts.proposal
    agreed = own_vote(facts, own_msp_id) is Decision.AGREE
    return Origin(ProposalRef(proposal.creator.msp_id, proposal.id), content, agreed)


def not_known(own_msp_id: str, content: ChaincodeContent, sequence: int) -> Kept:
    """Nothing proves what the package of ``sequence`` was."""
    message = (
        f"{own_msp_id} never approved sequence {sequence} of {content.name}, and no verified proposal whose commit the "
        "own peer proves says what its package was; apply a Vote on this one with spec.local.package, or type None"
    )
    return Kept(None, missing=no(Reason.AWAITING_CONSENT, message))


def judge_origin(voting: VotingObserved, origin: Origin, *, execution: ExecutionMode) -> Verdict | None:
    """Why a member does not take a package that it never approved; None when it does."""
    if origin.agreed or consents(voting):
        return None
    brought = f"{origin.ref} brought the package, and {voting.own_msp_id} never approved it"
    if execution is ExecutionMode.OWN_VOTE_ONLY:
        message = f"{brought}; execution is OwnVoteOnly: apply a Vote on this one with spec.local"
        return no(Reason.AWAITING_CONSENT, message)
    untrusted = judge_source(voting.rules.trust, origin.content.package)
    if untrusted is None:
        return None
    source = untrusted.message.partition(" of the FabricOrganization")[0]
    return no(Reason.UNTRUSTED_SOURCE, f"{brought}; {source}: add it, or apply a Vote on this one with spec.local")
