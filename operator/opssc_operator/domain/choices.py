"""What this organization chose for its own nodes: which package, and whether it joins what others decided. Pure.

Owns the meaning of ``Vote.spec.local``, which never leaves the cluster. The oldest Vote on a proposal speaks for the
organization, as it does for the vote itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import ValidationError

from opssc_chaincode import model
from opssc_chaincode.model import ChaincodeContent, Decision, KubernetesPackage
from opssc_chaincode.model.document import describe
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import ExecutionMode
from opssc_operator.api.vote import LocalPackage, LocalPackageType
from opssc_operator.domain.trust import judge_source
from opssc_operator.domain.verdict import Verdict, no
from opssc_operator.domain.voting import VoteWish, VotingObserved, knows_content, own_vote


@dataclass(frozen=True, slots=True)
class LocalChoice:
    """The package this organization installs: ``content`` carries it, None for none.

    ``problem`` says what is wrong with a package of its own, so that nothing is installed; ``vote`` names the object.
    """

    content: ChaincodeContent | None
    is_own: bool = False
    vote: str = ""
    problem: Verdict | None = None


ASIDE_AND_DONE: Final = frozenset({Reason.DISAGREED, Reason.AWAITING_OWN_VOTE})
"""Why an organization may leave its nodes alone and still be done when the others have committed."""


def spokesman(wishes: Sequence[VoteWish]) -> VoteWish | None:
    """The Vote that speaks for the organization: the oldest one."""
    return min(wishes, key=lambda wish: (wish.created, wish.name), default=None)


def choose(wishes: Sequence[VoteWish], content: ChaincodeContent) -> LocalChoice:
    """The package that the organization's Vote asks for; the proposed one without a word."""
    wish = spokesman(wishes)
    local = None if wish is None else wish.local
    if wish is None or local is None or local.type is LocalPackageType.PROPOSED:
        return LocalChoice(content)
    if local.type is LocalPackageType.NONE:
        return LocalChoice(None, vote=wish.name)
    try:
        own = _own_package(local)
    except ValidationError as exc:
        message = f"Vote {wish.name}: local.package.{describe(exc)}"
        return LocalChoice(None, is_own=True, vote=wish.name, problem=no(Reason.INVALID_SPEC, message))
    # The package ID is that of the proposed package, and this one's is computed.
    return LocalChoice(content.model_copy(update={"package": own, "package_id": None}), is_own=True, vote=wish.name)


def refuse(choice: LocalChoice, verdict: Verdict) -> LocalChoice:
    """The choice of a package that has to be fetched and never comes as it is; ``verdict`` says why."""
    cause = verdict.message.removesuffix(", or disagree").removesuffix("; disagree")
    problem = no(verdict.reason, f"Vote {choice.vote}: local.package: {cause}; or choose another package")
    return replace(choice, problem=problem)


def installs_other(local: LocalPackage | None) -> bool:
    """Whether a Vote says to install something else than what is proposed: another package, or none."""
    return local is not None and local.type is not LocalPackageType.PROPOSED


def distrusts(voting: VotingObserved, package: model.Package) -> Verdict | None:
    """Why a member's peers are not given a proposed image to run that it neither agreed to nor trusts; None for others.

    Peers run what is in a package of type k8s by themselves. What is fetched is judged where it is fetched, and an
    image of type ccaas is run by a server that is asked for.
    """
    if voting.facts is None or not isinstance(package.source, KubernetesPackage):
        return None
    agreed = own_vote(voting.facts, voting.own_msp_id) is Decision.AGREE
    if agreed or _joins(spokesman(voting.wishes), voting, is_committed=True):
        return None
    untrusted = judge_source(voting.rules.trust, package)
    if untrusted is None:
        return None
    source = untrusted.message.partition(" of the FabricOrganization")[0]
    message = f"accepted without {voting.own_msp_id}; {source}: add it, or apply a Vote with spec.local.package"
    return no(Reason.UNTRUSTED_SOURCE, message)


def consents(voting: VotingObserved) -> bool:
    """Whether the organization's Vote says what to install, by somebody who can have known what it is about."""
    wish = spokesman(voting.wishes)
    return wish is not None and wish.local is not None and knows_content(wish, voting)


def _own_package(local: LocalPackage) -> model.Package:
    """The package as the contract has it: the label is bound to the code there; raises ValidationError."""
    given = local.to_manifest()
    given.pop("type")
    return model.Package.model_validate_json(json.dumps(given))


def stands_aside(voting: VotingObserved, *, execution: ExecutionMode, is_committed: bool) -> Verdict | None:
    """Why this organization leaves its own nodes alone although the proposal was accepted; None when it acts."""
    if voting.facts is None:
        return None
    own, vote = voting.own_msp_id, own_vote(voting.facts, voting.own_msp_id)
    wish = spokesman(voting.wishes)
    if vote is Decision.DISAGREE:
        if is_committed and wish is not None and wish.local is not None:
            return None
        return no(Reason.DISAGREED, f"{own} disagreed, so nothing is done on its nodes")
    if (
        vote is None
        and execution is ExecutionMode.OWN_VOTE_ONLY
        and not _joins(wish, voting, is_committed=is_committed)
    ):
        return no(Reason.AWAITING_OWN_VOTE, "execution is OwnVoteOnly and this organization has not agreed")
    return None


def _joins(wish: VoteWish | None, voting: VotingObserved, *, is_committed: bool) -> bool:
    """Whether a Vote that came too late to count consents all the same: it agrees, or it says what to install."""
    if wish is None or not knows_content(wish, voting):
        return False
    return wish.decision is Decision.AGREE or (is_committed and wish.local is not None)
