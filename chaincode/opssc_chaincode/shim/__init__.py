"""Chaincode as a service for asyncio: what a chaincode sees of the peer that called it.

Owns the port (`Stub`), the answer (`Response`) and the keys; importing it needs no gRPC.
`opssc_chaincode.shim.server` owns the gRPC server and needs the extra `[server]`.
"""

from opssc_chaincode.shim.errors import (
    InvalidKeyError,
    ProposalError,
    ServerError,
    ShimError,
    StateError,
    StreamClosedError,
)
from opssc_chaincode.shim.keys import composite_key, composite_range, split_composite_key
from opssc_chaincode.shim.stub import Chaincode, KeyModification, KeyValue, Page, Response, Stub

__all__ = [
    "Chaincode",
    "InvalidKeyError",
    "KeyModification",
    "KeyValue",
    "Page",
    "ProposalError",
    "Response",
    "ServerError",
    "ShimError",
    "StateError",
    "StreamClosedError",
    "Stub",
    "composite_key",
    "composite_range",
    "split_composite_key",
]
