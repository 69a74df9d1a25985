"""Certificates of chaincode servers: trusted through one CA, renewed in time, replaced when they do not fit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509

from opssc_operator.reconcile.servercertificates import (
    AUTHORITY_KEY,
    CERTIFICATE_KEY,
    LIFETIME,
    PRIVATE_KEY,
    RENEWAL,
    Authority,
    fingerprint,
    renewal_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("asset-0123456789ab", "asset-0123456789ab.org1.svc")


def test_a_certificate_is_for_every_name_and_below_the_ca() -> None:
    authority = Authority.create("org1", NOW)

    data = authority.issue(NAMES, NOW)

    certificate = x509.load_pem_x509_certificate(data[CERTIFICATE_KEY])
    certificate.verify_directly_issued_by(authority.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == NAMES
    assert renewal_of(authority, data, NAMES) == NOW + LIFETIME - RENEWAL
    assert data[AUTHORITY_KEY] == authority.to_data()[AUTHORITY_KEY]


def test_an_address_is_one_in_the_certificate() -> None:
    authority, names = Authority.create("org1", NOW), (*NAMES, "10.1.2.3")

    data = authority.issue(names, NOW)

    certificate = x509.load_pem_x509_certificate(data[CERTIFICATE_KEY])
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert found.get_values_for_type(x509.IPAddress) == [ip_address("10.1.2.3")]
    assert renewal_of(authority, data, names) is not None
    assert renewal_of(authority, data, NAMES) is None


def test_a_ca_is_the_same_after_it_was_stored() -> None:
    authority = Authority.create("org1", NOW)

    read = Authority.read(authority.to_data())

    assert read is not None
    assert read.certificate == authority.certificate
    assert renewal_of(read, authority.issue(NAMES, NOW), NAMES) is not None


def test_no_certificate_outlives_its_ca() -> None:
    authority = Authority.create("org1", NOW)
    late = authority.certificate.not_valid_after_utc - timedelta(days=10)

    certificate = x509.load_pem_x509_certificate(authority.issue(NAMES, late)[CERTIFICATE_KEY])

    assert certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc


AUTHORITY = Authority.create("org1", NOW)
STORED = AUTHORITY.issue(NAMES, NOW)
OTHER = Authority.create("org1", NOW).issue(NAMES, NOW)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="nothing"),
        pytest.param({**STORED, CERTIFICATE_KEY: b"nonsense"}, id="no-certificate"),
        pytest.param({**STORED, PRIVATE_KEY: OTHER[PRIVATE_KEY]}, id="another-key"),
        pytest.param(OTHER, id="another-ca"),
        pytest.param({**OTHER, AUTHORITY_KEY: STORED[AUTHORITY_KEY]}, id="another-ca-that-is-not-named"),
        pytest.param(AUTHORITY.issue(("other",), NOW), id="other-names"),
    ],
)
def test_a_certificate_that_does_not_fit_is_none(data: dict[str, bytes]) -> None:
    assert renewal_of(AUTHORITY, data, NAMES) is None


def test_each_certificate_has_a_name_of_its_own() -> None:
    assert fingerprint(STORED) == fingerprint(dict(STORED))
    assert fingerprint(STORED) != fingerprint(AUTHORITY.issue(NAMES, NOW))
