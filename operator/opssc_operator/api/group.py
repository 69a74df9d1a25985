"""Names of the API group: versions, kinds, labels; what a client types into a URL or a selector."""

from enum import StrEnum
from typing import Final

GROUP: Final = "opssc.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "opssc.dev/v1alpha1"

ORIGIN_LABEL: Final = f"{GROUP}/origin"
"""Label of objects the operator created from the ledger; its value is `MIRRORED`."""
MIRRORED: Final = "mirrored"
WITHDRAW_FINALIZER: Final = f"{GROUP}/withdraw"
"""Finalizer of a local proposal whose deletionPolicy is Withdraw; no other object carries one."""


class Kind(StrEnum):
    """Kinds of this API, as in a manifest's `kind`."""

    FABRIC_ORGANIZATION = "FabricOrganization"
    CHAINCODE_PROPOSAL = "ChaincodeProposal"
    CHANNEL_PROPOSAL = "ChannelProposal"
    VOTE = "Vote"
    FABRIC_CHANNEL = "FabricChannel"
    CHARTER_PROPOSAL = "CharterProposal"

    @property
    def is_proposal(self) -> bool:
        """Whether its objects stand for proposals on the ledger."""
        return self in PROPOSAL_KINDS

    @property
    def plural(self) -> str:
        """Resource name in URLs and Roles."""
        return f"{self.value.lower()}s"

    @property
    def crd_name(self) -> str:
        """Name of the CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


PROPOSAL_KINDS: Final = (Kind.CHAINCODE_PROPOSAL, Kind.CHANNEL_PROPOSAL, Kind.CHARTER_PROPOSAL)
"""Kinds whose objects stand for proposals on the ledger."""
