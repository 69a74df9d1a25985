"""Finding the package that stays: by what the own organization approved, else by what verified proposals brought."""

from __future__ import annotations

from datetime import UTC, datetime

from opssc_chaincode.model import ChaincodeContent, Decision, Facts, UnchangedPackage
from opssc_chaincode.tally import derive
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.content import build_definition
from opssc_operator.domain.deployment import Committed, Target, is_same
from opssc_operator.domain.keeping import Kept, not_known, origin_of
from opssc_operator.domain.outline import Slot
from opssc_operator.domain.voting import own_vote
from opssc_operator.ledger.kept import fetch_approval
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.kinds.chaincode_rivals import find_winner, was_committed
from opssc_operator.reconcile.kinds.grounds import is_true


async def find_kept(content: ChaincodeContent, session: OrganizationSession) -> Kept:
    """The package that stays with a proposal of this content; raises TransientError or TerminalError.

    Sequence by sequence backwards, until the own organization approved one, or a proposal brought a package.
    """
    channel, name = content.channel, content.name
    committed = await session.deployments.fetch_committed(channel, name)
    for sequence in range(content.sequence - 1, 0, -1):
        approval = await fetch_approval(session.peers, channel, name, sequence)
        if approval is not None:
            return Kept(approval.package_id)
        facts = await _find_committed((channel, name, sequence), committed, session)
        brought = None if facts is None else facts.proposal.content
        if facts is None or not isinstance(brought, ChaincodeContent):
            break
        if own_vote(facts, session.msp_id) is Decision.DISAGREE:
            return Kept(None)
        if not isinstance(brought.package.source, UnchangedPackage):
            return Kept(brought.package_id, origin_of(facts, brought, session.msp_id))
    # People may have said by hand what no proposal says.
    approval = await fetch_approval(session.peers, channel, name, content.sequence)
    if approval is not None and approval.package_id is not None:
        return Kept(approval.package_id)
    return not_known(session.msp_id, content, content.sequence - 1)


async def _find_committed(slot: Slot, committed: Committed | None, session: OrganizationSession) -> Facts | None:
    """The verified proposal that was committed at a sequence, as the own peer proves; None when none is proved."""
    now = datetime.now(UTC)
    proved: list[Facts] = []
    for ref in sorted(outline.ref for outline in session.view.outlines() if outline.slot == slot and outline.accepted):
        facts = await session.view.get(ref)
        if facts is None or not derive(facts, now).accepted or not await is_true(session, facts.proposal):
            continue
        if await _is_committed(facts, committed, session):
            proved.append(facts)
    if len(proved) < 2:  # noqa: PLR2004 - one alone has no rival
        return next(iter(proved), None)
    content = proved[0].proposal.content
    if not isinstance(content, ChaincodeContent):
        return None
    winner = await find_winner(_ref(proved[0]), content, session)
    return next((facts for facts in proved if _ref(facts) == winner), None)


async def _is_committed(facts: Facts, committed: Committed | None, session: OrganizationSession) -> bool:
    content = facts.proposal.content
    if not isinstance(content, ChaincodeContent):
        return False
    definition = build_definition(content)
    if committed is not None and committed.definition.sequence == content.sequence:
        return is_same(definition, committed.definition)
    return await was_committed(facts, Target(content.channel, definition, None, b""), session)


def _ref(facts: Facts) -> ProposalRef:
    return ProposalRef(facts.proposal.creator.msp_id, facts.proposal.id)
