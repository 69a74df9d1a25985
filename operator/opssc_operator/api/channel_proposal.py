"""ChannelProposal: one change of one channel, or a new channel, by a manifest or mirrored from the ledger."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model import Action
from opssc_chaincode.model.fields import ChannelName, MspID
from opssc_operator.api.chaincode_proposal import StepState
from opssc_operator.api.changes import Change, Creation
from opssc_operator.api.fields import ApiModel, ContentHash, StatusText
from opssc_operator.api.group import Kind
from opssc_operator.api.proposal import MAX_ORGANIZATIONS, Phase, ProposalObject, ProposalSpec, ProposalStatus

RawUpdate = Annotated[str, StringConstraints(min_length=4, max_length=88 * 1024, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]
"""Base64 of pb(ConfigUpdate), at most 64 KiB of it."""

_Number = Annotated[int, Field(ge=0)]
_Organizations = Field(max_length=MAX_ORGANIZATIONS)
_Path = Annotated[str, StringConstraints(max_length=512)]


class ChannelProposalSpec(ProposalSpec):
    """What the platform team declares; exactly one of `changes`, `configUpdate` and `create`."""

    channel: ChannelName
    action: Action = Action.UPDATE
    changes: Annotated[tuple[Change, ...], Field(min_length=1, max_length=32)] | None = None
    config_update: RawUpdate | None = None
    create: Creation | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _one_wish(self) -> Self:
        if sum(wish is not None for wish in (self.changes, self.config_update, self.create)) != 1:
            raise ValueError("set exactly one of spec.changes, spec.configUpdate and spec.create")
        if (self.create is not None) != (self.action is Action.CREATE):
            raise ValueError("spec.create belongs to action Create, spec.changes and spec.configUpdate to Update")
        return self


class BaseConfig(ApiModel):
    """The configuration the change was computed on."""

    config_sequence: _Number
    config_hash: ContentHash


class SignatureRecord(ApiModel):
    """An organization's config signature on the ledger; `valid` as the own peer's configuration says."""

    msp_id: MspID
    subject: StatusText | None = None
    valid: bool


class PolicyRecord(ApiModel):
    """A policy that decides about something the change sets."""

    path: _Path
    mod_policy: _Path
    rule: StatusText | None = None
    satisfied: bool
    missing: Annotated[tuple[MspID, ...], _Organizations] = ()


class ChannelProgress(ApiModel):
    """What an organization reported."""

    msp_id: MspID
    signed: StepState = StepState.PENDING
    applied: StepState = StepState.PENDING
    joined: StepState = StepState.PENDING
    message: StatusText | None = None


class SubmissionRecord(ApiModel):
    """The config block that applied the change, and whose envelope it holds."""

    by: MspID | None = None
    block: _Number | None = None


ChannelPhase = Literal[
    Phase.PENDING,
    Phase.VOTING,
    Phase.ACCEPTED,
    Phase.APPLIED,
    Phase.SUPERSEDED,
    Phase.REJECTED,
    Phase.WITHDRAWN,
    Phase.EXPIRED,
    Phase.STALE,
    Phase.FAILED,
]


class ChannelProposalStatus(ProposalStatus):
    """The proposal on the ledger, what it changes, and who still has to sign."""

    phase: ChannelPhase | None = None
    base: BaseConfig | None = None
    diff: Annotated[tuple[StatusText, ...], Field(max_length=128)] = ()
    diff_omitted: _Number | None = None
    signatures: Annotated[tuple[SignatureRecord, ...], _Organizations] = ()
    policies: Annotated[tuple[PolicyRecord, ...], Field(max_length=64)] = ()
    organizations: Annotated[tuple[ChannelProgress, ...], _Organizations] = ()
    submission: SubmissionRecord | None = None
    successor: Annotated[str, StringConstraints(max_length=192)] | None = None


class ChannelProposal(ProposalObject):
    """A proposal about a channel."""

    kind: Literal[Kind.CHANNEL_PROPOSAL] = Kind.CHANNEL_PROPOSAL
    spec: ChannelProposalSpec
