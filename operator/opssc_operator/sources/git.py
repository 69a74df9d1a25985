"""Fetching one commit over git's https protocol, without history, and packaging its files.

``git-scm.com/docs/gitprotocol-http, gitprotocol-v2``. No git runs, so no hook, filter, sub-module or alternate does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fabric_admin.errors import PackageError
from fabric_admin.package import MAX_PACKAGE_BYTES, build_git
from opssc_chaincode.model import GitPackage
from opssc_operator.api.trust import host_of
from opssc_operator.sources import pktline
from opssc_operator.sources.failures import Unavailable, Unusable
from opssc_operator.sources.http import Request, read_bounded, send
from opssc_operator.sources.reach import Reach

MAX_REFS_BYTES: Final = 16 * 1024 * 1024
MAX_PACK_BYTES: Final = 64 * 1024 * 1024
MAX_TIPS: Final = 1_000
_OK: Final = 200
_SHA1_DIGITS: Final = 40
_DISCOVERY: Final = "/info/refs?service=git-upload-pack"
_SERVICE: Final = "/git-upload-pack"


@dataclass(frozen=True, slots=True)
class _Server:
    """Where a repository is served from after redirects, in which protocol, and what it shows."""

    url: str
    version: int
    capabilities: frozenset[str]
    tips: tuple[str, ...]


async def build(
    source: GitPackage, reach: Reach, progress: Callable[[str], None], *, limit: int = MAX_PACK_BYTES
) -> bytes:
    """The package of a commit, byte for byte the same everywhere; raises FetchError."""
    if len(source.commit) != _SHA1_DIGITS:
        raise Unusable("repositories with commit IDs of 64 digits are not supported by this version")
    progress(f"downloading from {host_of(source.repository)}")
    server = await _discover(source.repository.rstrip("/"), reach)
    pack = await _fetch(server, source.commit, reach, limit)
    progress(f"packaging {source.language} code of {host_of(source.repository)}")
    return await asyncio.to_thread(_package, source, pack)


def _package(source: GitPackage, pack: bytes) -> bytes:
    # What reads packs takes 9 MiB, which only operators that fetch from git pay for.
    from opssc_operator.sources.gittree import read_commit  # noqa: PLC0415
    from opssc_operator.sources.packfile import read_pack  # noqa: PLC0415

    tree = read_commit(read_pack(pack), source.commit)
    try:
        package = build_git(tree, source.label, source.language, path=source.path or "")
    except PackageError as exc:
        raise Unusable(str(exc)) from exc
    if len(package) > MAX_PACKAGE_BYTES:
        raise Unusable(f"the package is larger than {MAX_PACKAGE_BYTES} bytes, which no peer installs")
    return package


async def _discover(repository: str, reach: Reach) -> _Server:
    request = Request(
        repository + _DISCOVERY, reach, lambda url: _allows(reach, url), headers={"Git-Protocol": "version=2"}
    )
    async with send(request) as response:
        if response.status != _OK:
            hint = "; see trust.credentials" if response.status in {401, 403, 404} else ""
            raise Unavailable(f"{host_of(repository)} answers {response.status} {response.reason}{hint}")
        shown = b"".join([chunk async for chunk in read_bounded(response, MAX_REFS_BYTES)])
        base = str(response.url).removesuffix(_DISCOVERY)
    lines = [content for content in pktline.read_lines(shown) if content is not None]
    if lines and lines[0].startswith(b"# service="):
        lines = lines[1:]
    if lines and lines[0].strip() == b"version 2":
        return _Server(base, 2, frozenset(), ())
    capabilities = lines[0].partition(b"\0")[2].decode("utf-8", "replace").split() if lines else []
    tips = sorted({content[:_SHA1_DIGITS].decode("ascii", "replace") for content in lines})
    return _Server(base, 0, frozenset(capabilities), tuple(tips[:MAX_TIPS]))


async def _fetch(server: _Server, commit: str, reach: Reach, limit: int) -> bytes:
    headers = {
        "Content-Type": "application/x-git-upload-pack-request",
        "Accept": "application/x-git-upload-pack-result",
        **({"Git-Protocol": "version=2"} if server.version else {}),
    }
    body = _ask_2(commit) if server.version else _ask_0(server, commit)
    url = server.url + _SERVICE
    request = Request(url, reach, lambda asked: _allows(reach, asked), "POST", headers, body)
    async with send(request) as response:
        if response.status != _OK:
            raise Unavailable(f"{host_of(url)} answers {response.status} {response.reason}")
        received = pktline.PackReceiver()
        async for chunk in read_bounded(response, limit):
            received.feed(chunk)
        return received.pack()


def _ask_2(commit: str) -> bytes:
    lines = ("no-progress", "ofs-delta", "deepen 1", f"want {commit}", "done")
    return b"".join((pktline.line("command=fetch"), pktline.DELIMITER, *map(pktline.line, lines), pktline.FLUSH))


def _ask_0(server: _Server, commit: str) -> bytes:
    """Ask for the commit alone where the server gives single commits, else for all it shows."""
    gives_any = {"allow-reachable-sha1-in-want", "allow-any-sha1-in-want", "allow-tip-sha1-in-want"}
    alone = commit in server.tips or not server.capabilities.isdisjoint(gives_any)
    wants = (commit,) if alone else server.tips
    if not wants:
        raise Unavailable(f"{host_of(server.url)} shows an empty repository")
    # Without a common commit no pack is thin; some servers insist on hearing the word.
    wished = ("side-band-64k", "ofs-delta", "no-progress", "thin-pack")
    shared = " ".join(name for name in wished if name in server.capabilities)
    first, *more = wants
    lines = [pktline.line(f"want {first} {shared}"), *(pktline.line(f"want {want}") for want in more)]
    if alone and "shallow" in server.capabilities:
        lines.append(pktline.line("deepen 1"))
    return b"".join((*lines, pktline.FLUSH, pktline.line("done")))


def _allows(reach: Reach, url: str) -> bool:
    return reach.allows_repository(url.removesuffix(_DISCOVERY).removesuffix(_SERVICE))


def fingerprint(source: GitPackage) -> Mapping[str, str]:
    """What decides the bytes of a package from a repository."""
    return {
        "repository": source.repository,
        "commit": source.commit,
        "path": source.path or "",
        "language": source.language,
        "label": source.label,
    }
