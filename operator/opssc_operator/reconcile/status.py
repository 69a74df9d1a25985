"""Writing status: conditions with their times, one write per change, one Event per transition."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol

from opssc_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from opssc_operator.api.fields import ApiModel, status_text
from opssc_operator.api.group import Kind
from opssc_operator.api.metadata import ObjectMeta
from opssc_operator.domain.verdict import Verdict
from opssc_operator.kube.client import Involved, KubeClient
from opssc_operator.kube.status import changed, merge_conditions

EventType = Literal["Normal", "Warning"]

ORDER: Final = tuple(ConditionType)
TOLD: Final = frozenset({ConditionType.READY})
"""Conditions whose change is worth an Event; Ready carries the reason of the first other one that is not True."""
UNALARMING: Final = frozenset(
    {
        Reason.PROPOSING,
        Reason.PROGRESSING,
        Reason.SUSPENDED,
        Reason.AWAITING_PROPOSAL,
        Reason.AWAITING_VERIFICATION,
        Reason.AWAITING_VOTES,
        Reason.AWAITING_OWN_VOTE,
        Reason.AWAITING_INSTALL,
        Reason.AWAITING_ORGANIZATIONS,
        Reason.AWAITING_COMMIT,
        Reason.AWAITING_ORDERER,
        Reason.IN_MAINTENANCE,
        Reason.BOOTSTRAPPING,
        Reason.WITHDRAWN,
        Reason.WITHDRAWN_FINAL,
    }
)
"""Reasons for not being ready that are part of the work and ask nobody here to look."""


def build_conditions(verdicts: Mapping[ConditionType, Verdict]) -> tuple[Condition, ...]:
    """Conditions in one fixed order."""
    return tuple(
        Condition(
            type=kind,
            status=ConditionStatus(verdicts[kind].status),
            reason=verdicts[kind].reason,
            message=verdicts[kind].message,
        )
        for kind in ORDER
        if kind in verdicts
    )


def standing_verdicts(standing: Mapping[str, Any]) -> Mapping[ConditionType, Verdict]:
    """The conditions of a status as it stands, but for those of another version's vocabulary."""
    known_types, known_reasons = set(ConditionType), set(Reason)
    return {
        ConditionType(item["type"]): Verdict(item["status"], Reason(item["reason"]), item.get("message", ""))
        for item in standing.get("conditions") or ()
        if item.get("type") in known_types and item.get("reason") in known_reasons
    }


class Written(Protocol):
    """An object whose status is written: one of ours, readable or not."""

    @property
    def metadata(self) -> ObjectMeta:
        """Name, uid and generation."""

    @property
    def status(self) -> Mapping[str, Any]:
        """The status as it stands."""


async def write_status(
    kube: KubeClient,
    kind: Kind,
    known: Written,
    status: ApiModel,
    verdicts: Mapping[ConditionType, Verdict],
) -> bool:
    """Write ``status`` with its conditions if anything differs from what stands; returns whether it was written."""
    metadata, standing, now = known.metadata, known.status, datetime.now(UTC)
    conditions = merge_conditions(standing, build_conditions(verdicts), now=now, generation=metadata.generation)
    manifest = status.model_copy(update={"conditions": conditions}).to_manifest()
    if not changed(standing, manifest):
        return False
    if not await kube.apply_status(kind, metadata.namespace, metadata.name, metadata.uid, manifest):
        return False
    await _post_events(kube, kind, metadata, standing, verdicts)
    return True


async def _post_events(
    kube: KubeClient,
    kind: Kind,
    metadata: ObjectMeta,
    standing: Mapping[str, Any],
    verdicts: Mapping[ConditionType, Verdict],
) -> None:
    before = {item.get("type"): (item.get("status"), item.get("reason")) for item in standing.get("conditions") or ()}
    involved = Involved(kind, metadata.namespace, metadata.name, metadata.uid)
    posts = []
    for condition in ORDER:
        verdict = verdicts.get(condition)
        if condition not in TOLD or verdict is None or verdict.reason is Reason.PENDING:
            continue
        if before.get(condition) == (verdict.status, verdict.reason):
            continue
        event_type: EventType = "Warning" if verdict.fails and verdict.reason not in UNALARMING else "Normal"
        note = status_text(verdict.message) or str(verdict.reason)
        posts.append(kube.post_event(involved, event_type, str(verdict.reason), note, action="Reconcile"))
    await asyncio.gather(*posts)
