"""The Gateway's error details, as the client library reads them."""

from __future__ import annotations

import grpc
from fabric_protos.gateway import gateway_pb2
from hypothesis import given
from hypothesis import strategies as st

from fabric_admin.grpc_status import DETAILS_TRAILER, decode_details
from fabric_devnet.embedded.gateway.refusal import GatewayRefused, encode_status

DETAILS = st.builds(gateway_pb2.ErrorDetail, address=st.text(), msp_id=st.text(), message=st.text(max_size=300))


@given(st.text(max_size=300), st.lists(DETAILS, max_size=4), st.sampled_from(list(grpc.StatusCode)))
def test_what_the_service_encodes_the_client_decodes(
    text: str, details: list[gateway_pb2.ErrorDetail], code: grpc.StatusCode
) -> None:
    encoded = encode_status(GatewayRefused(code, text, tuple(details)))

    decoded = decode_details([(DETAILS_TRAILER, encoded)])

    assert [(each.address, each.msp_id, each.message) for each in decoded] == [
        (each.address, each.msp_id, each.message) for each in details
    ]
