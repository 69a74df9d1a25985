"""What the clusters show of a proposal: when the status in each organization first said each fact."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opssc_operator.api.conditions import ConditionType
from opssc_tools.bench.chain import COMMIT
from opssc_tools.demo.progress import object_name
from opssc_tools.environment.objects import is_true

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opssc_operator.api.group import Kind
    from opssc_operator.api.refs import ProposalRef
    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Body, Change

ACCEPTED: Final = "accepted"
"""The API server told of the object itself, whatever its status."""
READY: Final = "ready"
_STEPS: Final = {"installed": "Installed", "approved": "Approved", "committed": "Committed"}


def facts_in(body: Body) -> Iterator[str]:
    """The facts an object shows: those of the chain under the chain's names, and that it is there and Ready."""
    status = body.get("status", {})
    yield ACCEPTED
    if status.get("contentHash"):
        yield "proposal"
    for vote in status.get("votes", ()):
        yield f"vote {vote['mspID']}"
    for organization in status.get("organizations", ()):
        for key, step in _STEPS.items():
            if organization.get(key, "Pending") != "Pending":
                yield f"report {organization['mspID']} {step}"
    if is_true(body, ConditionType.COMMITTED):
        yield COMMIT
    if is_true(body, ConditionType.READY):
        yield READY


@contextmanager
def note(member: Member, kind: Kind, ref: ProposalRef) -> Iterator[dict[str, float]]:
    """Fill the yielded dictionary, inside the block, with the event loop's time at which each fact was shown first."""
    name = object_name(ref, member)
    first: dict[str, float] = {}

    def take(change: Change) -> None:
        if change.kind is kind and change.name == name and change.body is not None:
            for fact in facts_in(change.body):
                first.setdefault(fact, change.at)

    end = member.objects.listen(take)
    try:
        yield first
    finally:
        end()
