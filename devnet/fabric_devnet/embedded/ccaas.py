"""The peer's side of a chaincode server: it dials, the chaincode registers, transactions share one stream.

Source: fabric core/container/externalbuilder, core/chaincode/handler.go, extcc/extcc_handler.go.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import grpc
from fabric_protos.peer import chaincode_pb2, chaincode_shim_pb2, chaincode_shim_pb2_grpc
from google.protobuf.message import DecodeError

from fabric_devnet.embedded import staterequests
from fabric_devnet.embedded.errors import ChaincodeUnavailable, ExecutionFailed, SimulationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fabric_devnet.embedded.connection import ServerConnection
    from fabric_devnet.embedded.transactioncontext import TransactionContext

    Message = chaincode_shim_pb2.ChaincodeMessage
    InvokeOther = Callable[[TransactionContext, chaincode_pb2.ChaincodeSpec], Awaitable[Message]]

_logger = logging.getLogger(__name__)
Kind = chaincode_shim_pb2.ChaincodeMessage
EXECUTE_TIMEOUT_SECONDS: Final = 30.0
STARTUP_TIMEOUT_SECONDS: Final = 300.0
_MAX_MESSAGE_BYTES: Final = 100 << 20
_BATCH_SIZE: Final = 1000
_TERMINATED: Final = "chaincode stream terminated"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 60_000),
    # A pooled subchannel would remember that a server was down and refuse it for a while.
    ("grpc.use_local_subchannel_pool", 1),
)


class ChaincodeStream:
    """One open stream to a registered chaincode; use `open_stream` to get one."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        call: grpc.aio.StreamStreamCall[Message, Message],
        invoke_other: InvokeOther,
    ) -> None:
        self._channel = channel
        self._call = call
        self._invoke_other = invoke_other
        self._contexts: dict[tuple[str, str], TransactionContext] = {}
        self._results: dict[tuple[str, str], asyncio.Future[Message]] = {}
        self._outgoing: asyncio.Queue[Message] = asyncio.Queue()
        self._nested: set[asyncio.Task[None]] = set()
        self._tasks = [asyncio.create_task(self._read_all()), asyncio.create_task(self._write_all())]
        self.closed = False

    async def execute(self, message: Message, context: TransactionContext, timeout_seconds: float) -> Message:
        """Run one transaction and return COMPLETED or ERROR; raises ExecutionFailed with Fabric's cause."""
        key = (context.channel_id, context.transaction_id)
        if self.closed:
            raise ExecutionFailed(_TERMINATED)
        if key in self._contexts:
            raise ExecutionFailed(f"txid: {context.transaction_id}({context.channel_id}) exists")
        result: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._contexts[key], self._results[key] = context, result
        self._outgoing.put_nowait(message)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await result
        except TimeoutError as exc:
            raise ExecutionFailed("timeout expired while executing transaction") from exc
        finally:
            del self._contexts[key], self._results[key]

    async def close(self) -> None:
        """End the stream; transactions in progress fail."""
        self._terminate()
        for task in (*self._tasks, *self._nested):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._nested, return_exceptions=True)
        await self._channel.close()

    async def _read_all(self) -> None:
        try:
            # Registering has used read() on this call, and gRPC allows only one way of reading.
            while isinstance(message := await self._call.read(), Kind):
                if not self._receive(message):
                    _logger.warning("chaincode sent a message of an unexpected type", extra={"type": message.type})
                    return
        except grpc.aio.AioRpcError as exc:
            _logger.info("chaincode stream ended", extra={"details": exc.details()})
        finally:
            self._terminate()

    async def _write_all(self) -> None:
        try:
            while True:
                await self._call.write(await self._outgoing.get())
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            self._terminate()

    def _terminate(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._call.cancel()
        for result in self._results.values():
            if not result.done():
                result.set_exception(ExecutionFailed(_TERMINATED))

    def _receive(self, message: Message) -> bool:
        """Act on one message; False when the stream has to end."""
        if message.type == Kind.KEEPALIVE:
            return True
        key = (message.channel_id, message.txid)
        if message.type in (Kind.COMPLETED, Kind.ERROR):
            result = self._results.get(key)
            if result is not None and not result.done():
                result.set_result(message)
            return True
        if message.type != Kind.INVOKE_CHAINCODE and not staterequests.is_supported(message.type):
            return False
        context = self._contexts.get(key)
        if context is None:
            self._outgoing.put_nowait(_refuse(message, "no ledger context"))
        elif context.busy:
            # One request at a time per transaction: Fabric drops a second one without a word.
            _logger.debug("dropped a concurrent request", extra={"tx_id": message.txid})
        elif message.type == Kind.INVOKE_CHAINCODE:
            self._start_nested(message, context)
        else:
            self._outgoing.put_nowait(_answer(message, context))
        return True

    def _start_nested(self, message: Message, context: TransactionContext) -> None:
        context.busy = True
        task = asyncio.create_task(self._run_nested(message, context))
        self._nested.add(task)
        task.add_done_callback(self._nested.discard)

    async def _run_nested(self, message: Message, context: TransactionContext) -> None:
        try:
            spec = chaincode_pb2.ChaincodeSpec.FromString(message.payload)
            answer = await self._invoke_other(context, spec)
            reply = _reply(message, answer.SerializeToString())
        except DecodeError:
            reply = _refuse(message, "unmarshal failed: proto: cannot parse invalid wire-format data")
        except SimulationError as exc:
            reply = _refuse(message, str(exc))
        finally:
            context.busy = False
        self._outgoing.put_nowait(reply)


async def open_stream(package_id: str, connection: ServerConnection, invoke_other: InvokeOther) -> ChaincodeStream:
    """Dial a chaincode server and register its chaincode; raises ChaincodeUnavailable with Fabric's cause."""
    try:
        await _dial(connection)
        channel = _channel(connection)
    except (OSError, ValueError) as exc:
        raise ChaincodeUnavailable(
            f"connection to {package_id} failed: error cannot create connection for {package_id}: {exc}"
        ) from exc
    async with AsyncExitStack() as cleanup:
        cleanup.push_async_callback(channel.close)
        call = chaincode_shim_pb2_grpc.ChaincodeStub(channel).Connect()
        try:
            async with asyncio.timeout(STARTUP_TIMEOUT_SECONDS):
                await _register(package_id, call)
        except TimeoutError as exc:
            text = f"timeout expired while starting chaincode {package_id} for transaction"
            raise ChaincodeUnavailable(text) from exc
        except grpc.aio.AioRpcError as exc:
            raise ChaincodeUnavailable(f"chaincode registration failed: {exc.details()}") from exc
        cleanup.pop_all()
        return ChaincodeStream(channel, call, invoke_other)


async def _dial(connection: ServerConnection) -> None:
    """Find out at once, and in Fabric's words, whether anybody listens; raises OSError or ValueError."""
    if not connection.address:
        raise ValueError("chaincode address not provided")
    host, _, port = connection.address.rpartition(":")
    prefix = (
        f"error creating grpc connection to {connection.address}: failed to create new connection: "
        'connection error: desc = "transport: error while dialing: '
    )
    try:
        async with asyncio.timeout(connection.dial_timeout_seconds):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError as exc:
        raise OSError(f'{prefix}dial tcp {connection.address}: i/o timeout"') from exc
    except ConnectionRefusedError as exc:
        raise OSError(f'{prefix}dial tcp {connection.address}: connect: connection refused"') from exc
    except OSError as exc:
        raise OSError(f'{prefix}dial tcp {connection.address}: {exc.strerror or exc}"') from exc
    writer.close()
    await writer.wait_closed()


def _channel(connection: ServerConnection) -> grpc.aio.Channel:
    if not connection.tls_required:
        return grpc.aio.insecure_channel(connection.address, options=_OPTIONS)
    if not connection.root_cert:
        raise ValueError("chaincode tls root cert not provided")
    key, certificate = None, None
    if connection.client_auth_required:
        if not connection.client_key:
            raise ValueError("chaincode tls key not provided")
        if not connection.client_cert:
            raise ValueError("chaincode tls cert not provided")
        key, certificate = connection.client_key.encode(), connection.client_cert.encode()
    credentials = grpc.ssl_channel_credentials(connection.root_cert.encode(), key, certificate)
    return grpc.aio.secure_channel(connection.address, credentials, options=_OPTIONS)


async def _register(package_id: str, call: grpc.aio.StreamStreamCall[Message, Message]) -> None:
    first = await call.read()
    if not isinstance(first, chaincode_shim_pb2.ChaincodeMessage) or first.type != Kind.REGISTER:
        raise ChaincodeUnavailable("chaincode registration failed: the stream did not begin with REGISTER")
    try:
        name = chaincode_pb2.ChaincodeID.FromString(first.payload).name
    except DecodeError as exc:
        raise ChaincodeUnavailable("chaincode registration failed: error unmarshalling ChaincodeID") from exc
    if name != package_id:
        _logger.warning("peer will not accept external chaincode connection %s (except in dev mode)", name)
        call.cancel()
        # As in Fabric, whoever waits for the chaincode learns nothing before the start-up time is over.
        await asyncio.Event().wait()
    await call.write(Kind(type=Kind.REGISTERED))
    parameters = chaincode_pb2.ChaincodeAdditionalParams(
        use_write_batch=True,
        max_size_write_batch=_BATCH_SIZE,
        use_get_multiple_keys=True,
        max_size_get_multiple_keys=_BATCH_SIZE,
    )
    await call.write(Kind(type=Kind.READY, payload=parameters.SerializeToString()))


def _answer(message: Message, context: TransactionContext) -> Message:
    try:
        return _reply(message, staterequests.answer(message, context))
    except SimulationError as exc:
        return _refuse(message, str(exc))


def _reply(message: Message, payload: bytes) -> Message:
    return Kind(type=Kind.RESPONSE, payload=payload, txid=message.txid, channel_id=message.channel_id)


def _refuse(message: Message, cause: str) -> Message:
    text = f"{Kind.Type.Name(message.type)} failed: transaction ID: {message.txid}: {cause}"
    return Kind(type=Kind.ERROR, payload=text.encode(), txid=message.txid, channel_id=message.channel_id)
