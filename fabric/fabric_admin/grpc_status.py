"""The error details a Gateway sends in the trailer `grpc-status-details-bin`: `google.rpc.Status`, read here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fabric_protos.gateway import gateway_pb2
from google.protobuf import any_pb2, descriptor_pb2, message_factory
from google.protobuf.message import DecodeError, Message

from fabric_admin.errors import ErrorDetail

if TYPE_CHECKING:
    from collections.abc import Iterable

DETAILS_TRAILER: Final = "grpc-status-details-bin"
_REPEATED = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
_OPTIONAL = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL


def _build_status_class() -> type[Message]:
    """Build `google.rpc.Status` (code, message, details), whose generated class would be a dependency of its own."""
    file = descriptor_pb2.FileDescriptorProto(
        name="google/rpc/status.proto", package="google.rpc", syntax="proto3", dependency=["google/protobuf/any.proto"]
    )
    status = file.message_type.add(name="Status")
    kinds = descriptor_pb2.FieldDescriptorProto
    status.field.add(name="code", number=1, type=kinds.TYPE_INT32, label=_OPTIONAL)
    status.field.add(name="message", number=2, type=kinds.TYPE_STRING, label=_OPTIONAL)
    status.field.add(
        name="details", number=3, type=kinds.TYPE_MESSAGE, label=_REPEATED, type_name=".google.protobuf.Any"
    )
    # A pool of its own: another library may load the generated class into the default one.
    files = [descriptor_pb2.FileDescriptorProto.FromString(any_pb2.DESCRIPTOR.serialized_pb), file]
    return message_factory.GetMessages(files)["google.rpc.Status"]


_Status = _build_status_class()


def decode_details(trailers: Iterable[tuple[str, str | bytes]]) -> tuple[ErrorDetail, ...]:
    """Read the `gateway.ErrorDetail`s among a call's trailers; what is not one, or not readable, is left out."""
    details: list[ErrorDetail] = []
    for key, value in trailers:
        if key == DETAILS_TRAILER and isinstance(value, bytes):
            details.extend(_decode_status(value))
    return tuple(details)


def _decode_status(value: bytes) -> Iterable[ErrorDetail]:
    status = _Status()
    try:
        status.ParseFromString(value)
    except DecodeError:
        return
    for packed in getattr(status, "details"):  # noqa: B009 - the class has no stub to name the field
        if packed.type_url.endswith("/gateway.ErrorDetail"):
            detail = _decode_detail(packed.value)
            if detail is not None:
                yield detail


def _decode_detail(value: bytes) -> ErrorDetail | None:
    try:
        detail = gateway_pb2.ErrorDetail.FromString(value)
    except DecodeError:
        return None
    return ErrorDetail(address=detail.address, msp_id=detail.msp_id, message=detail.message)
