"""The consortium's charter: what is asked for on top of Fabric's policies."""

from datetime import timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fields import Kind, ProposalName

_DAY_SECONDS = 24 * 60 * 60
_MAX_VOTING_SECONDS = 366 * _DAY_SECONDS
_MAX_CLOCK_SKEW_SECONDS = 3600


class Fraction(StrEnum):
    """A share of all members."""

    MAJORITY = "majority"
    TWO_THIRDS = "twoThirds"
    ALL = "all"

    def of(self, members: int) -> int:
        """Give the number of organizations that are at least this share of `members`."""
        match self:
            case Fraction.MAJORITY:
                return members // 2 + 1
            case Fraction.TWO_THIRDS:
                return -(-2 * members // 3)
            case Fraction.ALL:
                return members


class Minimum(Document):
    """A share that must agree whatever the rule says."""

    fraction: Fraction


class Minimums(Document):
    """Minimum per kind of proposal; absent means none."""

    chaincode: Minimum | None = None
    channel: Minimum | None = None
    charter: Minimum | None = None

    def count(self, kind: Kind, members: int) -> int:
        """Give the least number of agreeing organizations for a kind, 0 without a minimum."""
        minimum = {Kind.CHAINCODE: self.chaincode, Kind.CHANNEL: self.channel, Kind.CHARTER: self.charter}[kind]
        return minimum.fraction.of(members) if minimum else 0


class VotingPeriod(Document):
    """Seconds from a proposal to its deadline."""

    default: int = Field(default=7 * _DAY_SECONDS, ge=60, le=_MAX_VOTING_SECONDS)
    max: int = Field(default=90 * _DAY_SECONDS, ge=60, le=_MAX_VOTING_SECONDS)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.default > self.max:
            raise ValueError(f"default is {self.default} seconds, which is more than max, {self.max}")
        return self


class Role(StrEnum):
    """What a caller's certificate must say: an organizational unit, or the attribute for organizations without."""

    ADMIN = "admin"
    CLIENT = "client"


class Roles(Document):
    """The role that each kind of call asks for."""

    vote: Role = Role.ADMIN
    report: Role = Role.CLIENT


class Charter(Document):
    """A charter, which replaces the one that `previous` brought (absent: the built-in default)."""

    version: int = Field(ge=0, le=2**31)
    previous: ProposalName | None = None
    minimum: Minimums = Minimums()
    voting_period: VotingPeriod = VotingPeriod()
    roles: Roles = Roles()
    max_clock_skew_seconds: int = Field(default=300, ge=0, le=_MAX_CLOCK_SKEW_SECONDS)

    @property
    def max_clock_skew(self) -> timedelta:
        """The largest difference between a transaction's time and an endorser's clock."""
        return timedelta(seconds=self.max_clock_skew_seconds)


class CharterInForce(Charter):
    """A charter as a snapshot embeds it; `proposal` brought it, absent for the built-in default."""

    proposal: ProposalName | None = None


DEFAULT_CHARTER = CharterInForce(version=0)
