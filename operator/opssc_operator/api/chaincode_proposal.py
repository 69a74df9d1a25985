"""ChaincodeProposal: one change of one chaincode definition, by a manifest or mirrored from the ledger."""

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model.fields import ChannelName, MspID
from opssc_operator.api.definition import Chaincode, Collection, EndorsementPolicy, Sequence
from opssc_operator.api.fields import ApiModel, ServerName, StatusText
from opssc_operator.api.group import Kind
from opssc_operator.api.package import Package
from opssc_operator.api.proposal import MAX_ORGANIZATIONS, Phase, ProposalObject, ProposalSpec, ProposalStatus
from opssc_operator.api.servers import ServerSettings

BUILT_BY_PEERS: Final = frozenset({"k8s", "archive", "git"})
"""Package types whose chaincode the peers' own builder runs."""

_Count = Annotated[int, Field(ge=0)]
_TransactionID = Annotated[str, StringConstraints(max_length=128)]
_PackageID = Annotated[str, StringConstraints(max_length=256)]


ChaincodePhase = Literal[
    Phase.PENDING,
    Phase.VOTING,
    Phase.ACCEPTED,
    Phase.COMMITTED,
    Phase.SUPERSEDED,
    Phase.REJECTED,
    Phase.WITHDRAWN,
    Phase.EXPIRED,
    Phase.STALE,
    Phase.FAILED,
]


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


class ChaincodeProposalSpec(ProposalSpec):
    """What the application team declares; fields that are unset are resolved by the creator's operator."""

    channel: ChannelName
    chaincode: Chaincode
    package: Package
    endorsement_policy: EndorsementPolicy | None = None
    collections: Annotated[tuple[Collection, ...], Field(max_length=100)] | None = None
    server: ServerSettings | None = None

    @model_validator(mode="after")
    def _server_of_a_service(self) -> Self:
        if self.server is not None and self.server.deploy and self.package.type in BUILT_BY_PEERS:
            raise ValueError("server.deploy is for package.type ccaas: peers run packages of other types themselves")
        return self


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
    attempts: Annotated[int, Field(ge=1)] | None = None


class Runtime(ApiModel):
    """Pods of the chaincode server that the operator runs."""

    ready: _Count
    desired: _Count


class CommitRecord(ApiModel):
    """The commit of the definition, as far as it is known."""

    by: MspID | None = None
    tx_id: _TransactionID | None = None
    block: _Count | None = None


class InitRecord(ApiModel):
    """The Init call, as far as the own peer proves who made it."""

    by: MspID | None = None
    tx_id: _TransactionID | None = None


class ChaincodeProposalStatus(ProposalStatus):
    """The proposal on the ledger and what this organization did about it."""

    phase: ChaincodePhase | None = None
    sequence: Sequence | None = None
    package_id: _PackageID | None = None
    organizations: Annotated[tuple[OrganizationProgress, ...], Field(max_length=MAX_ORGANIZATIONS)] = ()
    peers: Annotated[tuple[PeerProgress, ...], Field(max_length=64)] = ()
    runtime: Runtime | None = None
    commit: CommitRecord | None = None
    initialization: InitRecord | None = None


class ChaincodeProposal(ProposalObject):
    """A proposal."""

    kind: Literal[Kind.CHAINCODE_PROPOSAL] = Kind.CHAINCODE_PROPOSAL
    spec: ChaincodeProposalSpec
