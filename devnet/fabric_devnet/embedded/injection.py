"""Makes calls misbehave as the network's fault table says: at a node's gRPC server and between nodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc

from fabric_devnet.embedded.errors import NodeUnreachable
from fabric_devnet.errors import NotSupported
from fabric_devnet.faults import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fabric_devnet.faults import FaultTable

    Handler = grpc.RpcMethodHandler[Any, Any]


async def suffer(faults: FaultTable, method: str, node: str) -> None:
    """Apply the fault meant for a call between nodes, if any; raises NodeUnreachable or NotSupported."""
    fault = faults.take(method, node)
    if fault is None:
        return
    if fault.kind is FaultKind.REFUSE:
        raise NodeUnreachable(f"rpc error: code = Unavailable desc = {_refusal(method, node)}")
    await _wait(fault, method)


class FaultInterceptor(grpc.aio.ServerInterceptor):
    """Applies faults to the calls clients make to one node."""

    def __init__(self, faults: FaultTable, node: str) -> None:
        self._faults = faults
        self._node = node

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Pass a call on, late, or refuse it."""
        method = handler_call_details.method
        handler = await continuation(handler_call_details)
        fault = self._faults.take(method, self._node)
        if fault is None or handler is None:
            return handler
        if fault.kind is FaultKind.REFUSE:
            return _refusing(handler, _refusal(method, self._node))
        await _wait(fault, method)
        return handler


async def _wait(fault: Fault, method: str) -> None:
    match fault.kind:
        case FaultKind.DELAY:
            await asyncio.sleep(fault.delay_seconds)
        case FaultKind.DROP:
            # Nothing ever comes back: the caller's own deadline ends it.
            await asyncio.Event().wait()
        case _:
            raise NotSupported(f"fault {fault.kind} of {method} is not supported by the embedded network")


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
