from __future__ import annotations

from fabric_protos.common import common_pb2
from hypothesis import given
from hypothesis import strategies as st

from fabric_admin import blocks


@given(st.lists(st.binary(max_size=200), max_size=5), st.binary(max_size=5))
def test_whatever_a_block_holds_it_can_be_read(data: list[bytes], flags: bytes) -> None:
    block = common_pb2.Block(data=common_pb2.BlockData(data=data))
    block.metadata.metadata.extend([b"", b"", flags])

    views = blocks.transactions(block)

    assert [view.index for view in views] == list(range(len(data)))
    assert [view.validation_code for view in views] == [
        blocks.code_name(flags[index]) if index < len(flags) else "NOT_VALIDATED" for index in range(len(data))
    ]


@given(st.integers(0, 2**64 - 1), st.binary(max_size=32), st.binary(max_size=32))
def test_header_bytes_are_der(number: int, previous: bytes, data: bytes) -> None:
    header = common_pb2.BlockHeader(number=number, previous_hash=previous, data_hash=data)

    encoded = blocks.header_bytes(header)

    assert encoded[0] == 0x30
    assert encoded[1] == len(encoded) - 2
    assert encoded[2] == 0x02
    length = encoded[3]
    assert int.from_bytes(encoded[4 : 4 + length], "big", signed=True) == number
    assert length == 1 or encoded[4] != 0 or encoded[5] >= 0x80
    rest = encoded[4 + length :]
    assert rest == b"\x04" + bytes([len(previous)]) + previous + b"\x04" + bytes([len(data)]) + data


def test_a_block_from_an_orderer_has_no_verdicts() -> None:
    block = common_pb2.Block(data=common_pb2.BlockData(data=[b""]))

    (view,) = blocks.transactions(block)

    assert (view.validation_code, view.valid) == ("NOT_VALIDATED", False)
