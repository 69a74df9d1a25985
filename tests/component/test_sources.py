"""Packages fetched from a real https server and a real git server, as they should and should not be."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from component.fileserver import FileServer

from fabric_admin.package import build_ccaas, build_git, package_id
from fabric_admin.sourcetree import SourceFile
from opssc_chaincode.model import ArchivePackage, GitPackage
from opssc_operator.api.conditions import Reason
from opssc_operator.api.trust import Trust
from opssc_operator.domain.content import BuiltPackage
from opssc_operator.domain.verdict import Verdict
from opssc_operator.sources import archive, git
from opssc_operator.sources.cache import PackageCache
from opssc_operator.sources.desk import FetchDesk
from opssc_operator.sources.failures import FetchError, Unavailable, Unusable, WrongContent
from opssc_operator.sources.reach import Credential, Reach

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DATA = build_ccaas(
    "asset_1.0", "{{.chaincode_host}}:9999", indexes={"indexes/a.json": b'{"index":{"fields":["a"]}}' * 90}
)
NODE = {"package.json": (b"{}", 0o100644), "lib/index.js": (b"let a = 1", 0o100755)}


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[FileServer]:
    async with FileServer.run(tmp_path) as running:
        yield running


def reach(server: FileServer, **changes: Any) -> Reach:
    trust = Trust(archive_hosts=(server.host,), repositories=(server.url("/git/"),))
    values: dict[str, Any] = {"trust": trust, "authorities": {server.host: server.ca}, **changes}
    return Reach(**values)


def wanted(server: FileServer, *paths: str, data: bytes = DATA, label: str = "asset_1.0") -> ArchivePackage:
    urls = tuple(server.url(path) for path in paths or ("/asset.tgz",))
    return ArchivePackage(label=label, sha256=hashlib.sha256(data).hexdigest(), urls=urls)


async def download(source: ArchivePackage, reached: Reach, tmp_path: Path, **more: Any) -> bytes:
    return await archive.download(source, reached, tmp_path / "partial", lambda _: None, **more)


async def test_an_archive_is_downloaded_and_is_what_was_asked_for(server: FileServer, tmp_path: Path) -> None:
    server.files["/asset.tgz"] = DATA

    assert await download(wanted(server), reach(server), tmp_path) == DATA


async def test_urls_are_tried_in_order_until_one_gives_the_archive(server: FileServer, tmp_path: Path) -> None:
    # Given
    server.files |= {"/third.tgz": DATA, "/second.tgz": b"something else"}

    # When
    data = await download(wanted(server, "/first.tgz", "/second.tgz", "/third.tgz"), reach(server), tmp_path)

    # Then
    assert data == DATA
    assert server.requests == ["GET /first.tgz", "GET /second.tgz", "GET /third.tgz"]


async def test_a_download_that_breaks_off_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    # Given
    server.files["/asset.tgz"] = DATA
    server.breaks_after["/asset.tgz"] = [1000, 500]

    # When
    data = await download(wanted(server), reach(server), tmp_path)

    # Then
    assert data == DATA
    assert server.ranges == ["", "bytes=1000-", "bytes=1500-"]


async def test_what_one_mirror_spoils_does_not_spoil_the_next(server: FileServer, tmp_path: Path) -> None:
    # Given
    server.files |= {"/spoilt.tgz": bytes(2000), "/asset.tgz": DATA}
    server.breaks_after["/spoilt.tgz"] = [100, 100, 100]

    # When
    data = await download(wanted(server, "/spoilt.tgz", "/asset.tgz"), reach(server), tmp_path)

    # Then
    assert data == DATA
    assert server.ranges == ["", "bytes=100-", "bytes=200-", ""]


@pytest.mark.parametrize(
    ("content", "label", "limit", "failure", "text"),
    [
        pytest.param(DATA + b"x", "asset_1.0", 1 << 20, WrongContent, "SHA-256", id="a-tampered-byte"),
        pytest.param(DATA, "asset_2.0", 1 << 20, WrongContent, "label inside the archive is asset_1.0", id="label"),
        pytest.param(DATA, "asset_1.0", 100, Unavailable, "more than 100 bytes", id="too-large"),
        pytest.param(b"no package", "asset_1.0", 1 << 20, Unusable, "no chaincode package", id="no-package"),
    ],
)
async def test_what_is_not_the_proposed_package_is_refused(
    *, content: bytes, label: str, limit: int, failure: type[FetchError], text: str, server: FileServer, tmp_path: Path
) -> None:
    # Given
    server.files["/asset.tgz"] = content
    proposed = content if failure is Unusable else DATA

    # When
    with pytest.raises(failure, match=text):
        await download(wanted(server, data=proposed, label=label), reach(server), tmp_path, limit=limit)


async def test_a_redirect_leads_to_trusted_hosts_alone_and_takes_no_credentials_along(
    server: FileServer, tmp_path: Path
) -> None:
    # Given
    folder = tmp_path / "other"
    folder.mkdir()
    async with FileServer.run(folder) as other:
        other.files["/asset.tgz"] = DATA
        server.redirects["/asset.tgz"] = other.url("/asset.tgz")
        credentials = {server.host: Credential(token="of-the-first-host")}
        authorities = {server.host: server.ca, other.host: other.ca}
        both = Trust(archive_hosts=(server.host, other.host))

        # When
        with pytest.raises(Unavailable, match="which is not trusted"):
            await download(wanted(server), reach(server, authorities=authorities, credentials=credentials), tmp_path)
        refused = list(other.requests)
        reached = reach(server, trust=both, authorities=authorities, credentials=credentials)
        data = await download(wanted(server), reached, tmp_path)

        # Then
        assert refused == []
        assert data == DATA
        assert other.authorizations == [""]
        assert set(server.authorizations) == {"Bearer of-the-first-host"}


async def test_a_redirect_out_of_https_is_not_followed(server: FileServer, tmp_path: Path) -> None:
    server.redirects["/asset.tgz"] = f"http://{server.host}/asset.tgz"

    with pytest.raises(Unavailable, match="not trusted"):
        await download(wanted(server), reach(server), tmp_path)


@pytest.mark.parametrize("location", ["https://[x", "https://127.0.0.1:99999/asset.tgz"])
async def test_a_redirect_to_what_is_no_url_is_a_typed_error(location: str, server: FileServer, tmp_path: Path) -> None:
    server.redirects["/asset.tgz"] = location

    with pytest.raises(Unavailable, match="no URL that can be asked"):
        await download(wanted(server), reach(server), tmp_path)


@pytest.mark.parametrize("climbing", ["/git/%2e%2e/evil", "/git/..%2fevil"])
async def test_a_redirect_does_not_climb_out_of_a_trusted_place(climbing: str, server: FileServer) -> None:
    # Given
    server.redirects["/git/repo.git/info/refs"] = server.url(f"{climbing}/info/refs")
    source = GitPackage(label="a", repository=server.url("/git/repo.git"), commit="0" * 40, language="node")

    # When
    with pytest.raises(Unavailable, match="which is not trusted"):
        await git.build(source, reach(server), lambda _: None)

    # Then
    assert server.requests == ["GET /git/repo.git/info/refs"]


async def test_a_certificate_of_nobody_known_is_not_accepted(server: FileServer, tmp_path: Path) -> None:
    server.files["/asset.tgz"] = DATA

    with pytest.raises(Unavailable, match=r"see trust\.authorities"):
        await download(wanted(server), reach(server, authorities={}), tmp_path)
    assert server.requests == []


async def test_a_commit_is_packaged_as_its_tree(server: FileServer) -> None:
    # Given
    commit = server.commit({f"cc/{name}": file for name, file in NODE.items()} | {"link": (b"/etc/passwd", 0o120000)})
    source = GitPackage(label="a_1", repository=server.url("/git/repo.git"), commit=commit, path="cc", language="node")

    # When
    built = await git.build(source, reach(server), lambda _: None)

    # Then
    tree = {name: SourceFile(content, mode) for name, (content, mode) in NODE.items()}
    assert built == build_git({f"cc/{name}": file for name, file in tree.items()}, "a_1", "node", path="cc")


async def test_an_older_commit_comes_with_the_history_a_server_shows(server: FileServer) -> None:
    # Given
    older = server.commit(NODE)
    server.commit({**NODE, "more.js": (b"", 0o100644)}, parent=older)
    source = GitPackage(label="a_1", repository=server.url("/git/repo.git"), commit=older, language="node")

    # When
    built = await git.build(source, reach(server), lambda _: None)

    # Then
    assert built == build_git({name: SourceFile(*file) for name, file in NODE.items()}, "a_1", "node")


@pytest.mark.parametrize(
    ("files", "text"),
    [
        pytest.param({**NODE, "passwd": (b"/etc/passwd", 0o120000)}, "symbolic link", id="link"),
        pytest.param({**NODE, "sub": (b"", 0o160000)}, "no regular file", id="sub-module"),
        pytest.param({**NODE, "..": (b"", 0o100644)}, "leads outside", id="traversal"),
        pytest.param({**NODE, ".git/config": (b"", 0o100644)}, "leads outside", id="git-folder"),
        pytest.param({"README": (b"", 0o100644)}, "no Go files|go.mod", id="no-module"),
    ],
)
async def test_a_commit_that_plays_tricks_is_no_package(
    files: dict[str, tuple[bytes, int]], text: str, server: FileServer
) -> None:
    language = "golang" if "README" in files else "node"
    source = GitPackage.model_validate(
        {"label": "a", "repository": server.url("/git/repo.git"), "commit": server.commit(files), "language": language}
    )

    with pytest.raises(Unusable, match=text):
        await git.build(source, reach(server), lambda _: None)


async def test_a_commit_nobody_has_and_an_answer_too_long_are_refused(server: FileServer) -> None:
    # Given
    commit = server.commit(NODE)
    known = GitPackage(label="a", repository=server.url("/git/repo.git"), commit=commit, language="node")
    unknown = known.model_copy(update={"commit": "0" * 40})

    # Then
    with pytest.raises(FetchError):
        await git.build(unknown, reach(server), lambda _: None)
    with pytest.raises(Unavailable, match="more than 50 bytes"):
        await git.build(known, reach(server), lambda _: None, limit=50)


async def test_a_desk_says_what_is_under_way_wakes_who_asked_and_keeps_what_came(
    server: FileServer, tmp_path: Path
) -> None:
    # Given
    server.files["/asset.tgz"] = DATA
    woken = asyncio.Event()
    desk, source, reached = FetchDesk(PackageCache(tmp_path / "cache")), wanted(server), reach(server)

    async def load() -> Reach:
        return reached

    async def ask(desk: FetchDesk) -> BuiltPackage | Verdict:
        return await desk.obtain(source, load, "somebody", woken.set)

    # When
    first = await ask(desk)
    async with asyncio.timeout(30):
        while not isinstance(obtained := await ask(desk), BuiltPackage):
            await woken.wait()
            woken.clear()
    again = await ask(FetchDesk(PackageCache(tmp_path / "cache")))
    await desk.close()

    # Then
    assert isinstance(first, Verdict)
    assert (first.status, first.reason) == ("Unknown", Reason.PACKAGE_PENDING)
    assert obtained == again == BuiltPackage(DATA, package_id("asset_1.0", DATA))
    assert server.requests == ["GET /asset.tgz"]


async def test_a_desk_says_why_a_package_is_refused(server: FileServer, tmp_path: Path) -> None:
    # Given
    server.files["/asset.tgz"] = DATA + b"tampered"
    woken = asyncio.Event()
    desk, reached = FetchDesk(PackageCache(tmp_path / "cache")), reach(server)

    async def load() -> Reach:
        return reached

    async def ask() -> BuiltPackage | Verdict:
        return await desk.obtain(wanted(server), load, 1, woken.set)

    # When
    async with asyncio.timeout(30):
        while isinstance(verdict := await ask(), Verdict) and verdict.reason is Reason.PACKAGE_PENDING:
            await woken.wait()
            woken.clear()
    await desk.close()

    # Then
    assert isinstance(verdict, Verdict)
    assert (verdict.status, verdict.reason) == ("False", Reason.PACKAGE_ID_MISMATCH)
