"""The endorser of one peer: checks a proposal, runs the chaincode, signs what came out.

Order and words as in fabric core/endorser/endorser.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2

from fabric_admin.policy import SignedData
from fabric_devnet.embedded.chaincodes import Transaction
from fabric_devnet.embedded.errors import (
    AccessDenied,
    ChaincodeUnavailable,
    ExecutionFailed,
    ProposalRefused,
    SimulationError,
)
from fabric_devnet.embedded.interest import build_interest
from fabric_devnet.embedded.proposals import check_creator, check_freshness, check_header, check_times, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fabric_admin.identity import SigningIdentity
    from fabric_admin.msp import MSP
    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.chaincodes import ChaincodeInfo, ChaincodeRuntime, Outcome
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.proposals import UnpackedProposal
    from fabric_devnet.embedded.simulator import SimulationResults
    from fabric_devnet.embedded.transient import TransientStore

ERROR_THRESHOLD: Final = 400
ERROR: Final = 500
_ESCC: Final = "escc"
# These read the ledger as it is and are never ordered, so they get no simulator.
_WITHOUT_SIMULATOR: Final = frozenset({"cscc", "qscc"})


@dataclass(frozen=True, slots=True)
class Endorser:
    """Processes proposals for one peer; `clock` gives the peer's time in UTC."""

    identity: SigningIdentity
    local_msp: MSP
    ledgers: Mapping[str, Ledger]
    access: AccessControl
    runtime: ChaincodeRuntime
    transient: TransientStore
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def process(self, signed: proposal_pb2.SignedProposal) -> proposal_response_pb2.ProposalResponse:
        """Simulate a proposal and endorse the outcome; raises ProposalRefused when it is not even simulated."""
        check_freshness(signed, self.clock())
        return await self._endorse(unpack(signed))

    async def endorse(self, proposal: UnpackedProposal) -> proposal_response_pb2.ProposalResponse:
        """Do what `process` does with a proposal that a gateway of the same process has decoded."""
        check_times(proposal, self.clock())
        return await self._endorse(proposal)

    async def _endorse(self, proposal: UnpackedProposal) -> proposal_response_pb2.ProposalResponse:
        ledger = self.ledgers.get(proposal.channel_id)
        if proposal.channel_id and ledger is None:
            return _peer_error(f"channel '{proposal.channel_id}' not found")
        self._check(proposal, ledger)
        try:
            return await self._simulate(proposal, ledger)
        except ChaincodeUnavailable as exc:
            return _peer_error(
                f"make sure the chaincode {proposal.chaincode} has been successfully defined on channel "
                f"{proposal.channel_id} and try again: {exc}"
            )
        except (ExecutionFailed, SimulationError) as exc:
            return _peer_error(f"error in simulation: {exc}")

    def _check(self, proposal: UnpackedProposal, ledger: Ledger | None) -> None:
        try:
            check_header(proposal)
            check_creator(proposal, ledger.config.msp_manager if ledger else self.local_msp)
        except ProposalRefused as exc:
            raise ProposalRefused(f"error validating proposal: {exc}") from exc
        if ledger is None:
            return
        if ledger.has_transaction(proposal.transaction_id):
            raise ProposalRefused(
                f"duplicate transaction found [{proposal.transaction_id}]. Creator [{proposal.creator.hex()}]"
            )
        if self.runtime.is_system(proposal.chaincode):
            return
        signed = proposal.signed
        data = SignedData(data=signed.proposal_bytes, identity=proposal.creator, signature=signed.signature)
        try:
            self.access.check("peer/Propose", proposal.channel_id, ledger.config, data)
        except AccessDenied as exc:
            raise ProposalRefused(str(exc)) from exc

    async def _simulate(
        self, proposal: UnpackedProposal, ledger: Ledger | None
    ) -> proposal_response_pb2.ProposalResponse:
        simulator = None
        if ledger is not None and proposal.chaincode not in _WITHOUT_SIMULATOR:
            simulator = ledger.simulator(proposal.transaction_id)
        info = self.runtime.find(proposal.chaincode, proposal.channel_id, simulator)
        transaction = Transaction(proposal.channel_id, proposal, simulator)
        outcome = await self.runtime.execute(transaction, proposal.chaincode, proposal.input)
        results = simulator.results() if simulator is not None else None
        if results is not None and results.private is not None:
            self.transient.put(proposal.channel_id, proposal.transaction_id, results.private)
        return self._respond(proposal, info, outcome, results, ledger)

    def _respond(
        self,
        proposal: UnpackedProposal,
        info: ChaincodeInfo,
        outcome: Outcome,
        results: SimulationResults | None,
        ledger: Ledger | None,
    ) -> proposal_response_pb2.ProposalResponse:
        response = outcome.response
        answer = proposal_response_pb2.ProposalResponse(response=response)
        if ERROR_THRESHOLD <= response.status < ERROR or (not proposal.channel_id and response.status < ERROR):
            return answer
        payload = _payload(proposal, info, outcome, results)
        if results is not None and ledger is not None:
            answer.interest.CopyFrom(build_interest(results, ledger.snapshot(), self.runtime.is_system))
        if response.status >= ERROR:
            answer.payload = payload
            return answer
        if info.endorsement_plugin != _ESCC:
            plugin = info.endorsement_plugin
            return _peer_error(
                f"endorsing with plugin failed: plugin with name {plugin} could not be used: "
                f"plugin with name {plugin} wasn't found"
            )
        answer.version = 1
        answer.payload = payload
        answer.endorsement.endorser = self.identity.creator
        answer.endorsement.signature = self.identity.sign(payload + self.identity.creator)
        return answer


def _payload(
    proposal: UnpackedProposal, info: ChaincodeInfo, outcome: Outcome, results: SimulationResults | None
) -> bytes:
    event = outcome.event if outcome.response.status < ERROR_THRESHOLD else None
    action = proposal_pb2.ChaincodeAction(
        results=results.public.SerializeToString() if results is not None else b"",
        events=event.SerializeToString() if event is not None else b"",
        response=outcome.response,
        chaincode_id=chaincode_pb2.ChaincodeID(name=info.name, version=info.version),
    )
    return proposal_response_pb2.ProposalResponsePayload(
        proposal_hash=proposal.proposal_hash, extension=action.SerializeToString()
    ).SerializeToString()


def _peer_error(message: str) -> proposal_response_pb2.ProposalResponse:
    """Build the answer of the peer itself: status 500 without a payload."""
    response = proposal_response_pb2.Response(status=ERROR, message=message)
    return proposal_response_pb2.ProposalResponse(response=response)
