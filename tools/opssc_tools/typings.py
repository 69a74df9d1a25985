"""Writes the type stubs of Fabric's generated messages from the descriptors those messages carry.

The published messages come without stubs. Their descriptors name files without the Python package in front, so the
names are prefixed before the stub generator sees them; nothing else is changed.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import fabric_protos
from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

PACKAGE = "fabric_protos"
PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
PLUGIN_TIMEOUT_SECONDS = 120


def _descriptors() -> list[FileDescriptor]:
    """Return the descriptor of every module of Fabric's messages."""
    modules = pkgutil.walk_packages(fabric_protos.__path__, f"{PACKAGE}.")
    messages = [module.name for module in modules if module.name.endswith("_pb2")]
    return [importlib.import_module(name).DESCRIPTOR for name in messages]


def _in_order(descriptors: list[FileDescriptor]) -> list[FileDescriptor]:
    """Return the descriptors and all they depend on, dependencies first, as a protoc plugin expects them."""
    ordered: dict[str, FileDescriptor] = {}

    def visit(descriptor: FileDescriptor) -> None:
        for dependency in descriptor.dependencies:
            visit(dependency)
        ordered.setdefault(descriptor.name, descriptor)

    for descriptor in descriptors:
        visit(descriptor)
    return list(ordered.values())


def build_request(descriptors: list[FileDescriptor]) -> plugin_pb2.CodeGeneratorRequest:
    """Return the plugin request for these files, each renamed to the Python package it is imported from."""
    own = {descriptor.name for descriptor in descriptors}
    request = plugin_pb2.CodeGeneratorRequest(file_to_generate=sorted(f"{PACKAGE}/{name}" for name in own))
    for descriptor in _in_order(descriptors):
        proto = descriptor_pb2.FileDescriptorProto.FromString(descriptor.serialized_pb)
        if proto.name in own:
            proto.name = f"{PACKAGE}/{proto.name}"
        renamed = [f"{PACKAGE}/{name}" if name in own else name for name in proto.dependency]
        proto.dependency[:] = renamed
        request.proto_file.append(proto)
    return request


def _unshadowed(stub: str) -> str:
    """Name the module collections.abc so that a message's field called collections does not hide it."""
    if "collections.abc" not in stub:
        return stub
    imported = stub.replace("import collections.abc\n", "import collections.abc as collections_abc\n")
    return re.sub(r"\bcollections\.abc\.", "collections_abc.", imported)


def generate(folder: Path) -> int:
    """Replace the stubs in `folder` and return how many files were written."""
    request = build_request(_descriptors()).SerializeToString()
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / PACKAGE
        for plugin in PLUGINS:
            executable = Path(sys.executable).with_name(plugin)
            done = subprocess.run(
                [executable], input=request, capture_output=True, check=True, timeout=PLUGIN_TIMEOUT_SECONDS
            )
            for file in plugin_pb2.CodeGeneratorResponse.FromString(done.stdout).file:
                target = Path(scratch) / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(_unshadowed(file.content), encoding="utf-8")
        for package in [fresh, *(entry for entry in fresh.rglob("*") if entry.is_dir())]:
            (package / "__init__.pyi").touch()
        shutil.rmtree(folder / PACKAGE, ignore_errors=True)
        shutil.copytree(fresh, folder / PACKAGE)
    return sum(1 for _ in (folder / PACKAGE).rglob("*.pyi"))


if __name__ == "__main__":
    print(f"{generate(Path(sys.argv[1]))} stubs written to {sys.argv[1]}/{PACKAGE}")
