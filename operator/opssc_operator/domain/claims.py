"""What one proposal, as observed, claims of the server of its package. Pure."""

from __future__ import annotations

from opssc_chaincode.model import ChaincodeContent
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import decide_deployment
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.outline import slot_of
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
