"""ChaincodeProposal: one change of one chaincode definition, by a manifest or mirrored from the ledger."""

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model import Decision
from opssc_chaincode.model.fields import ChannelName, Description, MspID, ProposalID
from opssc_operator.api.conditions import Condition, Reason
from opssc_operator.api.definition import Chaincode, Collection, EndorsementPolicy, Sequence
from opssc_operator.api.durations import Duration
from opssc_operator.api.fields import ApiModel, ContentHash, ServerName, StatusText, Time
from opssc_operator.api.metadata import ApiObject
from opssc_operator.api.package import Package
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.servers import ServerSettings

MAX_SPEC_BYTES: Final = 128 * 1024
BUILT_BY_PEERS: Final = frozenset({"k8s", "archive", "git"})
"""Package types whose chaincode the peers' own builder runs."""

_Count = Annotated[int, Field(ge=0)]
_TransactionID = Annotated[str, StringConstraints(max_length=128)]
_PackageID = Annotated[str, StringConstraints(max_length=256)]
_Organizations = Field(max_length=200)


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
    """One word for people; programs read the conditions."""

    PENDING = "Pending"
    VOTING = "Voting"
    ACCEPTED = "Accepted"
    COMMITTED = "Committed"
    SUPERSEDED = "Superseded"
    REJECTED = "Rejected"
    WITHDRAWN = "Withdrawn"
    EXPIRED = "Expired"
    STALE = "Stale"
    FAILED = "Failed"


class StepState(StrEnum):
    """How far an organization says it is with a step."""

    PENDING = "Pending"
    DONE = "Done"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class PeerState(StrEnum):
    """The package on one own peer."""

    PENDING = "Pending"
    INSTALLED = "Installed"
    FAILED = "Failed"
    UNREACHABLE = "Unreachable"
    SKIPPED = "Skipped"


class ChaincodeProposalSpec(ApiModel):
    """What the application team declares; fields that are unset are resolved by the creator's operator."""

    proposal_id: ProposalID | None = None
    creator: MspID | None = None
    channel: ChannelName
    chaincode: Chaincode
    package: Package
    endorsement_policy: EndorsementPolicy | None = None
    collections: Annotated[tuple[Collection, ...], Field(max_length=100)] | None = None
    description: Description | None = None
    voting_period: Duration | None = None
    withdraw: bool = False
    suspend: bool = False
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    server: ServerSettings | None = None

    @model_validator(mode="after")
    def _server_of_a_service(self) -> Self:
        if self.server is not None and self.server.deploy and self.package.type in BUILT_BY_PEERS:
            raise ValueError("server.deploy is for package.type ccaas: peers run packages of other types themselves")
        return self

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


class Tally(ApiModel):
    """Votes counted; `needed` is the fewest further agreements that would satisfy the rule."""

    agreed: _Count
    disagreed: _Count
    pending: _Count
    needed: _Count
    summary: Annotated[str, StringConstraints(max_length=32)]


class OrganizationProgress(ApiModel):
    """What an organization reported, and how its approval on the ledger differs from the proposal."""

    msp_id: MspID
    installed: StepState = StepState.PENDING
    approved: StepState = StepState.PENDING
    committed: StepState = StepState.PENDING
    message: StatusText | None = None
    mismatches: Annotated[tuple[Annotated[str, StringConstraints(max_length=64)], ...], Field(max_length=8)] = ()


class PeerProgress(ApiModel):
    """The package on one own peer."""

    name: ServerName
    state: PeerState
    package_id: _PackageID | None = None
    message: StatusText | None = None


class Runtime(ApiModel):
    """Pods of the chaincode server that the operator runs."""

    ready: _Count
    desired: _Count


class CommitRecord(ApiModel):
    """The commit of the definition, as far as it is known."""

    by: MspID | None = None
    tx_id: _TransactionID | None = None
    block: _Count | None = None


class LastError(ApiModel):
    """The latest failure that is being retried."""

    reason: Reason
    message: StatusText
    time: Time


class ChaincodeProposalStatus(ApiModel):
    """The proposal on the ledger and what this organization did about it."""

    observed_generation: Annotated[int, Field(ge=-1)]
    proposal: Annotated[str, StringConstraints(max_length=192)] | None = None
    origin: Origin | None = None
    phase: Phase | None = None
    content_hash: ContentHash | None = None
    deadline: Time | None = None
    sequence: Sequence | None = None
    package_id: _PackageID | None = None
    votes: Annotated[tuple[VoteRecord, ...], _Organizations] = ()
    tally: Tally | None = None
    organizations: Annotated[tuple[OrganizationProgress, ...], _Organizations] = ()
    peers: Annotated[tuple[PeerProgress, ...], Field(max_length=64)] = ()
    runtime: Runtime | None = None
    commit: CommitRecord | None = None
    last_error: LastError | None = None
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()


class ChaincodeProposal(ApiObject):
    """A proposal."""

    kind: Literal["ChaincodeProposal"] = "ChaincodeProposal"
    spec: ChaincodeProposalSpec

    def ref(self, own_msp_id: str) -> ProposalRef:
        """The proposal on the ledger that this object is about, in the namespace of organization `own_msp_id`."""
        return ProposalRef(self.spec.creator or own_msp_id, self.spec.proposal_id or self.metadata.name)

    def origin(self, own_msp_id: str) -> Origin:
        """Whether the object proposes, observes or mirrors, in the namespace of organization `own_msp_id`."""
        if self.metadata.mirrored:
            return Origin.MIRRORED
        return Origin.LOCAL if self.spec.creator in (None, own_msp_id) else Origin.OBSERVED
