"""How Gateway calls fail: a code, a message, and what each node asked said.

Source: fabric internal/pkg/gateway/apiutils.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import grpc
from fabric_protos.gateway import gateway_pb2
from google.protobuf import any_pb2

from fabric_devnet.embedded.errors import Refusal

if TYPE_CHECKING:
    from typing import Any

    from fabric_protos.peer import proposal_response_pb2

    from fabric_devnet.embedded.membership import EndorsingPeer
    from fabric_devnet.plan import OrdererNode

DETAILS_TRAILER: Final = "grpc-status-details-bin"
_DETAIL_TYPE: Final = "type.googleapis.com/gateway.ErrorDetail"
_SUCCESS: Final = range(200, 400)
_ERROR: Final = 500


class GatewayRefused(Refusal):
    """A Gateway call that ends with an error."""

    def __init__(self, code: grpc.StatusCode, text: str, details: tuple[gateway_pb2.ErrorDetail, ...] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.details = details


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one endorser was of no use; `retry` tells whether another one may be."""

    code: grpc.StatusCode
    message: str
    retry: bool


def classify(response: proposal_response_pb2.ProposalResponse) -> Failure | None:
    """Judge an endorser's answer: None when it is a success."""
    status, message = response.response.status, response.response.message
    if status in _SUCCESS:
        return None
    if status == _ERROR and not response.payload:
        return Failure(grpc.StatusCode.ABORTED, message, retry=True)
    return Failure(grpc.StatusCode.UNKNOWN, f"chaincode response {status}, {message}", retry=False)


def detail(node: EndorsingPeer | OrdererNode, message: str) -> gateway_pb2.ErrorDetail:
    """Describe what one node said."""
    return gateway_pb2.ErrorDetail(address=node.address, msp_id=node.msp_id, message=message)


async def abort(context: grpc.aio.ServicerContext[Any, Any], refused: GatewayRefused) -> NoReturn:
    """End a call with an error, its details in the trailer."""
    if refused.details:
        context.set_trailing_metadata(((DETAILS_TRAILER, encode_status(refused)),))
    await context.abort(refused.code, refused.text)


def encode_status(refused: GatewayRefused) -> bytes:
    """Encode the error as `google.rpc.Status` (code 1, message 2, details 3), which has no generated class here."""
    code: int = refused.code.value[0]
    encoded = b"\x08" + _varint(code) + _field(2, refused.text.encode())
    for each in refused.details:
        packed = any_pb2.Any(type_url=_DETAIL_TYPE, value=each.SerializeToString())
        encoded += _field(3, packed.SerializeToString())
    return encoded


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
