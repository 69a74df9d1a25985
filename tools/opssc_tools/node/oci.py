"""Container images as OCI archives (image-spec 1.0, image layout): a few blobs in a tar, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

MEDIA: Final = "application/vnd.oci.image"
NAME_ANNOTATION: Final = "io.containerd.image.name"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class File:
    """One file of an image: its path there, relative to the root, and where its bytes are here."""

    path: str
    source: Path


@dataclass(frozen=True, slots=True)
class Image:
    """A packed image; `reference` is its name with its digest, as a manifest that pins it says."""

    archive: Path
    name: str
    digest: str

    @property
    def reference(self) -> str:
        """Such as `opssc.invalid/asset@sha256:0123...`."""
        return f"{self.name}@{self.digest}"


def pack(archive: Path, name: str, tag: str, files: Iterable[File], *, process: Mapping[str, Any]) -> Image:
    """Write an image of one layer to `archive`; containerd will know it by tag and by digest.

    `process` is the `config` of the image: Entrypoint, Env, User and so on.
    """
    layer = archive.with_suffix(".layer")
    try:
        _write_layer(layer, files)
        return _write_archive(archive, name, tag, layer, process)
    finally:
        layer.unlink(missing_ok=True)


def _write_layer(path: Path, files: Iterable[File]) -> None:
    """Write files and the folders above them, of nobody in particular and without times."""
    chosen = {file.path: file.source for file in files}
    folders = {parent for name in chosen for parent in _parents(name)}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(folders):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for name, source in sorted(chosen.items()):
            entry = tarfile.TarInfo(name)
            status = source.stat()
            entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o111 else 0o644
            with source.open("rb") as content:
                tar.addfile(entry, content)


def _parents(name: str) -> Sequence[str]:
    """Return the folders above a path."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _write_archive(archive: Path, name: str, tag: str, layer: Path, process: Mapping[str, Any]) -> Image:
    """Write the layout around a layer."""
    with layer.open("rb") as content:
        layer_digest = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
    machine = platform.machine()
    config = _encode(
        {
            "architecture": ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": dict(process),
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
            "history": [{"created_by": "opssc_tools.node"}],
        }
    )
    layer_entry = {"mediaType": f"{MEDIA}.layer.v1.tar", "digest": layer_digest, "size": layer.stat().st_size}
    manifest = _encode(
        {
            "schemaVersion": 2,
            "mediaType": f"{MEDIA}.manifest.v1+json",
            "config": _descriptor(f"{MEDIA}.config.v1+json", config),
            "layers": [layer_entry],
        }
    )
    image = Image(archive, name, _digest(manifest))
    described = _descriptor(f"{MEDIA}.manifest.v1+json", manifest)
    names = (f"{name}:{tag}", image.reference)
    index = {
        "schemaVersion": 2,
        "manifests": [{**described, "annotations": {NAME_ANNOTATION: known_as}} for known_as in names],
    }
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "oci-layout", _encode({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", _encode(index))
        for blob in (config, manifest):
            _add(tar, _blob(_digest(blob)), blob)
        entry = tarfile.TarInfo(_blob(layer_digest))
        entry.size = layer.stat().st_size
        with layer.open("rb") as content:
            tar.addfile(entry, content)
    return image


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
