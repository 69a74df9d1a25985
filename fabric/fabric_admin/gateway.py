"""The Gateway service of a peer: evaluate, and submit in steps so that a transaction's ID outlives a crash.

`Evaluate` names the identity's own organization as target unless told otherwise: a Gateway may ask any
organization's peer, and only the own one is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2

from fabric_admin.blocks import code_name
from fabric_admin.clock import new_moment
from fabric_admin.errors import BlockError, CommitFailed
from fabric_admin.proposal import build_proposal, sign_payload, transaction_response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from fabric_protos.common import common_pb2

    from fabric_admin.identity import SigningIdentity
    from fabric_admin.proposal import Proposal
    from fabric_admin.transport import Connection

VALID: Final = "VALID"


@dataclass(frozen=True, slots=True)
class Prepared:
    """An endorsed and signed transaction that has not been sent; `payload` is the chaincode's answer."""

    transaction_id: str
    channel: str
    envelope: common_pb2.Envelope
    payload: bytes


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """What the connected peer made of a transaction: the name of its TxValidationCode and its block."""

    transaction_id: str
    code: str
    block_number: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """A transaction committed as VALID."""

    transaction_id: str
    payload: bytes
    block_number: int


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    """An event of a VALID transaction."""

    block_number: int
    transaction_id: str
    chaincode: str
    name: str
    payload: bytes


class Gateway:
    """Evaluates and submits transactions through the connected peer.

    Every call raises TransportError, DeadlineExceeded, or GatewayError with each asked node's detail.
    """

    __slots__ = ("_connection", "_identity", "_stub")

    def __init__(self, connection: Connection, identity: SigningIdentity) -> None:
        self._connection = connection
        self._identity = identity
        self._stub = gateway_pb2_grpc.GatewayStub(connection.channel)

    async def evaluate(
        self,
        channel: str,
        chaincode: str,
        args: Sequence[bytes],
        *,
        transient: Mapping[str, bytes] | None = None,
        target_organizations: Sequence[str] = (),
        is_init: bool = False,
        timeout_seconds: float = 30.0,
    ) -> bytes:
        """Return the answer without submitting; asks the own organization's peers unless targets are given."""
        proposal = self._propose(channel, chaincode, args, transient, is_init=is_init)
        request = gateway_pb2.EvaluateRequest(
            transaction_id=proposal.transaction_id,
            channel_id=channel,
            proposed_transaction=proposal.signed,
            target_organizations=target_organizations or (self._identity.msp_id,),
        )
        with self._connection.gateway_errors():
            answer = await self._stub.Evaluate(request, timeout=timeout_seconds)
        return answer.result.payload

    async def endorse(
        self,
        channel: str,
        chaincode: str,
        args: Sequence[bytes],
        *,
        transient: Mapping[str, bytes] | None = None,
        endorsing_organizations: Sequence[str] = (),
        is_init: bool = False,
        timeout_seconds: float = 30.0,
    ) -> Prepared:
        """Collect endorsements and sign the transaction; nothing is sent to the orderer.

        Without `endorsing_organizations` the peer plans them by policy; with them it asks exactly one peer of each.
        Raises BlockError when the peer answers with another transaction than the one proposed.
        """
        proposal = self._propose(channel, chaincode, args, transient, is_init=is_init)
        request = gateway_pb2.EndorseRequest(
            transaction_id=proposal.transaction_id,
            channel_id=channel,
            proposed_transaction=proposal.signed,
            endorsing_organizations=endorsing_organizations,
        )
        with self._connection.gateway_errors():
            answer = await self._stub.Endorse(request, timeout=timeout_seconds)
        header, payload = transaction_response(answer.prepared_transaction)
        if header != proposal.header:
            raise BlockError(f"transaction {proposal.transaction_id}: the peer prepared a different transaction")
        envelope = sign_payload(self._identity, answer.prepared_transaction.payload)
        return Prepared(proposal.transaction_id, channel, envelope, payload)

    async def submit_prepared(self, prepared: Prepared, *, timeout_seconds: float = 30.0) -> None:
        """Hand a prepared transaction to the orderer; sending the same one twice commits it once."""
        request = gateway_pb2.SubmitRequest(
            transaction_id=prepared.transaction_id,
            channel_id=prepared.channel,
            prepared_transaction=prepared.envelope,
        )
        with self._connection.gateway_errors():
            await self._stub.Submit(request, timeout=timeout_seconds)

    async def commit_status(self, channel: str, transaction_id: str, *, timeout_seconds: float = 60.0) -> CommitStatus:
        """Wait until the connected peer committed a transaction and return its verdict, valid or not.

        For an ID that never commits this ends with DeadlineExceeded.
        """
        request = gateway_pb2.CommitStatusRequest(
            transaction_id=transaction_id, channel_id=channel, identity=self._identity.creator
        ).SerializeToString()
        signed = gateway_pb2.SignedCommitStatusRequest(request=request, signature=self._identity.sign(request))
        with self._connection.gateway_errors():
            answer = await self._stub.CommitStatus(signed, timeout=timeout_seconds)
        return CommitStatus(transaction_id, code_name(answer.result), answer.block_number)

    async def chaincode_events(
        self, channel: str, chaincode: str, *, start: int | Literal["next"] = "next", after_transaction_id: str = ""
    ) -> AsyncGenerator[ChaincodeEvent, None]:
        """Yield the chaincode's events of VALID transactions in order, without end; close the iterator to stop.

        Begins at block `start`, or with the next one; or right after a transaction the peer already has.
        """
        position = ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit())
        if start != "next":
            position = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=start))
        request = gateway_pb2.ChaincodeEventsRequest(
            channel_id=channel,
            chaincode_id=chaincode,
            identity=self._identity.creator,
            start_position=position,
            after_transaction_id=after_transaction_id,
        ).SerializeToString()
        signed = gateway_pb2.SignedChaincodeEventsRequest(request=request, signature=self._identity.sign(request))
        call = self._stub.ChaincodeEvents(signed)
        with self._connection.gateway_errors():
            try:
                async for answer in call:
                    for each in answer.events:
                        yield ChaincodeEvent(
                            answer.block_number, each.tx_id, each.chaincode_id, each.event_name, each.payload
                        )
            finally:
                call.cancel()

    async def submit(
        self,
        channel: str,
        chaincode: str,
        args: Sequence[bytes],
        *,
        transient: Mapping[str, bytes] | None = None,
        endorsing_organizations: Sequence[str] = (),
        is_init: bool = False,
        timeout_seconds: float = 30.0,
        commit_timeout_seconds: float = 60.0,
    ) -> Submitted:
        """Endorse, submit and wait for the commit; raises CommitFailed when the peer flagged the transaction invalid.

        `timeout_seconds` bounds endorsing and sending each, `commit_timeout_seconds` the wait.
        """
        prepared = await self.endorse(
            channel,
            chaincode,
            args,
            transient=transient,
            endorsing_organizations=endorsing_organizations,
            is_init=is_init,
            timeout_seconds=timeout_seconds,
        )
        await self.submit_prepared(prepared, timeout_seconds=timeout_seconds)
        return await self.committed(prepared, timeout_seconds=commit_timeout_seconds)

    async def committed(self, prepared: Prepared, *, timeout_seconds: float = 60.0) -> Submitted:
        """Wait for a sent transaction; raises CommitFailed when it is not VALID."""
        status = await self.commit_status(prepared.channel, prepared.transaction_id, timeout_seconds=timeout_seconds)
        if status.code != VALID:
            raise CommitFailed(status.transaction_id, status.code, status.block_number)
        return Submitted(status.transaction_id, prepared.payload, status.block_number)

    def _propose(
        self,
        channel: str,
        chaincode: str,
        args: Sequence[bytes],
        transient: Mapping[str, bytes] | None,
        *,
        is_init: bool,
    ) -> Proposal:
        return build_proposal(
            self._identity, channel, chaincode, args, new_moment(), transient=transient, is_init=is_init
        )
