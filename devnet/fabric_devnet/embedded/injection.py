"""Makes calls misbehave as the network's fault table says: at a node's gRPC server and between nodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from fabric_devnet.embedded.errors import NodeUnreachable
from fabric_devnet.faults import Fault, FaultKind, FaultTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = grpc.RpcMethodHandler[Any, Any]

T = TypeVar("T")


class EmbeddedFaults(FaultTable):
    """The faults of an embedded network, and the calls that wait to be overtaken."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        super().__init__()
        self._held: list[tuple[str, str, asyncio.Event]] = []

    @property
    def holding(self) -> int:
        """How many calls wait to be overtaken."""
        return len(self._held)

    def clear(self) -> None:
        """Lift every fault; calls that are held go on."""
        super().clear()
        held, self._held = self._held, []
        for _, _, overtaken in held:
            overtaken.set()

    async def wait_for_next(self, method: str, node: str) -> None:
        """Hold a call until a later one of the same method on the same node is over, or the faults are lifted."""
        place = (method, node, asyncio.Event())
        self._held.append(place)
        try:
            await place[2].wait()
        finally:
            if place in self._held:
                self._held.remove(place)

    def pass_by(self, method: str, node: str) -> None:
        """Let those go on that waited for this call."""
        for held_method, held_node, overtaken in self._held:
            if (held_method, held_node) == (method, node):
                overtaken.set()


async def call_between_nodes(faults: EmbeddedFaults, method: str, node: str, call: Callable[[], Awaitable[T]]) -> T:
    """Make a call from one node to another, with the fault meant for it; raises NodeUnreachable."""
    fault = faults.take(method, node)
    if fault is None:
        try:
            return await call()
        finally:
            faults.pass_by(method, node)
    if fault.kind is FaultKind.REFUSE:
        raise NodeUnreachable(f"rpc error: code = Unavailable desc = {_refusal(method, node)}")
    if fault.kind is FaultKind.DUPLICATE:
        await call()
    await _hold(fault, faults, method, node)
    return await call()


class FaultInterceptor(grpc.aio.ServerInterceptor):
    """Applies faults to the calls clients make to one node; only unary calls can be duplicated or overtake."""

    def __init__(self, faults: EmbeddedFaults, node: str) -> None:
        self._faults = faults
        self._node = node
        self._overtaking: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Pass a call on, late or twice, or refuse it."""
        method = handler_call_details.method
        handler = await continuation(handler_call_details)
        fault = self._faults.take(method, self._node)
        if handler is None:
            return handler
        if fault is None:
            return self._known_overtaking(method, handler)
        if fault.kind is FaultKind.REFUSE:
            return _refusing(handler, _refusal(method, self._node))
        if fault.kind is FaultKind.DUPLICATE and handler.unary_unary is not None:
            return _repeating(handler)
        await _hold(fault, self._faults, method, self._node)
        return handler

    def _known_overtaking(self, method: str, handler: Handler) -> Handler:
        known = self._overtaking.get(method)
        if known is None:
            known = _overtaking(handler, lambda: self._faults.pass_by(method, self._node))
            self._overtaking[method] = known
        return known


async def _hold(fault: Fault, faults: EmbeddedFaults, method: str, node: str) -> None:
    if fault.kind is FaultKind.DELAY:
        await asyncio.sleep(fault.delay_seconds)
    elif fault.kind is FaultKind.REORDER:
        await faults.wait_for_next(method, node)
    elif fault.kind is FaultKind.DROP:
        # Nothing ever comes back: the caller's own deadline ends it.
        await asyncio.Event().wait()


def _refusal(method: str, node: str) -> str:
    return f"{method} on {node} refused by an injected fault"


def _refusing(handler: Handler, text: str) -> Handler:
    async def refuse(_request: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(grpc.StatusCode.UNAVAILABLE, text)

    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    build: Any = kinds[bool(handler.request_streaming), bool(handler.response_streaming)]
    refusing: Handler = build(refuse, handler.request_deserializer, handler.response_serializer)
    return refusing


def _overtaking(handler: Handler, done: Callable[[], None]) -> Handler:
    """Tell when a unary call is over; streams are left alone."""
    if handler.unary_unary is None:
        return handler
    once: Any = handler.unary_unary

    async def answer(request: object, context: grpc.aio.ServicerContext[Any, Any]) -> object:
        try:
            return await once(request, context)
        finally:
            done()

    build: Any = grpc.unary_unary_rpc_method_handler
    overtaking: Handler = build(answer, handler.request_deserializer, handler.response_serializer)
    return overtaking


def _repeating(handler: Handler) -> Handler:
    once: Any = handler.unary_unary

    async def twice(request: object, context: grpc.aio.ServicerContext[Any, Any]) -> object:
        await once(request, context)
        return await once(request, context)

    build: Any = grpc.unary_unary_rpc_method_handler
    repeating: Handler = build(twice, handler.request_deserializer, handler.response_serializer)
    return repeating
