"""Inputs that once raised something untyped, or cost time or memory out of proportion."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.common import common_pb2, configtx_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2
from unit.fabric.authority import authority
from unit.fabric.channel import CHANNEL, MEMBERS, NOW, PROFILE, admins, build, load, sent

from fabric_admin import block_verification, certificates, channelconfig, configtx, der, package, policy
from fabric_admin.channelconfig import find_hazards
from fabric_admin.errors import BlockError, ConfigError, IdentityError, PackageError, PolicySyntaxError
from fabric_admin.msp import MSP
from fabric_admin.policy import SignaturePolicy
from fabric_admin.policy_rule import organization_rule

SECONDS = 10
"""Far above what each case takes on a busy machine, far below what it took."""


def _timed(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("OutOf(" + "1+" * 2000 + "1, 'A.admin', 'B.admin')", id="sum"),
        pytest.param("OR(a" + ".a" * 2000 + ", 'A.admin')", id="members"),
        pytest.param("OutOf(" + "999999999999999999*" * 300 + "1, 'A.admin', 'B.admin')", id="product"),
        pytest.param("OR('A.admin', " * 3000 + "'A.admin'" + ")" * 3000, id="gates"),
        pytest.param("OutOf(\u0663, 'A.admin', 'B.admin', 'C.admin')", id="arabic-digit"),
    ],
)
def test_policy_texts_out_of_proportion_are_refused(text: str) -> None:
    with pytest.raises(PolicySyntaxError):
        policy.parse(text)


def test_a_rule_is_found_in_time_that_grows_with_the_policy_not_its_square() -> None:
    names = ", ".join(f"'{msp_id}.admin'" for msp_id in MEMBERS * 1000)
    compiled = SignaturePolicy(policy.parse(f"OR({names})"))

    assert _timed(lambda: organization_rule(compiled, frozenset(MEMBERS))) < SECONDS


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"-----BEGIN A-----\n" * 50_000, id="no-end"),
        pytest.param(b"-----BEGIN A-----\n" * 50_000 + b"-----END A-----\n", id="one-end"),
        pytest.param(b"-----BEGIN A-----\n" + b"a: b\n" * 100_000, id="headers"),
    ],
)
def test_text_that_looks_like_pem_is_given_up_soon(data: bytes) -> None:
    found: list[bytes | None] = []

    assert _timed(lambda: found.append(certificates.decode_pem(data))) < SECONDS
    assert found == [None]


def test_a_block_after_one_that_is_none_is_found() -> None:
    pem = authority("Org1MSP").pem

    assert certificates.decode_pem(b"-----BEGIN X-----\n!\n-----END X-----\n" + pem) == certificates.decode_pem(pem)
    assert certificates.decode_pem(b"text\n" + pem) is not None
    assert certificates.decode_pem(pem.replace(b"\n", b"\r\n")) == certificates.decode_pem(pem)


def _with_extension(value: bytes, oid: str = "2.5.29.17") -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    start, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, end)
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
    return builder.add_extension(extension, critical=True).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("value", "oid"),
    [
        pytest.param(bytes.fromhex("3004a3023000"), "2.5.29.17", id="x400-name"),
        pytest.param(bytes.fromhex("300487021234"), "2.5.29.17", id="address-of-two-bytes"),
        pytest.param(b"\xff" * 1000, "2.5.29.19", id="no-der"),
        pytest.param(bytes.fromhex("30060101ff020101") * 2, "2.5.29.19", id="trailing"),
    ],
)
def test_certificates_with_absurd_extensions_are_refused(value: bytes, oid: str) -> None:
    with pytest.raises(IdentityError):
        certificates.parse_certificate(_with_extension(value, oid))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x1f\x81\x01\x00", id="long-tag"),
        pytest.param(b"\x30", id="no-length"),
        pytest.param(b"\x30\x84\xff", id="cut-length"),
        pytest.param(b"\x30\x05\x00", id="cut-content"),
        pytest.param(b"\x30\xff" + b"\xff" * 200, id="endless-length"),
    ],
)
def test_der_that_does_not_add_up_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="asn1"):
        der.elements(data)


def test_an_msp_with_a_flood_of_authorities_is_refused() -> None:
    definition = msp_config_pb2.FabricMSPConfig()
    definition.ParseFromString(authority("Org1MSP").config().config)
    definition.root_certs.extend([authority("Org1MSP").pem] * 600)

    with pytest.raises(IdentityError, match="more than 500"):
        MSP.from_config(msp_config_pb2.MSPConfig(type=0, config=definition.SerializeToString()))


def _archive(*entries: tuple[str, bytes, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(_archive(("p", b"x", b"5 a=\n" * 200_000), ("f", b"0", b"")), id="pax-records"),
        pytest.param(_archive(*[("p", b"x", b"")] * 30_000), id="pax-headers"),
        pytest.param(gzip.compress(b"") * 50_000, id="gzip-members"),
        pytest.param(gzip.compress(bytes(300 << 20), 1), id="zeros"),
    ],
)
def test_archives_out_of_proportion_cost_little(code: bytes) -> None:
    def unpack() -> None:
        try:
            package.unpack_code(package.ParsedPackage("label", "ccaas", "", code, "label:0"))
        except PackageError:
            return

    assert _timed(unpack) < SECONDS


def test_metadata_that_would_fill_the_memory_is_refused_unread() -> None:
    bomb = _archive(("metadata.json", b"0", b"[" + b"[]," * 1_000_000 + b"[]]"))

    with pytest.raises(PackageError, match="it is larger than"):
        package.parse(bomb)


@pytest.mark.parametrize("size", [b"-7", b"+7", b"0o7", b"1_0"])
def test_sizes_that_only_python_understands_are_refused(size: bytes) -> None:
    header = bytearray(tarfile.TarInfo("metadata.json").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = size.ljust(11, b"\0") + b"\0"
    header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 8 * 32)

    with pytest.raises(PackageError, match="invalid tar header"):
        package.parse(gzip.compress(bytes(header) + bytes(1024)))


def _levels(first: str, form: str, depth: int = 11) -> str:
    lines = [first]
    lines += [form.format(n=n, parts=",".join([f"*a{n - 1}"] * 10)) for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(_levels("a0: &a0 {x: 1}", "a{n}: &a{n} {{<<: [{parts}]}}"), id="merges"),
        pytest.param(_levels("a0: &a0 [x]", "a{n}: &a{n} [{parts}]") + "\nOrganizations: *a10", id="aliases"),
        pytest.param("a: 1" + ":1" * 100_000, id="sexagesimal"),
        pytest.param("a: !!int ''", id="empty-number"),
        pytest.param("a: !!bool maybe", id="no-flag"),
        pytest.param("a: !!timestamp never", id="no-time"),
        pytest.param("a: !!int [1]", id="list-as-number"),
        pytest.param("[" * 10_000, id="deep"),
        pytest.param("Orderer: {MaxChannels: 0x" + "f" * 60 + "}", id="wide-number"),
        pytest.param("Orderer: {MaxChannels: '0x" + "f" * 9000 + "'}", id="very-wide-number"),
        pytest.param("? " + "k" * 1000 + "\n: 1\nOrganizations: [" + "x," * 5000 + "]", id="problems"),
        pytest.param("a: &a {" + "".join(f"k{n}: v," for n in range(5000)) + "}\nOrganizations: ["
                     + "*a," * 5000 + "]", id="wide-aliases"),
    ],
)  # fmt: skip
def test_profiles_out_of_proportion_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "configtx.yaml"
    path.write_text(text, encoding="utf-8")

    def read() -> None:
        with pytest.raises(ConfigError) as refused:
            configtx.read_profile(path, "Trade", CHANNEL)
        assert len(str(refused.value)) < 100_000

    assert _timed(read) < SECONDS


def test_a_block_without_signatures_is_refused_and_the_config_stays_as_it_was() -> None:
    config = load(build())
    before = config.config.SerializeToString(deterministic=True)

    with pytest.raises(BlockError, match="none in its metadata"):
        block_verification.signatures(common_pb2.Block(), config)

    assert config.config.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("rule", [7, -1])
def test_hazards_are_found_beside_a_rule_nobody_knows(rule: int) -> None:
    updated = build()
    unknown = policies_pb2.ImplicitMetaPolicy(sub_policy="Admins")
    unknown.rule = rule  # type: ignore[assignment]
    updated.channel_group.policies["Admins"].policy.value = unknown.SerializeToString()

    assert isinstance(find_hazards(build(), updated), tuple)


def test_a_channel_of_many_organizations_is_changed_in_bounded_time() -> None:
    many = [
        msp_config_pb2.MSPConfig(type=0, config=authority("Org1MSP").config().config.replace(b"Org1MSP", b"%07d" % n))
        for n in range(200)
    ]
    config = build(PROFILE)
    large = configtx_pb2.Config()
    large.CopyFrom(config)

    def change() -> None:
        for number, msp in enumerate(many):
            group = large.channel_group.groups["Application"].groups[f"N{number}"]
            group.CopyFrom(config.channel_group.groups["Application"].groups["Org1"])
            group.values["MSP"].value = msp.SerializeToString()
            peers = policy.parse(f"OR('{number:07}.peer')").SerializeToString()
            group.policies["Endorsement"].policy.value = peers
        channel = load(large)
        updated = channelconfig.edits.set_batch(large, max_message_count=9)
        update = channelconfig.compute_update(CHANNEL, large, updated)
        result = channel.propose(sent(update, admins("OrdererMSP", *MEMBERS)), now=NOW)
        assert result.sequence == large.sequence + 1
        assert channelconfig.diff(large, result)
        assert len(channel.organization_rule().minimal(frozenset(channel.members)) or ()) == 102

    assert _timed(change) < SECONDS
