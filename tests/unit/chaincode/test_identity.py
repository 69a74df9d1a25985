"""Who calls: what a creator's certificate says, and that any other bytes are refused."""

import base64
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.chaincode.identities import certificate, creator, serialized

from opssc_chaincode.errors import Code, RefusedError
from opssc_chaincode.identity import parse_creator
from opssc_chaincode.model import Role

EMPTY_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def test_a_creator_is_an_organization_and_the_subject_of_a_certificate() -> None:
    caller = parse_creator(creator("Org1MSP", "admin", "sales"))

    assert (caller.msp_id, caller.units, caller.attribute) == ("Org1MSP", frozenset({"admin", "sales"}), "")
    assert "CN=somebody" in caller.subject


@pytest.mark.parametrize(
    ("units", "attribute", "votes_as_admin", "votes_as_client", "reports_as_admin", "reports_as_client"),
    [
        pytest.param(("admin",), None, True, True, True, True, id="admin"),
        pytest.param(("client",), None, False, True, False, True, id="client"),
        pytest.param(("peer",), None, False, False, False, False, id="peer"),
        pytest.param((), "voter", True, True, False, False, id="voter"),
        pytest.param((), "agent", False, False, True, True, id="agent"),
        pytest.param(("client",), "voter", True, True, False, True, id="client and voter"),
        pytest.param((), "admin", False, False, False, False, id="unknown attribute"),
    ],
)
def test_roles(
    units: tuple[str, ...],
    attribute: str | None,
    *,
    votes_as_admin: bool,
    votes_as_client: bool,
    reports_as_admin: bool,
    reports_as_client: bool,
) -> None:
    caller = parse_creator(creator("Org1MSP", *units, role=attribute))

    assert caller.may_vote(Role.ADMIN) is votes_as_admin
    assert caller.may_vote(Role.CLIENT) is votes_as_client
    assert caller.may_report(Role.ADMIN) is reports_as_admin
    assert caller.may_report(Role.CLIENT) is reports_as_client


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\x00", id="no text"),
        pytest.param(b"[" * 100_000, id="open brackets"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"attrs":["opssc.role","voter"]}', id="attributes as list"),
        pytest.param(b'{"attrs":{"opssc.role":["voter"]}}', id="role as list"),
        pytest.param(b'{"opssc.role":"voter"}', id="role outside"),
        pytest.param(json.dumps({"attrs": {"opssc.role": "Voter"}}).encode(), id="another spelling"),
    ],
)
def test_odd_attributes_give_no_role(attributes: bytes) -> None:
    caller = parse_creator(serialized("Org1MSP", certificate((), attributes)))

    assert not caller.may_vote(Role.ADMIN)
    assert not caller.may_report(Role.CLIENT)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xff", id="no message"),
        pytest.param(serialized("Org1MSP", b""), id="no certificate"),
        pytest.param(serialized("Org1MSP", EMPTY_CERTIFICATE), id="no certificate inside"),
        pytest.param(serialized("", certificate(("admin",))), id="no MSP ID"),
        pytest.param(serialized("Org1/MSP", certificate(("admin",))), id="a slash in the MSP ID"),
        pytest.param(serialized("Org1MSP\x00", certificate(("admin",))), id="NUL in the MSP ID"),
    ],
)
def test_what_is_no_identity_is_forbidden(data: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_creator(data)

    assert refused.value.code is Code.FORBIDDEN


def outcome(data: bytes) -> str:
    try:
        parse_creator(data).subject.encode()
    except RefusedError as refused:
        return refused.code
    return "a caller"


def damaged(pem: bytes, position: int, value: int) -> bytes:
    """The certificate with one byte of its DER encoding changed."""
    der = bytearray(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
    der[position % len(der)] = value
    return pem_of(bytes(der))


def pem_of(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


@given(st.binary(max_size=200))
def test_any_bytes_are_an_identity_or_forbidden(data: bytes) -> None:
    assert outcome(data) in {Code.FORBIDDEN, "a caller"}


@settings(max_examples=1000)
@given(st.integers(0, 1000), st.integers(0, 255))
def test_damaged_certificates_are_an_identity_or_forbidden(position: int, value: int) -> None:
    pem = certificate(("admin",), b'{"attrs":{"opssc.role":"voter"}}')

    assert outcome(serialized("Org1MSP", damaged(pem, position, value))) in {Code.FORBIDDEN, "a caller"}


def test_a_unit_that_is_no_text_is_forbidden() -> None:
    pem = certificate(("admin",))
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    text, bits = b"\x0c\x05admin", b"\x03\x05admin"
    assert text in der

    assert outcome(serialized("Org1MSP", pem_of(der.replace(text, bits)))) == Code.FORBIDDEN
