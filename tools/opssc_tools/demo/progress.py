"""Follows one proposal through the status of its objects, and tells each step of it once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import mirror_name
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_operator.api.refs import ProposalRef
    from opssc_tools.demo.screen import Screen
    from opssc_tools.environment import Member
    from opssc_tools.environment.objects import Body, Change

STEPS: Final = (
    ConditionType.VERIFIED,
    ConditionType.ACCEPTED,
    ConditionType.INSTALLED,
    ConditionType.APPROVED,
    ConditionType.COMMITTED,
    ConditionType.READY,
)
SENTENCES: Final = {
    ConditionType.VERIFIED: "verified it against its own peer",
    ConditionType.ACCEPTED: "sees it accepted",
    ConditionType.INSTALLED: "installed the package on its own peers",
    ConditionType.APPROVED: "approved the definition for its organization",
    ConditionType.COMMITTED: "reads the committed definition back from its own peer",
    ConditionType.READY: "Ready",
}


def object_name(ref: ProposalRef, member: Member) -> str:
    """What a proposal is called in an organization: by its manifest where it was made, elsewhere by its mirror."""
    return ref.id if member.msp_id == ref.creator else mirror_name(ref)


class Progress:
    """The steps of one proposal in every organization; `reached` has the screen's time of each."""

    def __init__(self, ref: ProposalRef, screen: Screen) -> None:
        self._ref = ref
        self._screen = screen
        self.reached: dict[str, dict[str, float]] = {}

    def follow(self, member: Member, number: int) -> Callable[[], None]:
        """Tell what happens in one organization from now on; call what is returned to end that."""
        name = object_name(self._ref, member)
        told = self.reached.setdefault(member.name, {})

        def take(change: Change) -> None:
            if change.kind is Kind.CHAINCODE_PROPOSAL and change.name == name and change.body is not None:
                self._tell(member, number, change.body, told)

        return member.objects.listen(take)

    def _tell(self, member: Member, number: int, body: Body, told: dict[str, float]) -> None:
        def say(key: str, text: str) -> None:
            if key not in told:
                told[key] = self._screen.elapsed_seconds
                self._screen.step(text, who=member.name, number=number)

        if member.msp_id != self._ref.creator:
            say("seen", f"sees the proposal as chaincodeproposal/{body['metadata']['name']}")
        elif body.get("status", {}).get("contentHash"):
            say("proposed", f"put {self._ref} on the ledger")
        for step in STEPS:
            found = condition(body, step)
            if found.get("status") == "True":
                detail = found.get("message", "")
                say(step.value, SENTENCES[step] + (f": {detail}" if detail and step is not ConditionType.READY else ""))
        commit = body.get("status", {}).get("commit", {})
        if commit.get("by") == member.msp_id:
            say("commit", f"committed for all in transaction {commit['txID'][:12]}")
