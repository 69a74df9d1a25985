"""What one proposal, as observed, claims of the server of its package, and which ones may claim it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from opssc_chaincode.model import ChaincodeContent, Kind
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import decide_deployment
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.outline import Outline, slot_of
from opssc_operator.domain.servers import Claim, served_by


def claim_of(observed: ProposalObserved) -> Claim | None:
    """The claim of an accepted proposal that this organization carries out; None when it has nothing to claim."""
    facts, work = observed.facts, observed.work
    if facts is None or not isinstance(work, ChaincodeWork) or work.server is None:
        return None
    content, package_id = facts.proposal.content, work.target.package_id
    slot = slot_of(content)
    if not isinstance(content, ChaincodeContent) or slot is None or package_id is None:
        return None
    if work.aside(observed) is not None:
        return None
    deployment = decide_deployment(work.target, work.deployment)
    committed = deployment.committed
    past = committed.reason is Reason.SUPERSEDED or deployment.stalled
    passed_over = work.superseded_by is not None and not committed.holds
    chosen = content if work.choice is None or work.choice.content is None else work.choice.content
    return Claim(
        package_id=package_id,
        slot=slot,
        wish=work.server.wish,
        said=work.server.said,
        settings=work.server.settings,
        served=served_by(chosen.package.source, package_id),
        current=not past and not passed_over,
        committed=committed.holds and not past,
        held=observed.is_suspended,
    )


ChaincodeName = tuple[str, str]
"""Channel and name of a chaincode."""


def chaincodes_of(package_id: str, outlines: Iterable[Outline], claims: Iterable[Claim]) -> frozenset[ChaincodeName]:
    """The chaincodes a package is known to be for, by what was proposed and by what is claimed."""
    proposed = {outline.slot[:2] for outline in outlines if outline.slot and outline.package_id == package_id}
    return frozenset(proposed | {claim.slot[:2] for claim in claims})


def may_claim(outline: Outline, chaincodes: frozenset[ChaincodeName], *, chooses: bool) -> bool:
    """Whether an accepted proposal that was not looked at yet may claim the server of a package for ``chaincodes``.

    Its outline alone does not tell: it may keep the package of the sequence before, or the organization may have chosen
    (``chooses``) one of its own. A package that is for no chaincode yet may be anybody's.
    """
    if outline.kind is not Kind.CHAINCODE or outline.slot is None:
        return False
    return chooses or not chaincodes or outline.slot[:2] in chaincodes
