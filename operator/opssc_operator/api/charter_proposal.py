"""CharterProposal: the next charter of the consortium, by a manifest or mirrored from the ledger."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from opssc_chaincode.model import Fraction, Role
from opssc_operator.api.durations import Duration
from opssc_operator.api.fields import ApiModel
from opssc_operator.api.group import Kind
from opssc_operator.api.proposal import Phase, ProposalObject, ProposalSpec, ProposalStatus
from opssc_operator.api.refs import ProposalReference

_Version = Annotated[int, Field(ge=1, le=2**31)]

CharterPhase = Literal[
    Phase.PENDING,
    Phase.VOTING,
    Phase.ACCEPTED,
    Phase.IN_FORCE,
    Phase.SUPERSEDED,
    Phase.REJECTED,
    Phase.WITHDRAWN,
    Phase.EXPIRED,
    Phase.STALE,
    Phase.FAILED,
]


class Minimum(ApiModel):
    """A share of the members that must agree, whatever the channel's policy says."""

    fraction: Fraction


class Minimums(ApiModel):
    """A minimum per kind of proposal; without one the channel's policy alone decides."""

    chaincode: Minimum | None = None
    channel: Minimum | None = None
    charter: Minimum | None = None


class VotingPeriod(ApiModel):
    """How long votes are taken."""

    default: Duration | None = None
    max: Duration | None = None


class Roles(ApiModel):
    """What a certificate must say, an organizational unit."""

    vote: Role | None = None
    report: Role | None = None


class CharterTerms(ApiModel):
    """The charter in full: what is unset is as in the built-in default, not as in the charter before."""

    version: _Version | None = None
    previous: ProposalReference | None = None
    minimum: Minimums | None = None
    voting_period: VotingPeriod | None = None
    roles: Roles | None = None
    max_clock_skew: Duration | None = None

    @model_validator(mode="after")
    def _in_seconds(self) -> Self:
        period = self.voting_period or VotingPeriod()
        for span in (period.default, period.max, self.max_clock_skew):
            if span is not None and span % timedelta(seconds=1):
                raise ValueError("spans of time in a charter are whole seconds")
        return self


class CharterProposalSpec(ProposalSpec):
    """What an organization suggests that all of them go by."""

    charter: CharterTerms


class CharterProposalStatus(ProposalStatus):
    """The proposal on the ledger and whether its charter is in force."""

    phase: CharterPhase | None = None
    version: _Version | None = None
    previous: ProposalReference | None = None


class CharterProposal(ProposalObject):
    """A proposal."""

    kind: Literal[Kind.CHARTER_PROPOSAL] = Kind.CHARTER_PROPOSAL
    spec: CharterProposalSpec
