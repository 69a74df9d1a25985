"""Whether an organization that joined a channel later installs and approves what is committed there. Pure.

It had no vote on the proposal, so it acts by its own policy: from sources it trusts, or by local consent.
"""

from __future__ import annotations

from opssc_chaincode.model import Package
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import CatchUpMode, ExecutionMode
from opssc_operator.domain.choices import consents
from opssc_operator.domain.trust import judge_source
from opssc_operator.domain.verdict import Verdict, no
from opssc_operator.domain.voting import VotingObserved


def hesitate(
    voting: VotingObserved, package: Package, *, mode: CatchUpMode, execution: ExecutionMode
) -> Verdict | None:
    """Why a newcomer leaves its nodes alone; None when it installs and approves."""
    if consents(voting):
        return None
    if mode is CatchUpMode.MANUAL or execution is ExecutionMode.OWN_VOTE_ONLY:
        setting = "catchUp is Manual" if mode is CatchUpMode.MANUAL else "execution is OwnVoteOnly"
        message = f"committed before {voting.own_msp_id} joined, and {setting}; apply a Vote on it with spec.local"
        return no(Reason.AWAITING_CONSENT, message)
    untrusted = judge_source(voting.rules.trust, package)
    if untrusted is None:
        return None
    source = untrusted.message.partition(" of the FabricOrganization")[0]
    message = f"committed before {voting.own_msp_id} joined; {source}: add it, or apply a Vote on it with spec.local"
    return no(Reason.UNTRUSTED_SOURCE, message)
