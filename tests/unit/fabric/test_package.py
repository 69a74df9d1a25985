from __future__ import annotations

import contextlib
import gzip
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric_admin import gzipstream, package, tarball
from fabric_admin.errors import PackageError

DIGEST = "sha256:802c336235cc1e7347e2da36c73fa2e4b6437cfc6f52872674d1e23f23bba63b"
CCAAS = package.build_ccaas("basic-1", "{{.peername}}-ccaas-basic:9999")
LABELS = st.from_regex(r"\A[a-zA-Z0-9][a-zA-Z0-9_.+-]{0,20}\Z")

NAMES = st.from_regex(r"\A[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}\Z")


def _archive(*entries: tuple[str, bytes, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "target" if kind == tarfile.SYMTYPE else ""
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue())


def _with_code(code: bytes) -> package.ParsedPackage:
    return package.ParsedPackage("label", "ccaas", "", code, "label:0")


@pytest.mark.parametrize(
    ("data", "label", "expected"),
    [
        pytest.param(
            package.build_k8s("go-contract", "ghcr.io/hyperledger-labs/go-contract", DIGEST),
            "go-contract",
            "go-contract:8e9220acc8e34e486845f1cc217b751f7cc2d4e9e42fb04fabe7fecb1c955344",
            id="k8s",
        ),
        pytest.param(
            CCAAS,
            "basic-1",
            "basic-1:4da6caa7cc1806bd0e3a5d6b8b5bd28345b297cbe4abf7bcce127ba366d9459d",
            id="ccaas",
        ),
    ],
)
def test_a_package_has_the_identifier_that_go_code_computed(data: bytes, label: str, expected: str) -> None:
    assert package.package_id(label, data) == expected
    assert package.parse(data).package_id == expected


@given(
    LABELS, st.text(min_size=1, max_size=60), st.booleans(), st.dictionaries(NAMES, st.binary(max_size=99), max_size=3)
)
def test_a_built_package_is_read_back_and_rebuilt_to_the_same_bytes(
    label: str, address: str, tls: bool, indexes: dict[str, bytes]
) -> None:
    files = {f"indexes/{name}.json": content for name, content in indexes.items()}
    root_cert = "a certificate" if tls else ""

    def build(content: dict[str, bytes]) -> bytes:
        return package.build_ccaas(label, address, tls_required=tls, root_cert=root_cert, indexes=content)

    data = build(files)

    parsed = package.parse(data)
    package.check_install(parsed)
    assert (parsed.label, parsed.type, parsed.path) == (label, "ccaas", "")
    unpacked = package.unpack_code(parsed)
    assert {path: unpacked[f"META-INF/statedb/couchdb/{path}"] for path in files} == files
    assert build(dict(reversed(files.items()))) == data


def test_every_tool_reads_what_we_build() -> None:
    with tarfile.open(fileobj=io.BytesIO(CCAAS), mode="r:gz") as archive:
        names = archive.getnames()
        metadata = archive.extractfile("metadata.json")
        assert metadata is not None
        content = metadata.read()

    assert names == ["code.tar.gz", "metadata.json"]
    assert content == b'{"label":"basic-1","path":"","type":"ccaas"}'


@given(st.binary(max_size=200_000))
@settings(max_examples=20)
def test_stored_gzip_is_gzip(data: bytes) -> None:
    written = gzipstream.write_stored(data)

    assert gzip.decompress(written) == data
    assert gzipstream.GzipReader(written, len(data)).read(len(data) + 1) == data


@given(st.data())
def test_damaged_packages_give_a_typed_error_or_a_package(data: st.DataObject) -> None:
    damaged = bytearray(CCAAS)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))

    with contextlib.suppress(PackageError):
        parsed = package.parse(bytes(damaged[:cut]))
        assert parsed.package_id == package.package_id(parsed.label, bytes(damaged[:cut]))
        package.unpack_code(parsed)


@given(st.binary(max_size=2000))
def test_any_bytes_as_a_package_give_a_typed_error(junk: bytes) -> None:
    with pytest.raises(PackageError):
        package.parse(junk)
    with pytest.raises(PackageError):
        package.parse(gzip.compress(junk))


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        pytest.param([("../evil", tarfile.REGTYPE, b"x")], "escaping path", id="traversal"),
        pytest.param([("a/../../evil", tarfile.REGTYPE, b"x")], "escaping path", id="hidden-traversal"),
        pytest.param([("/etc/evil", tarfile.REGTYPE, b"x")], "absolute", id="absolute"),
        pytest.param([("link", tarfile.SYMTYPE, b"")], "invalid file type '50'", id="symlink"),
        pytest.param([("link", tarfile.LNKTYPE, b"")], "invalid file type '49'", id="hard-link"),
        pytest.param([("fifo", tarfile.FIFOTYPE, b"")], "invalid file type '54'", id="fifo"),
        pytest.param([("a", tarfile.REGTYPE, b"1"), ("./a", tarfile.REGTYPE, b"2")], "twice", id="duplicate"),
    ],
)
def test_code_that_could_escape_or_confuse_is_refused(entries: list[tuple[str, bytes, bytes]], reason: str) -> None:
    with pytest.raises(PackageError, match=reason):
        package.unpack_code(_with_code(_archive(*entries)))


def test_a_bomb_is_refused_after_a_bounded_amount() -> None:
    bomb = gzip.compress(bytes(30_000_000))

    with pytest.raises(PackageError, match="more than is allowed"):
        gzipstream.GzipReader(bomb, 1_000_000).read(30_000_000)


def test_a_flood_of_entries_is_refused() -> None:
    flood = _archive(*[(f"f{number}", tarfile.REGTYPE, b"") for number in range(tarball.MAX_ENTRIES + 1)])

    with pytest.raises(PackageError, match="entries"):
        package.unpack_code(_with_code(flood))


@pytest.mark.parametrize("name", ["i" * 80, "i" * 120, "i" * 900, "i" * 1000], ids=["prefix", "pax", "pax-3", "pax-4"])
def test_long_paths_are_written_the_way_tar_does(name: str) -> None:
    path = f"collections/{'c' * 60}/indexes/{name}.json"

    data = package.build_ccaas("label", "host:1", indexes={path: b"{}"})

    parsed = package.parse(data)
    assert package.unpack_code(parsed)[f"META-INF/statedb/couchdb/{path}"] == b"{}"
    with tarfile.open(fileobj=io.BytesIO(parsed.code), mode="r:gz") as archive:
        assert f"META-INF/statedb/couchdb/{path}" in archive.getnames()


def test_two_entries_of_one_name_are_taken_as_a_peer_does_and_refused_to_whom_it_matters() -> None:
    metadata = b'{"label":"%s","type":"ccaas","path":""}'
    entries = [
        ("code.tar.gz", tarfile.REGTYPE, b"code"),
        ("metadata.json", tarfile.REGTYPE, metadata % b"first"),
        ("metadata.json", tarfile.REGTYPE, metadata % b"second"),
    ]
    data = _archive(*entries)

    assert package.parse(data).label == "second"
    with pytest.raises(PackageError, match=r"metadata\.json twice"):
        package.parse(data, unambiguous=True)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        pytest.param(lambda: package.build_ccaas("-x", "host:1"), "invalid label '-x'", id="label"),
        pytest.param(lambda: package.build_ccaas("x", ""), "needs the address", id="address"),
        pytest.param(lambda: package.build_ccaas("x", "h:1", root_cert="pem"), "without tls_required", id="root-cert"),
        pytest.param(lambda: package.build_k8s("x", "image", "latest"), "not of the form sha256", id="digest"),
        pytest.param(lambda: package.build_k8s("x", "image@sha256:0", DIGEST), "without a digest", id="image-name"),
        pytest.param(
            lambda: package.build_ccaas("x", "h:1", indexes={"../a.json": b""}), "index path", id="index-traversal"
        ),
        pytest.param(
            lambda: package.build_ccaas("x", "h:1", indexes={f"indexes/{'i' * 5000}.json": b""}), "too long", id="long"
        ),
    ],
)
def test_a_package_nobody_could_use_is_not_built(build: object, reason: str) -> None:
    assert callable(build)
    with pytest.raises(PackageError, match=reason):
        build()
