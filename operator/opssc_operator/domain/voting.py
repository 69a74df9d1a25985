"""Whether, and how, this organization votes now, and what became of each applied Vote.

Owns the rules of ``Vote`` objects and of automatic votes. A vote that Agrees is only ever sent for content that the own
peer verified and that the voter can have known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from opssc_chaincode.model import CcaasPackage, ChaincodeContent, Facts, KubernetesPackage
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import VotingMode, VotingRule
from opssc_operator.api.trust import Trust
from opssc_operator.api.vote import Decision, LocalPackage
from opssc_operator.domain.trust import continues, judge_source
from opssc_operator.domain.verdict import Verdict, no, unknown, yes

NOBODY: Final = Trust()
"""Trusts no source at all."""


@dataclass(frozen=True, slots=True)
class VoteWish:
    """One applied Vote object; ``created`` is when the API server accepted it."""

    name: str
    created: datetime
    decision: Decision
    reason: str
    content_hash: str | None
    local: LocalPackage | None = None


@dataclass(frozen=True, slots=True)
class VotingRules:
    """How the organization votes without Vote objects."""

    mode: VotingMode
    rules: tuple[VotingRule, ...] = ()
    organization: str = ""
    """Name of the FabricOrganization they stand in."""
    trust: Trust = NOBODY


@dataclass(frozen=True, slots=True)
class CastVote:
    """Send one vote, bound to the content hash."""

    decision: Decision
    reason: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class VotingObserved:
    """What the decision needs: ``shown_since`` is since when the content was visible in this namespace.

    ``bound`` says that an observer manifest beside the votes fixes the content.
    """

    own_msp_id: str
    facts: Facts | None
    open_for_votes: bool
    verified: Verdict
    wishes: tuple[VoteWish, ...]
    rules: VotingRules
    shown_since: datetime | None
    bound: bool
    hold: bool = False


@dataclass(frozen=True, slots=True)
class VotingDecision:
    """The vote to send, if any, and what to say on each Vote object by name."""

    cast: CastVote | None
    outcomes: Mapping[str, Verdict]


def decide_vote(observed: VotingObserved) -> VotingDecision:
    """Decide the own vote and judge every Vote object; the oldest object speaks for the organization."""
    ordered = sorted(observed.wishes, key=lambda wish: (wish.created, wish.name))
    outcomes: dict[str, Verdict] = {
        wish.name: no(Reason.DUPLICATE_VOTE, f"Vote {ordered[0].name} on the same proposal is older; delete this one")
        for wish in ordered[1:]
    }
    first = ordered[0] if ordered else None
    if first is None:
        return VotingDecision(_decide_automatic(observed), outcomes)
    outcomes[first.name], cast = _judge(first, observed)
    return VotingDecision(cast, outcomes)


def own_vote(facts: Facts, own_msp_id: str) -> Decision | None:
    """The own organization's vote on the ledger."""
    return next((Decision(vote.decision) for vote in facts.votes if vote.msp_id == own_msp_id), None)


def _judge(wish: VoteWish, observed: VotingObserved) -> tuple[Verdict, CastVote | None]:
    facts = observed.facts
    if facts is None:
        return unknown(Reason.AWAITING_PROPOSAL, "no such proposal on the ledger yet"), None
    content_hash = facts.proposal.content_hash
    given = own_vote(facts, observed.own_msp_id)
    if given is not None:
        return _judge_given(wish, given, observed.own_msp_id, content_hash), None
    refusal = _refusal(wish, observed, facts)
    if refusal is not None:
        return refusal, None
    if observed.hold:
        return unknown(Reason.SUSPENDED, "suspended; the vote is sent when suspend is false again"), None
    if wish.decision is Decision.AGREE and not observed.verified.holds:
        judge = no if observed.verified.fails else unknown
        return judge(observed.verified.reason, f"not sent: {observed.verified.message}"), None
    cast = CastVote(wish.decision, wish.reason, content_hash)
    return unknown(Reason.PROGRESSING, "sending the vote"), cast


def _judge_given(wish: VoteWish, given: Decision, own_msp_id: str, content_hash: str) -> Verdict:
    if wish.content_hash not in (None, content_hash):
        return no(Reason.HASH_MISMATCH, f"{own_msp_id} voted on other content, {content_hash}")
    if wish.decision is given:
        return yes(Reason.COUNTED, f"{own_msp_id}: {given}")
    return no(Reason.ALREADY_VOTED, f"{own_msp_id} voted {given} before, and votes are final; delete this Vote")


def _refusal(wish: VoteWish, observed: VotingObserved, facts: Facts) -> Verdict | None:
    """Why this Vote cannot be sent at all, or not yet."""
    proposal = facts.proposal
    if observed.own_msp_id not in proposal.snapshot.members:
        channel = proposal.snapshot.channel
        return no(Reason.NOT_A_MEMBER, f"{observed.own_msp_id} is not a member of channel {channel}, so it has no vote")
    if not observed.open_for_votes:
        return no(Reason.VOTING_CLOSED, "the vote was decided or closed before; the decision stands without this vote")
    if wish.content_hash is not None:
        if wish.content_hash == proposal.content_hash:
            return None
        return no(
            Reason.HASH_MISMATCH, f"the proposal's contentHash is {proposal.content_hash}; review it and vote on that"
        )
    if knows_content(wish, observed):
        return None
    return no(
        Reason.CONTENT_HASH_REQUIRED,
        "the Vote is not younger than the proposal's first appearance here; apply it anew with contentHash",
    )


def knows_content(wish: VoteWish, observed: VotingObserved) -> bool:
    """Whether whoever applied a Vote can have known what it is about: no blank cheques."""
    if wish.content_hash is not None:
        return observed.facts is not None and wish.content_hash == observed.facts.proposal.content_hash
    return observed.bound or (observed.shown_since is not None and observed.shown_since < wish.created)


def _decide_automatic(observed: VotingObserved) -> CastVote | None:
    facts = observed.facts
    if facts is None or observed.rules.mode is not VotingMode.RULES or observed.hold:
        return None
    proposal = facts.proposal
    if not isinstance(proposal.content, ChaincodeContent):
        return None
    allowed = (
        observed.own_msp_id in proposal.snapshot.members
        and observed.open_for_votes
        and own_vote(facts, observed.own_msp_id) is None
        and observed.verified.holds
        and judge_source(observed.rules.trust, proposal.content.package) is None
    )
    if not allowed:
        return None
    for number, rule in enumerate(observed.rules.rules, start=1):
        if matches(rule, proposal.creator.msp_id, proposal.content):
            # What tells people which rule it was is read back in votesource.
            return CastVote(Decision.AGREE, f"agreed by rule {number}", proposal.content_hash)
    return None


def matches(rule: VotingRule, creator: str, content: ChaincodeContent) -> bool:
    """Whether a voting rule agrees to this content: every list that is not empty must match."""
    source = content.package.source
    image = source.image.name if isinstance(source, CcaasPackage | KubernetesPackage) else ""
    return all(
        (
            _among(creator, rule.creators),
            _among(content.channel, rule.channels),
            _among(content.name, rule.chaincodes),
            not rule.image_prefixes or any(continues(image, prefix) for prefix in rule.image_prefixes),
        )
    )


def _among(value: str, allowed: Sequence[str]) -> bool:
    return not allowed or value in allowed
