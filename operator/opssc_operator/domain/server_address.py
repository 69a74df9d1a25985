"""Where packages say that their chaincode servers are, and whether a server can be asked from here. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fabric_admin.batch import duration_seconds
from fabric_admin.errors import ConfigError
from opssc_chaincode.model import ArchivePackage, CcaasPackage, ChaincodeContent, UnchangedPackage
from opssc_operator.domain.outline import Outline

CONNECTION_FILE: Final = "connection.json"
_CONNECTION_BYTES: Final = 64 * 1024
_ANY_ADDRESS: Final = re.compile(r"[\x20-\x7e]{1,512}")
_PLAIN_ADDRESS: Final = re.compile(
    r"(?!(unix|unix-abstract|vsock|dns|ipv4|ipv6|xds):)([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}"
)
"""A host and port that gRPC takes for nothing else."""
_BUILT_BY_PEERS: Final = frozenset({"golang", "java", "node", "k8s"})


@dataclass(frozen=True, slots=True)
class NamedServer:
    """What a package says of its server; ``address`` is empty where peers start it themselves.

    ``dial_seconds`` is how long a peer tries to connect.
    """

    address: str
    tls: bool = False
    dial_seconds: float = 0.0


STARTED_BY_PEERS: Final = NamedServer("")
UNREADABLE: Final = NamedServer("(unknown)", tls=True, dial_seconds=float("inf"))
"""The server of a package that says nothing this operator understands."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a package says its server is; ``asked`` when that can be asked from here: a plain host, and no TLS.

    ``shared_with`` is the label of another package that was installed here and has the same address.
    """

    address: str
    asked: bool
    shared_with: str = ""
    dial_seconds: float = 10.0


def name_server(content: ChaincodeContent | None) -> NamedServer | None:
    """What the package that is installed says of its server; None when only the package itself tells."""
    source = None if content is None else content.package.source
    if isinstance(source, CcaasPackage):
        connection = source.connection
        return NamedServer(source.address, connection.tls_required, duration_seconds(connection.dial_timeout))
    return None if source is None or isinstance(source, ArchivePackage | UnchangedPackage) else STARTED_BY_PEERS


def is_started_by_peers(kind: str) -> bool:
    """Whether a package of this type (``metadata.json``) needs no server to connect to."""
    return kind in _BUILT_BY_PEERS


def read_server(files: Mapping[str, bytes]) -> NamedServer:
    """What the files of a package say of its server (Fabric: ccaas_builder, connection.json)."""
    if CONNECTION_FILE not in files:
        return STARTED_BY_PEERS
    text = files[CONNECTION_FILE]
    if len(text) > _CONNECTION_BYTES:
        return UNREADABLE
    try:
        told = json.loads(text, object_pairs_hook=_by_go_rules)
        address, dial, tls = told["address"], told.get("dial_timeout", "10s"), told.get("tls_required", False)
        seconds = duration_seconds(dial)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError):
        return UNREADABLE
    if not isinstance(address, str) or not _ANY_ADDRESS.fullmatch(address):
        return UNREADABLE
    return NamedServer(address, tls is not False, seconds)


def _by_go_rules(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object as a peer reads it: keys in any case, the last one counts, null changes nothing."""
    return {key.casefold(): value for key, value in pairs if value is not None}


def find_server(
    named: NamedServer, package_id: str, outlines: Iterable[Outline], installed: Collection[str]
) -> ServerAddress | None:
    """Where to look for the server, None when peers start it; and who else names the same address.

    ``installed`` are the package IDs that own peers were seen to have.
    """
    if not named.address:
        return None
    asked = not named.tls and _PLAIN_ADDRESS.fullmatch(named.address) is not None
    sharer = _shared_with(named.address, package_id, outlines, installed)
    return ServerAddress(named.address, asked, sharer, named.dial_seconds)


def _shared_with(address: str, package_id: str, outlines: Iterable[Outline], installed: Collection[str]) -> str:
    """The label of another package with the same address that was installed here; empty without one."""
    labels = {
        outline.package_id.partition(":")[0]
        for outline in outlines
        if outline.package_id is not None
        and outline.server_address == address
        and outline.package_id != package_id
        and (outline.installed or outline.package_id in installed)
    }
    return min(labels, default="")
