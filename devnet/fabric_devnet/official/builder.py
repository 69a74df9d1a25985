"""A chaincode-as-a-service external builder for releases that bring none; behaves as Fabric's ccaas_builder.

The peer runs `bin/detect SOURCE METADATA`, `bin/build SOURCE METADATA OUTPUT` and `bin/release OUTPUT RELEASE`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_VARIABLE: Final = "CHAINCODE_AS_A_SERVICE_BUILDER_CONFIG"
_TEMPLATE = re.compile(r"\{\{-?\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*-?\}\}")
_LAUNCHER: Final = """#!{python} -I
import sys
from fabric_devnet.official.builder import main
sys.exit(main("{phase}", sys.argv[1:]))
"""


class BuilderError(Exception):
    """The package cannot be built: the text becomes the peer's log line."""


def write_builder(directory: Path) -> Path:
    """Write the builder's programs below `directory`, run by this interpreter; returns `directory`."""
    programs = directory / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for phase in _PHASES:
        program = programs / phase
        program.write_text(_LAUNCHER.format(python=sys.executable, phase=phase), encoding="utf-8")
        program.chmod(0o755)
    return directory


def main(phase: str, arguments: list[str]) -> int:
    """Run one phase with its directory arguments; returns the exit code."""
    try:
        _PHASES[phase](*(Path(argument) for argument in arguments))
    except BuilderError as exc:
        print(f"Error: {exc}", file=sys.stderr)  # noqa: T201 - the peer logs what builders print
        return 1
    return 0


def detect(_source: Path, metadata: Path) -> None:
    """Accept packages of type ccaas, in any case."""
    kind = _read_json(metadata / "metadata.json").get("type")
    if not isinstance(kind, str) or kind.lower() != "ccaas":
        raise BuilderError(f"chaincode type not supported: {kind}")


def build(source: Path, _metadata: Path, output: Path) -> None:
    """Render connection.json for this peer and keep META-INF."""
    connection = render_connection(_read_json(source / "connection.json"), _read_context(os.environ))
    (output / "connection.json").write_text(json.dumps(connection), encoding="utf-8")
    if (source / "META-INF").is_dir():
        shutil.copytree(source / "META-INF", output / "META-INF", dirs_exist_ok=True)


def release(output: Path, released: Path) -> None:
    """Hand the rendered connection and any state database indexes to the peer."""
    server = released / "chaincode" / "server"
    server.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(output / "connection.json", server / "connection.json")
    indexes = output / "META-INF" / "statedb"
    if indexes.is_dir():
        shutil.copytree(indexes, released / "statedb", dirs_exist_ok=True)


def render_connection(connection: Mapping[str, object], context: Mapping[str, object]) -> dict[str, object]:
    """Return what the peer shall read: templates filled in from `context`; raises BuilderError for unknown names."""
    rendered: dict[str, object] = {
        "address": _render(connection, "address", context),
        "dial_timeout": _render(connection, "dial_timeout", context) or "3s",
        "tls_required": bool(connection.get("tls_required")),
    }
    if rendered["tls_required"]:
        rendered["root_cert"] = _render(connection, "root_cert", context)
        if connection.get("client_auth_required"):
            rendered["client_auth_required"] = True
            rendered["client_key"] = _render(connection, "client_key", context)
            rendered["client_cert"] = _render(connection, "client_cert", context)
    if not rendered["address"]:
        raise BuilderError("connection.json has no address")
    return rendered


def _render(connection: Mapping[str, object], field: str, context: Mapping[str, object]) -> str:
    text = connection.get(field, "")
    if not isinstance(text, str):
        raise BuilderError(f"connection.json: {field} is not text")

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in context:
            raise BuilderError(f"connection.json: {field} uses {name}, which {_VARIABLE} lacks")
        return str(context[name])

    return _TEMPLATE.sub(fill, text)


def _read_context(environment: Mapping[str, str]) -> dict[str, object]:
    text = environment.get(_VARIABLE, "")
    if not text:
        return {}
    try:
        context = json.loads(text)
    except ValueError as exc:
        raise BuilderError(f"{_VARIABLE} is not JSON: {exc}") from exc
    return context if isinstance(context, dict) else {}


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise BuilderError(f"{path.name} not found") from exc
    except ValueError as exc:
        raise BuilderError(f"{path.name} is not JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise BuilderError(f"{path.name} is not a JSON object")
    return content


_PHASES: Final[dict[str, Callable[..., None]]] = {"detect": detect, "build": build, "release": release}
