from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from opssc_tools.node import oci, runtime


@pytest.fixture
def files(tmp_path: Path) -> list[oci.File]:
    """A program and a text, in folders of different depth."""
    program, text = tmp_path / "program", tmp_path / "text"
    program.write_bytes(b"#!")
    program.chmod(0o700)
    text.write_text("words", encoding="utf-8")
    return [oci.File("usr/local/bin/program", program), oci.File("app/text", text)]


def read(archive: Path) -> dict[str, bytes]:
    """The members of an archive by name."""
    with tarfile.open(archive) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


def blob(members: dict[str, bytes], digest: str) -> bytes:
    return members[f"blobs/{digest.replace(':', '/')}"]


def pack(folder: Path, files: list[oci.File], **process: Any) -> oci.Image:
    folder.mkdir()
    return oci.pack(folder / "image.tar", "opssc.invalid/it", "1.0", files, process=process)


def test_the_same_files_make_the_same_image(tmp_path: Path, files: list[oci.File]) -> None:
    first = pack(tmp_path / "first", files, User="1")
    files[0].source.touch()
    second = pack(tmp_path / "second", list(reversed(files)), User="1")

    assert first.digest == second.digest
    assert first.archive.read_bytes() == second.archive.read_bytes()
    assert [path.name for path in (tmp_path / "first").iterdir()] == ["image.tar"]


def test_another_process_is_another_image(tmp_path: Path, files: list[oci.File]) -> None:
    assert pack(tmp_path / "a", files, User="1").digest != pack(tmp_path / "b", files, User="2").digest


def test_an_archive_names_its_image_by_tag_and_by_digest_and_every_blob_by_its_own_hash(
    tmp_path: Path, files: list[oci.File]
) -> None:
    image = pack(tmp_path / "image", files, Entrypoint=["/usr/local/bin/program"])

    members = read(image.archive)
    index = json.loads(members["index.json"])
    names = [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]]
    manifest = json.loads(blob(members, image.digest))
    config = json.loads(blob(members, manifest["config"]["digest"]))
    blobs = {name: content for name, content in members.items() if name.startswith("blobs/")}
    assert names == ["opssc.invalid/it:1.0", image.reference]
    assert {entry["digest"] for entry in index["manifests"]} == {image.digest}
    assert all(name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}" for name, content in blobs.items())
    assert config["config"] == {"Entrypoint": ["/usr/local/bin/program"]}
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]


def test_a_layer_has_every_folder_before_what_is_in_it_and_rights_that_anybody_can_use(
    tmp_path: Path, files: list[oci.File]
) -> None:
    image = pack(tmp_path / "image", files)

    members = read(image.archive)
    layer = tmp_path / "layer.tar"
    layer.write_bytes(blob(members, json.loads(blob(members, image.digest))["layers"][0]["digest"]))
    with tarfile.open(layer) as tar:
        entries = [(entry.name, oct(entry.mode), entry.uid, entry.mtime) for entry in tar]
    assert entries == [
        ("app", "0o755", 0, 0),
        ("usr", "0o755", 0, 0),
        ("usr/local", "0o755", 0, 0),
        ("usr/local/bin", "0o755", 0, 0),
        ("app/text", "0o644", 0, 0),
        ("usr/local/bin/program", "0o755", 0, 0),
    ]


async def test_a_runtime_has_what_the_server_imports_and_nothing_that_names_the_machine() -> None:
    files = {file.path: file.source for file in await runtime.collect(["grpcio"], [])}

    assert "usr/local/bin/python3" in files
    assert any(path.endswith("/asyncio/__init__.py") for path in files)
    assert any(path.startswith("app/grpc/_cython/cygrpc") for path in files)
    assert "app/typing_extensions.py" in files, "grpcio requires it"
    assert "usr/local/lib/libc.so.6" in files
    assert not [path for path in files if path.endswith((".pth", ".pyc", "direct_url.json", "/RECORD"))]
    assert not [path for path in files if "site-packages" in path or path.startswith("/")]
