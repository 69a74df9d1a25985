"""Facts: what organizations said about a proposal, each under its own key."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fields import (
    Kind,
    Message,
    MspID,
    PackageID,
    PeerName,
    Reason,
    Sha256,
    Subject,
    Time,
    TransactionID,
)
from opssc_chaincode.model.proposal import Proposal


class Decision(StrEnum):
    """What an organization votes."""

    AGREE = "Agree"
    DISAGREE = "Disagree"


class Cause(StrEnum):
    """Why a proposal was closed before it was decided."""

    WITHDRAWN = "Withdrawn"
    EXPIRED = "Expired"


class Step(StrEnum):
    """A step of carrying out a proposal that organizations report."""

    INSTALLED = "Installed"
    APPROVED = "Approved"
    COMMITTED = "Committed"
    INITIALIZED = "Initialized"
    SIGNED = "Signed"
    APPLIED = "Applied"
    JOINED = "Joined"


class Outcome(StrEnum):
    """How a step ended."""

    DONE = "Done"
    FAILED = "Failed"
    SKIPPED = "Skipped"


# A charter is in force by being accepted: nothing is carried out on nodes.
STEPS: Mapping[Kind, tuple[Step, ...]] = {
    Kind.CHAINCODE: (Step.INSTALLED, Step.APPROVED, Step.COMMITTED, Step.INITIALIZED),
    Kind.CHANNEL: (Step.SIGNED, Step.APPLIED, Step.JOINED),
    Kind.CHARTER: (),
}


class Vote(Document):
    """One organization's vote, immutable."""

    msp_id: MspID
    decision: Decision
    reason: Reason | None = None
    content_hash: Sha256
    time: Time
    tx_id: TransactionID
    subject: Subject


class Closing(Document):
    """The end of a proposal that was not decided, immutable."""

    cause: Cause
    msp_id: MspID
    reason: Reason | None = None
    time: Time
    tx_id: TransactionID


class Evidence(Document):
    """What an organization's own peer shows for a step; which fields belong to which step: `check_evidence`."""

    package_id: PackageID | None = None
    sequence: int | None = Field(default=None, ge=1, le=2**53 - 1)
    definition_hash: Sha256 | None = None
    tx_id: TransactionID | None = None
    config_signature: str | None = Field(default=None, min_length=4, max_length=32768)
    """Base64 of pb(ConfigSignature) over the proposal's config update."""
    config_block: int | None = Field(default=None, ge=0, le=2**53 - 1)
    config_hash: Sha256 | None = None
    """Hex header hash of block `config_block`."""
    peers: tuple[PeerName, ...] = Field(default=(), max_length=100)


class Report(Document):
    """The latest word of an organization on a step; `attempt` counts its words, from 1."""

    msp_id: MspID
    step: Step
    outcome: Outcome
    evidence: Evidence | None = None
    message: Message | None = None
    time: Time
    tx_id: TransactionID
    attempt: int = Field(ge=1, le=2**53 - 1)

    @model_validator(mode="after")
    def _evident(self) -> Self:
        check_evidence(self.step, self.outcome, self.evidence)
        return self


class Facts(Document):
    """All that is known on the ledger about one proposal."""

    proposal: Proposal
    votes: tuple[Vote, ...] = ()
    reports: tuple[Report, ...] = ()
    closing: Closing | None = None


class FactsPage(Document):
    """A page of `ListProposals`; `bookmark` asks for the next one and is empty after the last."""

    proposals: tuple[Facts, ...]
    bookmark: str


class ListFilter(Document):
    """Which proposals `ListProposals` gives; a filtered page may be short or empty before the last one."""

    creator: MspID | None = None
    kind: Kind | None = None
    channel: str | None = Field(default=None, max_length=249)


class Info(Document):
    """What `GetInfo` answers."""

    version: str
    schema_version: int = Field(alias="schema")
    kinds: tuple[Kind, ...]


_NEEDED: Mapping[Step, frozenset[str]] = {
    Step.INSTALLED: frozenset({"packageID"}),
    Step.APPROVED: frozenset({"sequence", "definitionHash"}),
    Step.COMMITTED: frozenset({"sequence", "definitionHash"}),
    # Only whoever made the Init call reports it, by its transaction.
    Step.INITIALIZED: frozenset({"txID"}),
    Step.SIGNED: frozenset({"configSignature"}),
    Step.APPLIED: frozenset({"configBlock", "configHash"}),
    Step.JOINED: frozenset({"peers"}),
}
_ALLOWED: Mapping[Step, frozenset[str]] = {
    Step.INSTALLED: frozenset({"packageID", "peers"}),
    Step.APPROVED: frozenset({"packageID", "sequence", "definitionHash", "txID", "peers"}),
    Step.COMMITTED: frozenset({"sequence", "definitionHash", "txID", "peers"}),
    Step.INITIALIZED: frozenset({"txID"}),
    Step.SIGNED: frozenset({"configSignature"}),
    Step.APPLIED: frozenset({"configBlock", "configHash", "txID", "peers"}),
    Step.JOINED: frozenset({"configBlock", "configHash", "peers"}),
}


def check_evidence(step: Step, outcome: Outcome, evidence: Evidence | None) -> None:
    """Raise ValueError unless the evidence has what the step needs when done, and nothing foreign to it."""
    given = frozenset() if evidence is None else frozenset(evidence.to_json())
    foreign = sorted(given - _ALLOWED[step])
    if foreign:
        raise ValueError(f"{foreign[0]} is no evidence of step {step}")
    missing = sorted(_NEEDED[step] - given)
    if outcome is Outcome.DONE and missing:
        raise ValueError(f"step {step} is proved by {', '.join(sorted(_NEEDED[step]))}; {missing[0]} is missing")
