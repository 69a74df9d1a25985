"""What every kind of proposal has in common: how it is named, withdrawn, voted on and shown."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model import Decision
from opssc_chaincode.model.fields import Description, MspID, ProposalID
from opssc_operator.api.conditions import Condition, Reason
from opssc_operator.api.durations import Duration
from opssc_operator.api.fields import ApiModel, ContentHash, StatusText, Time
from opssc_operator.api.group import Kind
from opssc_operator.api.metadata import ApiObject
from opssc_operator.api.refs import ProposalRef

MAX_SPEC_BYTES: Final = 128 * 1024
MAX_ORGANIZATIONS: Final = 200

_Count = Annotated[int, Field(ge=0)]
_Organizations = Field(max_length=MAX_ORGANIZATIONS)


class DeletionPolicy(StrEnum):
    """What deleting the manifest does to the ledger."""

    RETAIN = "Retain"
    WITHDRAW = "Withdraw"


class Origin(StrEnum):
    """Where an object comes from: proposed here, declared here for another's proposal, or made from the ledger."""

    LOCAL = "Local"
    OBSERVED = "Observed"
    MIRRORED = "Mirrored"


class Phase(StrEnum):
    """One word for people; programs read the conditions. Each kind has some of them."""

    PENDING = "Pending"
    VOTING = "Voting"
    ACCEPTED = "Accepted"
    COMMITTED = "Committed"
    APPLIED = "Applied"
    IN_FORCE = "InForce"
    SUPERSEDED = "Superseded"
    REJECTED = "Rejected"
    WITHDRAWN = "Withdrawn"
    EXPIRED = "Expired"
    STALE = "Stale"
    FAILED = "Failed"


class ProposalSpec(ApiModel):
    """What a manifest of any kind declares about the proposal itself."""

    proposal_id: ProposalID | None = None
    creator: MspID | None = None
    description: Description | None = None
    voting_period: Duration | None = None
    withdraw: bool = False
    suspend: bool = False
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN

    @model_validator(mode="after")
    def _bounded_as_a_whole(self) -> Self:
        if len(self.model_dump_json(by_alias=True, exclude_none=True).encode()) > MAX_SPEC_BYTES:
            raise ValueError(f"the proposal is larger than {MAX_SPEC_BYTES // 1024} KiB")
        return self


class VoteRecord(ApiModel):
    """A vote on the ledger."""

    msp_id: MspID
    decision: Decision
    time: Time
    reason: StatusText | None = None
    source: Annotated[str, StringConstraints(max_length=320)] | None = None


class Tally(ApiModel):
    """Votes counted; `needed` is the fewest further agreements that would satisfy the rule."""

    agreed: _Count
    disagreed: _Count
    pending: _Count
    needed: _Count
    summary: Annotated[str, StringConstraints(max_length=32)]


class LastError(ApiModel):
    """The latest failure that is being retried."""

    reason: Reason
    message: StatusText
    time: Time


class ProposalStatus(ApiModel):
    """The proposal on the ledger, as this organization sees it."""

    observed_generation: Annotated[int, Field(ge=-1)]
    proposal: Annotated[str, StringConstraints(max_length=192)] | None = None
    origin: Origin | None = None
    phase: Phase | None = None
    content_hash: ContentHash | None = None
    deadline: Time | None = None
    votes: Annotated[tuple[VoteRecord, ...], _Organizations] = ()
    tally: Tally | None = None
    last_error: LastError | None = None
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()


class ProposalObject(ApiObject):
    """A proposal of any kind."""

    kind: Kind
    spec: ProposalSpec

    def ref(self, own_msp_id: str) -> ProposalRef:
        """The proposal on the ledger that this object is about, in the namespace of organization `own_msp_id`."""
        return ProposalRef(self.spec.creator or own_msp_id, self.spec.proposal_id or self.metadata.name)

    def origin(self, own_msp_id: str) -> Origin:
        """Whether the object proposes, observes or mirrors, in the namespace of organization `own_msp_id`."""
        if self.metadata.mirrored:
            return Origin.MIRRORED
        return Origin.LOCAL if self.spec.creator in (None, own_msp_id) else Origin.OBSERVED
