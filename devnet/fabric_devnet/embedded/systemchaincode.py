"""What every system chaincode of a peer is given, and how it answers; they run inside the peer, without a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from fabric_protos.peer import proposal_response_pb2

from fabric_admin.policy import SignedData

if TYPE_CHECKING:
    from fabric_devnet.embedded.proposals import UnpackedProposal
    from fabric_devnet.embedded.simulator import Simulator

VERSION: Final = "syscc"
SUCCESS: Final = 200
ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a system chaincode; `channel_id` is "" and `simulator` None outside a channel."""

    channel_id: str
    args: tuple[bytes, ...]
    proposal: UnpackedProposal
    simulator: Simulator | None

    @property
    def signed_data(self) -> SignedData:
        """What access policies judge: the proposal and who signed it."""
        signed = self.proposal.signed
        return SignedData(data=signed.proposal_bytes, identity=self.proposal.creator, signature=signed.signature)


class SystemChaincode(Protocol):
    """A chaincode built into the peer."""

    def invoke(self, invocation: Invocation) -> proposal_response_pb2.Response:
        """Answer one call; refusals are answers too."""
        ...


def success(payload: bytes = b"") -> proposal_response_pb2.Response:
    """Build the answer of a call that worked."""
    return proposal_response_pb2.Response(status=SUCCESS, payload=payload)


def failure(message: str, status: int = ERROR) -> proposal_response_pb2.Response:
    """Build the answer of a call that was refused."""
    return proposal_response_pb2.Response(status=status, message=message)
