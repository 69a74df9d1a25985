"""Runs chaincodes of a peer, built-in or behind a server, and lets them call each other.

Source: fabric core/chaincode/chaincode_support.go, handler.go (HandleInvokeChaincode).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, chaincode_shim_pb2, proposal_response_pb2
from google.protobuf.message import DecodeError

from fabric_admin.policy import SignedData
from fabric_devnet.embedded.ccaas import EXECUTE_TIMEOUT_SECONDS, open_stream
from fabric_devnet.embedded.errors import AccessDenied, ChaincodeUnavailable, ExecutionFailed, SimulationError
from fabric_devnet.embedded.lifecycle.state import DEFINITIONS, NAMESPACE, field_key
from fabric_devnet.embedded.systemchaincode import VERSION, Invocation
from fabric_devnet.embedded.transactioncontext import TransactionContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.ccaas import ChaincodeStream
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.lifecycle.runnable import RunnableChaincodes
    from fabric_devnet.embedded.packages import InstalledPackage
    from fabric_devnet.embedded.proposals import UnpackedProposal
    from fabric_devnet.embedded.simulator import Simulator
    from fabric_devnet.embedded.systemchaincode import SystemChaincode

    Message = chaincode_shim_pb2.ChaincodeMessage

_Kind = chaincode_shim_pb2.ChaincodeMessage
INITIALIZED_KEY: Final = "\x00\U0010ffffinitialized"


@dataclass(frozen=True, slots=True)
class ChaincodeInfo:
    """What an endorser must know of a chaincode; `package` is None for a built-in one."""

    name: str
    version: str
    endorsement_plugin: str
    init_required: bool
    package: InstalledPackage | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """The transaction chaincodes run in; `simulator` is None outside a channel and for `cscc` and `qscc`."""

    channel_id: str
    proposal: UnpackedProposal
    simulator: Simulator | None

    @property
    def transaction_id(self) -> str:
        """The transaction's ID."""
        return self.proposal.transaction_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """A chaincode's answer and its event, if it emitted one."""

    response: proposal_response_pb2.Response
    event: chaincode_event_pb2.ChaincodeEvent | None


class ChaincodeRuntime:
    """All chaincodes one peer can run."""

    def __init__(
        self,
        runnable: RunnableChaincodes,
        ledgers: Mapping[str, Ledger],
        access: AccessControl,
        system: Mapping[str, SystemChaincode],
    ) -> None:
        self._runnable = runnable
        self._ledgers = ledgers
        self._access = access
        self._system = system
        self._streams: dict[str, ChaincodeStream] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    def is_system(self, name: str) -> bool:
        """Tell whether a chaincode is built into the peer."""
        return name in self._system

    def find(self, name: str, channel_id: str, simulator: Simulator | None) -> ChaincodeInfo:
        """Find a chaincode and record what its choice depends on; raises ChaincodeUnavailable with Fabric's cause."""
        if name in self._system:
            return ChaincodeInfo(name, VERSION, "escc", init_required=False, package=None)
        if simulator is None:
            raise ChaincodeUnavailable(f"could not get channel config for channel '{channel_id}'")
        # Every endorser depends on the sequence, so that a new definition invalidates what the old one endorsed.
        simulator.get_state(NAMESPACE, field_key(DEFINITIONS, name, "Sequence"))
        found = self._runnable.find(simulator.snapshot, channel_id, name)
        parameters = found.definition.parameters
        return ChaincodeInfo(
            name, parameters.version, parameters.endorsement_plugin, parameters.init_required, found.package
        )

    async def execute(self, transaction: Transaction, name: str, arguments: chaincode_pb2.ChaincodeInput) -> Outcome:
        """Run the outermost chaincode of a transaction; raises ExecutionFailed with Fabric's text."""
        try:
            message = await self._invoke(transaction, name, arguments)
        except (ExecutionFailed, ChaincodeUnavailable) as exc:
            raise ExecutionFailed(f"failed to execute transaction {transaction.transaction_id}: {exc}") from exc
        if message.type == _Kind.ERROR:
            raise ExecutionFailed(f"transaction returned with failure: {message.payload.decode(errors='replace')}")
        try:
            response = proposal_response_pb2.Response.FromString(message.payload)
        except DecodeError as exc:
            raise ExecutionFailed(f"failed to unmarshal response for transaction {transaction.transaction_id}") from exc
        event = None
        if message.HasField("chaincode_event"):
            event = chaincode_event_pb2.ChaincodeEvent()
            event.CopyFrom(message.chaincode_event)
            event.chaincode_id, event.tx_id = name, transaction.transaction_id
        return Outcome(response, event)

    async def close(self) -> None:
        """End every stream."""
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            await stream.close()

    async def _invoke(self, transaction: Transaction, name: str, arguments: chaincode_pb2.ChaincodeInput) -> Message:
        try:
            info = self.find(name, transaction.channel_id, transaction.simulator)
        except ChaincodeUnavailable as exc:
            raise ExecutionFailed(
                f"invalid invocation: [channel {transaction.channel_id}] "
                f"failed to get chaincode container info for {name}: {exc}"
            ) from exc
        kind = _check_initialization(info, arguments, transaction.simulator)
        if info.package is None or transaction.simulator is None:
            return self._invoke_system(transaction, name, arguments)
        stream = await self._stream(info.package)
        context = TransactionContext(
            transaction.channel_id,
            transaction.transaction_id,
            name,
            transaction.proposal,
            transaction.simulator,
            is_init=kind == _Kind.INIT,
        )
        message = _Kind(
            type=kind,
            payload=arguments.SerializeToString(),
            txid=transaction.transaction_id,
            channel_id=transaction.channel_id,
            proposal=transaction.proposal.signed,
            timestamp=transaction.proposal.channel_header.timestamp,
        )
        try:
            return await stream.execute(message, context, EXECUTE_TIMEOUT_SECONDS)
        except ExecutionFailed as exc:
            raise ExecutionFailed(f"error sending: {exc}") from exc

    def _invoke_system(self, transaction: Transaction, name: str, arguments: chaincode_pb2.ChaincodeInput) -> Message:
        invocation = Invocation(
            transaction.channel_id, tuple(arguments.args), transaction.proposal, transaction.simulator
        )
        response = self._system[name].invoke(invocation)
        return _Kind(type=_Kind.COMPLETED, payload=response.SerializeToString())

    async def _stream(self, package: InstalledPackage) -> ChaincodeStream:
        """Return the package's stream, dialling its server if there is none."""
        lock = self._opening.setdefault(package.package_id, asyncio.Lock())
        async with lock:
            stream = self._streams.get(package.package_id)
            if stream is not None and not stream.closed:
                return stream
            if stream is not None:
                await stream.close()
                del self._streams[package.package_id]
            try:
                stream = await open_stream(package.package_id, package.connection, self._invoke_other)
            except ChaincodeUnavailable as exc:
                raise ChaincodeUnavailable(f"could not launch chaincode {package.package_id}: {exc}") from exc
            self._streams[package.package_id] = stream
            return stream

    async def _invoke_other(self, caller: TransactionContext, spec: chaincode_pb2.ChaincodeSpec) -> Message:
        """Run a chaincode for another one; raises SimulationError with Fabric's cause."""
        target, _, channel = spec.chaincode_id.name.partition("/")
        name = target.partition(":")[0]
        channel_id = channel or caller.channel_id
        ledger = self._ledgers.get(channel_id)
        try:
            if name not in self._system:
                self._check_caller(caller, channel_id, ledger)
            if ledger is None:
                raise ExecutionFailed(f"failed to find ledger for channel: {channel_id}")
            # Another channel is only read: its simulation is thrown away.
            same = channel_id == caller.channel_id
            simulator = caller.simulator if same else ledger.simulator(caller.transaction_id)
            transaction = Transaction(channel_id, caller.proposal, simulator)
            return await self._invoke(transaction, name, spec.input)
        except AccessDenied as exc:
            raise SimulationError(str(exc)) from exc
        except (ExecutionFailed, ChaincodeUnavailable) as exc:
            raise SimulationError(f"execute failed: {exc}") from exc

    def _check_caller(self, caller: TransactionContext, channel_id: str, ledger: Ledger | None) -> None:
        signed = caller.proposal.signed
        data = SignedData(data=signed.proposal_bytes, identity=caller.proposal.creator, signature=signed.signature)
        self._access.check("peer/ChaincodeToChaincode", channel_id, ledger.config if ledger else None, data)


def _check_initialization(
    info: ChaincodeInfo, arguments: chaincode_pb2.ChaincodeInput, simulator: Simulator | None
) -> chaincode_shim_pb2.ChaincodeMessage.Type.ValueType:
    """Decide whether this is the chaincode's initialization; raises ExecutionFailed when it should or may not be."""
    needs = False
    if info.init_required and simulator is not None:
        needs = simulator.get_state(info.name, INITIALIZED_KEY) != info.version.encode()
    if not arguments.is_init:
        if needs:
            raise ExecutionFailed(
                f"invalid invocation: chaincode '{info.name}' has not been initialized for this version, "
                "must call as init first"
            )
        return _Kind.TRANSACTION
    if not info.init_required:
        raise ExecutionFailed(
            f"invalid invocation: chaincode '{info.name}' does not require initialization but called as init"
        )
    if not needs:
        raise ExecutionFailed(f"invalid invocation: chaincode '{info.name}' is already initialized but called as init")
    if simulator is not None:
        simulator.put_state(info.name, INITIALIZED_KEY, info.version.encode())
    return _Kind.INIT
