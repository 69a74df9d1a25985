"""What is hashed and signed of a block; ``blocks`` offers the same names."""

from __future__ import annotations

import hashlib

from fabric_protos.common import common_pb2

from fabric_admin.der import encode


def header_bytes(header: common_pb2.BlockHeader) -> bytes:
    """Return the ASN.1 DER bytes that are hashed and signed (``fabric: protoutil/blockutils.go``)."""
    number = header.number.to_bytes(header.number.bit_length() // 8 + 1, "big")
    content = b"".join((encode(0x02, number), encode(0x04, header.previous_hash), encode(0x04, header.data_hash)))
    return encode(0x30, content)


def header_hash(header: common_pb2.BlockHeader) -> bytes:
    """Return the block's hash, which the next block names as ``previous_hash``: 32 bytes."""
    return hashlib.sha256(header_bytes(header)).digest()


def data_hash(data: common_pb2.BlockData) -> bytes:
    """Return the hash over all envelopes that the header names as ``data_hash``: 32 bytes."""
    return hashlib.sha256(b"".join(data.data)).digest()
