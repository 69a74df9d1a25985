"""What the status of a ChannelProposal says beyond that of every proposal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from opssc_chaincode.model import ChannelContent, Facts, Step
from opssc_chaincode.tally import Tally
from opssc_operator.api.chaincode_proposal import StepState
from opssc_operator.api.channel_proposal import (
    BaseConfig,
    ChannelProgress,
    PolicyRecord,
    SignatureRecord,
    SubmissionRecord,
)
from opssc_operator.api.fields import status_text
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.kinds.channel_work import ChannelChange, Ruling, UpdateWork
from opssc_operator.domain.kinds.creation_work import CreationWork
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.planning import Preview
from opssc_operator.domain.report import failure_messages


def channel_status(observed: ProposalObserved, standing: Mapping[str, JsonValue]) -> Mapping[str, Any]:
    """The fields by attribute name, given the status as it stands; without facts only what a dry run shows."""
    fields: dict[str, Any] = {}
    work = observed.work if isinstance(observed.work, UpdateWork) else None
    creation = observed.work if isinstance(observed.work, CreationWork) else None
    seen = observed.plan.review if isinstance(observed.plan, Preview) else observed.review
    change = next((each.change for each in (work, creation) if each is not None), seen)
    if isinstance(change, ChannelChange):
        fields |= _change(change)
    facts, tally = observed.facts, observed.tally
    if facts is None or tally is None or not isinstance(facts.proposal.content, ChannelContent):
        return fields
    snapshot = facts.proposal.snapshot
    fields["base"] = BaseConfig(config_sequence=snapshot.config_sequence, config_hash=snapshot.config_hash)
    fields["organizations"] = _organizations(tally, facts)
    fields["successor"] = (observed.succeeded_by if work is None else work.succeeded_by) or None
    if work is not None and work.applied is not None:
        fields["submission"] = _submission(work.applied, standing)
    return fields


def _submission(applied: AppliedIn, standing: Mapping[str, JsonValue]) -> SubmissionRecord:
    """Whose envelope the block holds; what was said of the same block stands when the chain was not asked again."""
    before = standing.get("submission")
    by = applied.submitter
    if not by and isinstance(before, dict) and before.get("block") == applied.block:
        by = str(before.get("by") or "")
    return SubmissionRecord(by=by or None, block=applied.block)


def _change(change: ChannelChange) -> dict[str, Any]:
    return {
        "diff": change.lines,
        "diff_omitted": change.omitted or None,
        "policies": tuple(_policy(ruling) for ruling in change.policies),
        "signatures": tuple(
            SignatureRecord(msp_id=each.msp_id, subject=status_text(each.subject) or None, valid=each.valid)
            for each in change.signed
        ),
    }


def _policy(ruling: Ruling) -> PolicyRecord:
    return PolicyRecord(
        path=ruling.path,
        mod_policy=ruling.mod_policy,
        rule=ruling.rule or None,
        satisfied=ruling.satisfied,
        missing=ruling.missing,
    )


def _organizations(tally: Tally, facts: Facts) -> tuple[ChannelProgress, ...]:
    messages = failure_messages(facts)
    return tuple(
        ChannelProgress(
            msp_id=msp_id,
            signed=StepState(steps[Step.SIGNED]),
            applied=StepState(steps[Step.APPLIED]),
            joined=StepState(steps[Step.JOINED]),
            message=status_text(messages[msp_id]) if msp_id in messages else None,
        )
        for msp_id, steps in sorted(tally.execution.items())
    )
