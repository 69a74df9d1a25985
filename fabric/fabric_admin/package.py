"""Chaincode packages: reading them as a peer does, and building ones whose bytes everybody can reproduce.

``fabric: core/chaincode/persistence/chaincode_package.go``. Nothing is unpacked to disk; sizes are bounded.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from fabric_admin import tarball
from fabric_admin.errors import PackageError
from fabric_admin.sourcetree import Language, SourceFile, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

METADATA_FILE: Final = "metadata.json"
CODE_FILE: Final = "code.tar.gz"
INDEX_FOLDER: Final = "META-INF/statedb/couchdb/"
MAX_PACKAGE_BYTES: Final = 100 * 1024 * 1024
MAX_METADATA_BYTES: Final = 1024 * 1024
MAX_CODE_BYTES: Final = 256 * 1024 * 1024

_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_INDEX_PATH: Final = re.compile(r"(?:collections/[A-Za-z0-9-][A-Za-z0-9_-]*/)?indexes/[A-Za-z0-9][A-Za-z0-9_.-]*\.json")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ParsedPackage:
    """A package as a peer understands it; ``code`` are the bytes of the inner ``code.tar.gz``."""

    label: str
    type: str
    path: str
    code: bytes = field(repr=False)
    package_id: str


def package_id(label: str, data: bytes) -> str:
    """Return the package ID: the label and the hex SHA-256 of the whole file as sent."""
    return f"{label}:{hashlib.sha256(data).hexdigest()}"


def check_label(label: str) -> None:
    """Refuse a label no peer accepts; raises PackageError."""
    if not _LABEL.fullmatch(label):
        raise PackageError(
            f"invalid label '{label}'. Label must be non-empty, can only consist of alphanumerics, symbols "
            "from '.+-_', and can only begin with alphanumerics"
        )


def parse(data: bytes, *, unambiguous: bool = False) -> ParsedPackage:
    """Return what a package contains; raises PackageError with the peer's reason.

    Like a peer it ignores unknown entries and takes the last of two entries with one name. With ``unambiguous`` two
    such entries are refused, since people who looked at the package may have seen the first.
    """
    _check_whole(data, unambiguous=unambiguous)
    with _during("error reading as gzip stream"):
        archive = iter(tarball.open_archive(data, MAX_PACKAGE_BYTES))
    code: bytes | None = None
    metadata: _Metadata | None = None
    while True:
        with _during("error inspecting next tar header"):
            entry = next(archive, None)
        if entry is None:
            break
        if entry.type != tarball.REGULAR:
            raise PackageError(f"tar entry {entry.name} is not a regular file, type {entry.type}")
        with _during(f"could not read {entry.name} from tar"):
            if entry.name == METADATA_FILE and entry.size > MAX_METADATA_BYTES:
                raise PackageError(f"it is larger than {MAX_METADATA_BYTES} bytes")
            content = entry.read()
        if entry.name == METADATA_FILE:
            metadata = _parse_metadata(content)
        elif entry.name == CODE_FILE:
            code = content
    if code is None:
        raise PackageError("did not find a code package inside the package")
    if metadata is None:
        raise PackageError("did not find any package metadata (missing metadata.json)")
    check_label(metadata.label)
    return ParsedPackage(metadata.label, metadata.type, metadata.path, code, package_id(metadata.label, data))


def _check_whole(data: bytes, *, unambiguous: bool) -> None:
    if len(data) > MAX_PACKAGE_BYTES:
        raise PackageError(f"the package is larger than {MAX_PACKAGE_BYTES} bytes")
    if not unambiguous:
        return
    seen = set()
    for entry in tarball.open_archive(data, MAX_PACKAGE_BYTES):
        name = posixpath.normpath(entry.name)
        if name in seen:
            raise PackageError(f"the package holds {name} twice, of which peers take the last; build it anew")
        seen.add(name)


def check_install(parsed: ParsedPackage) -> None:
    """Check what a peer looks at beyond ``parse`` before it stores a package; raises PackageError."""
    with _during("error retrieving DB artifacts from code package"):
        for _ in tarball.open_archive(parsed.code, MAX_CODE_BYTES):
            pass


def unpack_code(parsed: ParsedPackage) -> dict[str, bytes]:
    """Return the files of the inner archive by path, as an external builder would find them.

    Raises PackageError for paths that climb out, links, devices, two files of one name, and more than
    ``MAX_CODE_BYTES`` of content.
    """
    files: dict[str, bytes] = {}
    for entry in tarball.open_archive(parsed.code, MAX_CODE_BYTES):
        path = posixpath.normpath(entry.name) if entry.name else "."
        if path == ".." or path.startswith(("/", "../")):
            raise PackageError(f"tar contains the absolute or escaping path '{entry.name}'")
        if entry.type == tarball.DIRECTORY:
            continue
        if entry.type != tarball.REGULAR:
            raise PackageError(f"invalid file type '{entry.type}' contained in archive for file '{entry.name}'")
        if path in files:
            raise PackageError(f"tar contains the path '{path}' twice")
        files[path] = entry.read()
    return files


def build_ccaas(
    label: str,
    address: str,
    *,
    dial_timeout: str = "10s",
    tls_required: bool = False,
    root_cert: str = "",
    indexes: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return a package for a chaincode server at ``address`` (``host:port``, or a template the peer renders).

    ``root_cert`` is PEM text; ``indexes`` are CouchDB indexes by path below ``META-INF/statedb/couchdb/``. The same
    arguments give the same bytes everywhere. Raises PackageError.
    """
    connection: dict[str, str | bool] = {
        "address": address,
        "dial_timeout": dial_timeout,
        "tls_required": tls_required,
    }
    if not address:
        raise PackageError("a ccaas package needs the address of its server")
    if root_cert:
        if not tls_required:
            raise PackageError("root_cert has no use without tls_required")
        connection["root_cert"] = root_cert
    return _build(label, "ccaas", {"connection.json": _canonical(connection)}, indexes)


def build_k8s(label: str, image_name: str, image_digest: str, *, indexes: Mapping[str, bytes] | None = None) -> bytes:
    """Return a package for the Kubernetes external builder; the digest (``sha256:<64 hex>``) pins the image.

    The same arguments give the same bytes everywhere. Raises PackageError.
    """
    if not _DIGEST.fullmatch(image_digest):
        raise PackageError(f"image digest '{image_digest}' is not of the form sha256:<64 lowercase hex digits>")
    if not image_name or "@" in image_name:
        raise PackageError(f"image name '{image_name}' must be a name without a digest")
    image = {"name": image_name, "digest": image_digest}
    return _build(label, "k8s", {"image.json": _canonical(image)}, indexes)


def build_git(tree: Mapping[str, SourceFile], label: str, language: Language, *, path: str = "") -> bytes:
    """Return a package of the source code at ``path`` of a tree, laid out as the ``peer`` packager does it.

    ``tree`` holds every file of one commit by path; the same tree gives the same bytes everywhere. Of Go the whole
    module is taken and has to be vendored, because nothing in the tree is run. Raises PackageError.
    """
    layout = lay_out(tree, language, path)
    return _pack(label, language, layout.path, layout.files)


def _build(label: str, kind: str, files: Mapping[str, bytes], indexes: Mapping[str, bytes] | None) -> bytes:
    check_label(label)
    code = {**files}
    for path, content in (indexes or {}).items():
        if not _INDEX_PATH.fullmatch(path):
            raise PackageError(f"index path '{path}' is not [collections/<collection>/]indexes/<name>.json")
        code[INDEX_FOLDER + path] = content
    return _pack(label, kind, "", code)


def _pack(label: str, kind: str, path: str, code: Mapping[str, bytes]) -> bytes:
    check_label(label)
    metadata = _canonical({"label": label, "path": path, "type": kind})
    return tarball.write({METADATA_FILE: metadata, CODE_FILE: tarball.write(code)})


def _canonical(document: Mapping[str, str | bool]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


@dataclass(slots=True)
class _Metadata:
    label: str = ""
    type: str = ""
    path: str = ""


def _parse_metadata(content: bytes) -> _Metadata:
    """Read metadata.json by Go's rules: keys in any case, the last one counts, unknown ones ignored."""
    prefix = f"could not unmarshal {METADATA_FILE} as json: "
    if not content.strip():
        raise PackageError(f"{prefix}unexpected end of JSON input")
    try:
        pairs = json.loads(
            content.decode("utf-8", "replace"), object_pairs_hook=_Pairs, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as exc:
        raise PackageError(f"{prefix}{exc}") from exc
    if pairs is None:
        return _Metadata()
    if not isinstance(pairs, _Pairs):
        raise PackageError(
            f"{prefix}json: cannot unmarshal {_json_type(pairs)} into Go value of type "
            "persistence.ChaincodePackageMetadata"
        )
    metadata = _Metadata()
    for key, value in pairs:
        name = key.casefold()
        if name not in ("label", "type", "path") or value is None:
            continue
        if not isinstance(value, str):
            raise PackageError(
                f"{prefix}json: cannot unmarshal {_json_type(value)} into Go struct field "
                f"ChaincodePackageMetadata.{name} of type string"
            )
        setattr(metadata, name, value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return metadata


class _Pairs(list[tuple[str, object]]):
    """A JSON object with its keys in order, repeated ones included."""


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"invalid character '{text[0]}' looking for beginning of value")


def _json_type(value: object) -> str:
    names = {list: "array", _Pairs: "object", str: "string", bool: "bool", int: "number", float: "number"}
    return names.get(type(value), "value")


@contextmanager
def _during(what: str) -> Iterator[None]:
    """Put what was being done before the text of a PackageError."""
    try:
        yield
    except PackageError as exc:
        raise PackageError(f"{what}: {exc}") from exc
