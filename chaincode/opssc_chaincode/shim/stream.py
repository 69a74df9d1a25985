"""One stream from a peer: registration, transactions side by side, one outstanding request per transaction.

Source: the chat loop of fabric-chaincode-go, and core/chaincode/handler.go for the peer's side.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, Awaitable, Callable
from functools import partial

from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, chaincode_shim_pb2, proposal_response_pb2

from opssc_chaincode.shim.errors import ProposalError, ShimError, StateError
from opssc_chaincode.shim.stub import ERROR, Chaincode, Response
from opssc_chaincode.shim.transaction import Transaction

_Message = chaincode_shim_pb2.ChaincodeMessage
_log = logging.getLogger(__name__)


class PeerStream:
    """Serves one Connect call; `write` sends one message to the peer."""

    def __init__(
        self,
        package_id: str,
        chaincode: Chaincode,
        write: Callable[[chaincode_shim_pb2.ChaincodeMessage], Awaitable[None]],
    ) -> None:
        self._package_id = package_id
        self._chaincode = chaincode
        self._write = write
        self._ready = False
        self._stopping = asyncio.Event()
        self._grace_seconds = 0.0
        # gRPC refuses a second write while one is under way, so one task writes for all transactions.
        self._outgoing: asyncio.Queue[chaincode_shim_pb2.ChaincodeMessage] = asyncio.Queue()
        self._running: dict[tuple[str, str], asyncio.Task[chaincode_shim_pb2.ChaincodeMessage]] = {}
        self._waiting: dict[tuple[str, str], asyncio.Future[chaincode_shim_pb2.ChaincodeMessage]] = {}

    async def serve(self, messages: AsyncIterable[chaincode_shim_pb2.ChaincodeMessage]) -> None:
        """Register, then answer until the peer ends the stream or `stop`; what still runs then is cancelled.

        Raises StreamClosedError when the peer can no longer be written to.
        """
        name = chaincode_pb2.ChaincodeID(name=self._package_id)
        self._send(_Message(type=_Message.REGISTER, payload=name.SerializeToString()))
        writer = asyncio.create_task(self._write_all())
        reader = asyncio.create_task(self._read_all(messages))
        stop = asyncio.create_task(self._stop())
        try:
            done, _ = await asyncio.wait([reader, writer, stop], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            await _cancel(reader, writer, stop, *self._running.values())
            _log.info("peer left", extra={"package_id": self._package_id})

    def stop(self, grace_seconds: float) -> None:
        """End the stream once no transaction is running and every answer is written, or after `grace_seconds`."""
        self._grace_seconds = grace_seconds
        self._stopping.set()

    async def ask(self, message: chaincode_shim_pb2.ChaincodeMessage) -> bytes:
        """Send one request and give the answer's payload; raises StateError with Fabric's text.

        No deadline of its own: the end of the stream cancels the transaction, the server's keepalive ends the
        stream of a dead peer.
        """
        key = (message.channel_id, message.txid)
        if key in self._waiting:
            # The peer would drop the second request silently and both would wait for ever.
            raise StateError("another request of this transaction is still unanswered")
        answer: asyncio.Future[chaincode_shim_pb2.ChaincodeMessage] = asyncio.get_running_loop().create_future()
        self._waiting[key] = answer
        try:
            self._send(message)
            reply = await answer
        finally:
            del self._waiting[key]
        if reply.type == _Message.ERROR:
            raise StateError(reply.payload.decode(errors="replace"))
        return reply.payload

    async def _stop(self) -> None:
        await self._stopping.wait()
        try:
            async with asyncio.timeout(self._grace_seconds):
                while self._running:
                    await asyncio.wait(self._running.values())
                await self._outgoing.join()
        except TimeoutError:
            _log.warning("transactions are given up", extra={"transactions": len(self._running)})

    async def _read_all(self, messages: AsyncIterable[chaincode_shim_pb2.ChaincodeMessage]) -> None:
        async for message in messages:
            self._receive(message)

    async def _write_all(self) -> None:
        while True:
            message = await self._outgoing.get()
            try:
                await self._write(message)
            finally:
                self._outgoing.task_done()

    def _send(self, message: chaincode_shim_pb2.ChaincodeMessage) -> None:
        self._outgoing.put_nowait(message)

    def _receive(self, message: chaincode_shim_pb2.ChaincodeMessage) -> None:
        match message.type:
            case _Message.REGISTERED | _Message.KEEPALIVE:
                return
            case _Message.READY:
                self._ready = True
                _log.info("peer connected", extra={"package_id": self._package_id})
            case _Message.RESPONSE | _Message.ERROR:
                waiting = self._waiting.get((message.channel_id, message.txid))
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case _Message.TRANSACTION | _Message.INIT if self._ready:
                self._start(message)
            case _:
                text = f"[{message.txid}] Chaincode cannot handle message {message.type} in this state"
                self._send(_failure(message, text))

    def _start(self, message: chaincode_shim_pb2.ChaincodeMessage) -> None:
        key = (message.channel_id, message.txid)
        if key in self._running:
            _log.warning("transaction is already running", extra={"tx_id": message.txid})
            return
        task = asyncio.create_task(self._run(message))
        self._running[key] = task
        task.add_done_callback(partial(self._finish, message))

    async def _run(self, message: chaincode_shim_pb2.ChaincodeMessage) -> chaincode_shim_pb2.ChaincodeMessage:
        try:
            transaction = Transaction(message, self)
            response = await self._chaincode.invoke(transaction)
        except (StateError, ProposalError) as exc:
            return _failure(message, str(exc))
        return _completed(message, response, transaction.event)

    def _finish(
        self,
        message: chaincode_shim_pb2.ChaincodeMessage,
        task: asyncio.Task[chaincode_shim_pb2.ChaincodeMessage],
    ) -> None:
        """Answer also for a chaincode that failed: it ends its own transaction, not the stream all others share."""
        del self._running[message.channel_id, message.txid]
        if task.cancelled():
            return
        failure = task.exception()
        if failure is None:
            self._send(task.result())
            return
        _log.error("the chaincode failed", exc_info=failure, extra={"tx_id": message.txid})
        text = str(failure) if isinstance(failure, ShimError) else "internal error of the chaincode"
        self._send(_completed(message, Response(ERROR, text), None))


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[chaincode_shim_pb2.ChaincodeMessage]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _completed(
    message: chaincode_shim_pb2.ChaincodeMessage,
    response: Response,
    event: chaincode_event_pb2.ChaincodeEvent | None,
) -> chaincode_shim_pb2.ChaincodeMessage:
    body = proposal_response_pb2.Response(status=response.status, message=response.message, payload=response.payload)
    return _Message(
        type=_Message.COMPLETED,
        payload=body.SerializeToString(),
        txid=message.txid,
        channel_id=message.channel_id,
        chaincode_event=event,
    )


def _failure(message: chaincode_shim_pb2.ChaincodeMessage, text: str) -> chaincode_shim_pb2.ChaincodeMessage:
    return _Message(type=_Message.ERROR, payload=text.encode(), txid=message.txid, channel_id=message.channel_id)
