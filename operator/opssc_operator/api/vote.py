"""Vote: one organization's vote on one proposal, with its local choices."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model import Decision
from opssc_chaincode.model.fields import Reason
from opssc_operator.api.conditions import Condition
from opssc_operator.api.fields import ApiModel, ContentHash
from opssc_operator.api.metadata import ApiObject
from opssc_operator.api.package import ArchivePackage, CcaasPackage, GitPackage, K8sPackage
from opssc_operator.api.refs import ProposalReference
from opssc_operator.api.servers import ServerSettings

__all__ = ["Decision", "LocalChoices", "LocalPackage", "LocalPackageType", "Vote", "VoteSpec", "VoteStatus"]


class LocalPackageType(StrEnum):
    """Which package this organization installs; anything but the first two is a package of its own."""

    PROPOSED = "Proposed"
    NONE = "None"
    CCAAS = "ccaas"
    K8S = "k8s"
    ARCHIVE = "archive"
    GIT = "git"


class LocalPackage(ApiModel):
    """The package of this organization: the proposed one, none (approve without a package), or one of its own."""

    type: LocalPackageType
    ccaas: CcaasPackage | None = None
    k8s: K8sPackage | None = None
    archive: ArchivePackage | None = None
    git: GitPackage | None = None

    @model_validator(mode="after")
    def _one_member(self) -> Self:
        for name in ("ccaas", "k8s", "archive", "git"):
            if (getattr(self, name) is not None) != (self.type.value == name):
                raise ValueError(f"local.package.{name} is set exactly when local.package.type is {name}")
        return self


class LocalChoices(ApiModel):
    """What this organization does on its own nodes; never sent to the ledger."""

    package: LocalPackage | None = None
    server: ServerSettings | None = None


class VoteSpec(ApiModel):
    """What the organization's approvers declare."""

    proposal: ProposalReference
    decision: Decision
    reason: Reason | None = None
    content_hash: ContentHash | None = None
    local: LocalChoices | None = None


class VoteStatus(ApiModel):
    """What became of the vote."""

    observed_generation: Annotated[int, Field(ge=-1)]
    submitted: bool | None = None
    tx_id: Annotated[str, StringConstraints(max_length=128)] | None = None
    counted: bool | None = None
    content_hash: ContentHash | None = None
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()


class Vote(ApiObject):
    """A vote."""

    kind: Literal["Vote"] = "Vote"
    spec: VoteSpec
