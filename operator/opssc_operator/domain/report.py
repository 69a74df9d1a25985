"""What an organization tells the others of carrying out a proposal, whatever its kind. Pure.

Reports help people; nobody's decision rests on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from opssc_chaincode.model import Evidence, Facts, Outcome, Report, Step


@dataclass(frozen=True, slots=True)
class ReportWish:
    """One report to send; ``evidence`` is what the own peer shows."""

    step: Step
    outcome: Outcome
    evidence: Evidence | None
    message: str

    @property
    def evidence_json(self) -> bytes:
        """The evidence as the contract takes it; empty without any."""
        return b"" if self.evidence is None else self.evidence.canonical()


def untold(wishes: Iterable[ReportWish | None], facts: Facts, own_msp_id: str) -> tuple[ReportWish, ...]:
    """Those wishes that are not on the ledger yet."""
    return tuple(wish for wish in wishes if wish is not None and not _told(facts, own_msp_id, wish))


def failure_messages(facts: Facts) -> Mapping[str, str]:
    """What each organization says of its failures, by MSP ID; the latest report's words stand."""
    return {
        report.msp_id: report.message for report in facts.reports if report.outcome is Outcome.FAILED and report.message
    }


def own_report(facts: Facts, own_msp_id: str, step: Step) -> Report | None:
    """The own organization's word on a step."""
    return next((report for report in facts.reports if report.msp_id == own_msp_id and report.step is step), None)


def was_done(facts: Facts, own_msp_id: str, step: Step) -> bool:
    """Whether the own organization said that a step is done."""
    said = own_report(facts, own_msp_id, step)
    return said is not None and said.outcome is Outcome.DONE


def _told(facts: Facts, own_msp_id: str, wish: ReportWish) -> bool:
    """Whether the ledger says this already; that a later look knows no transaction ID is no news.

    Nor is it that a peer words the same failure otherwise: its words hold container names and ports.
    """
    said = own_report(facts, own_msp_id, wish.step)
    if said is None or said.outcome is not wish.outcome:
        return False
    if wish.outcome is Outcome.DONE and wish.step is not Step.INSTALLED:
        return True
    if wish.outcome is Outcome.FAILED:
        return _reason(said.message or "") == _reason(wish.message)
    return said.evidence == wish.evidence and (said.message or "") == wish.message


def _reason(message: str) -> str:
    """The stable word that the message of a failure begins with."""
    return message.partition(":")[0]
