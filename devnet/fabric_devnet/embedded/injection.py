"""Makes calls misbehave as the network's fault table says: at a node's gRPC server and between nodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc

from fabric_devnet.embedded.errors import NodeUnreachable
from fabric_devnet.errors import NotSupported
from fabric_devnet.faults import Fault, FaultKind, FaultTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = grpc.RpcMethodHandler[Any, Any]

T = TypeVar("T")
SUPPORTED: Final = frozenset({FaultKind.REFUSE, FaultKind.DELAY, FaultKind.DROP, FaultKind.DUPLICATE})


class EmbeddedFaults(FaultTable):
    """The faults of an embedded network; raises NotSupported for a kind it cannot inject."""

    __slots__ = ()

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        if fault.kind not in SUPPORTED:
            raise NotSupported(f"faults of kind {fault.kind} are not supported by the embedded network")
        super().add(fault)


async def call_between_nodes(faults: FaultTable, method: str, node: str, call: Callable[[], Awaitable[T]]) -> T:
    """Make a call from one node to another, with the fault meant for it; raises NodeUnreachable."""
    fault = faults.take(method, node)
    if fault is None:
        return await call()
    if fault.kind is FaultKind.REFUSE:
        raise NodeUnreachable(f"rpc error: code = Unavailable desc = {_refusal(method, node)}")
    if fault.kind is FaultKind.DUPLICATE:
        await call()
    await _hold(fault)
    return await call()


class FaultInterceptor(grpc.aio.ServerInterceptor):
    """Applies faults to the calls clients make to one node; only unary calls can be duplicated."""

    def __init__(self, faults: FaultTable, node: str) -> None:
        self._faults = faults
        self._node = node

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Pass a call on, late or twice, or refuse it."""
        method = handler_call_details.method
        handler = await continuation(handler_call_details)
        fault = self._faults.take(method, self._node)
        if fault is None or handler is None:
            return handler
        if fault.kind is FaultKind.REFUSE:
            return _refusing(handler, _refusal(method, self._node))
        if fault.kind is FaultKind.DUPLICATE and handler.unary_unary is not None:
            return _repeating(handler)
        await _hold(fault)
        return handler


async def _hold(fault: Fault) -> None:
    if fault.kind is FaultKind.DELAY:
        await asyncio.sleep(fault.delay_seconds)
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


def _repeating(handler: Handler) -> Handler:
    once: Any = handler.unary_unary

    async def twice(request: object, context: grpc.aio.ServicerContext[Any, Any]) -> object:
        await once(request, context)
        return await once(request, context)

    build: Any = grpc.unary_unary_rpc_method_handler
    repeating: Handler = build(twice, handler.request_deserializer, handler.response_serializer)
    return repeating
