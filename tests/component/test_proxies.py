"""Packages are fetched through the proxy of the environment, and nobody reads the proxy's password."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from component.connectproxy import ConnectProxy
from component.fileserver import FileServer
from component.test_sources import DATA, NODE, download, reach, wanted

from opssc_chaincode.model import GitPackage
from opssc_operator.sources import git
from opssc_operator.sources.failures import Unavailable
from opssc_operator.sources.reach import Credential

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "p@ss/word"
GOOD = "Basic " + base64.b64encode(f"operator:{SECRET}".encode()).decode()


@pytest.fixture(autouse=True)
def _no_other_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[FileServer]:
    async with FileServer.run(tmp_path) as running:
        running.files["/asset.tgz"] = DATA
        yield running


async def test_archives_and_commits_come_through_a_tunnel_of_the_proxy(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    commit = server.commit(NODE)
    source = GitPackage(label="a_1", repository=server.url("/git/repo.git"), commit=commit, language="node")
    credentials = {server.host: Credential(token="for the server alone")}
    async with ConnectProxy.run() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.place}")

        # When
        data = await download(wanted(server), reach(server, credentials=credentials), tmp_path)
        await git.build(source, reach(server), lambda _: None)

    # Then: the server's certificate was checked at the end of the tunnel, and its credential went there alone
    assert data == DATA
    assert proxy.tunnels == [server.host] * 3
    assert not any("authorization" in headers for headers in proxy.headers)
    assert server.authorizations[0] == "Bearer for the server alone"


async def test_the_certificate_behind_a_tunnel_is_verified(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ConnectProxy.run() as proxy:
        monkeypatch.setenv("https_proxy", proxy.place)

        with pytest.raises(Unavailable, match=r"see trust\.authorities"):
            await download(wanted(server), reach(server, authorities={}), tmp_path)

    assert (proxy.tunnels, server.requests) == ([server.host], [])


@pytest.mark.parametrize("exempt", ["*", "127.0.0.1", "elsewhere.example.com, 127.0.0.0/8"])
async def test_exempt_hosts_are_asked_directly(
    exempt: str, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ConnectProxy.run() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.place}")
        monkeypatch.setenv("NO_PROXY", exempt)

        assert await download(wanted(server), reach(server), tmp_path) == DATA

    assert proxy.headers == []


async def test_the_password_of_a_proxy_reaches_the_proxy_and_nobody_else(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given
    caplog.set_level(logging.DEBUG)
    async with ConnectProxy.run(authorization=GOOD) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://operator:p%40ss%2Fword@{proxy.place}")

        # When
        data = await download(wanted(server), reach(server), tmp_path)

    # Then
    assert (data, proxy.tunnels, server.authorizations) == (DATA, [server.host], [""])
    _assert_untold(caplog.text)


@pytest.mark.parametrize(
    ("password", "text"),
    [
        pytest.param("wrong", r"the proxy 127\.0\.0\.1:\d+ gives no tunnel to 127\.0\.0\.1:\d+: 407", id="refused"),
        pytest.param("p%40ss%2Fword", r"the proxy 127\.0\.0\.1:\d+ does not answer", id="away"),
    ],
)
async def test_a_proxy_that_refuses_or_is_away_is_named_without_its_password(
    *,
    password: str,
    text: str,
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Given
    caplog.set_level(logging.DEBUG)
    async with ConnectProxy.run(authorization=GOOD) as proxy:
        port = proxy.port if password == "wrong" else 1
        monkeypatch.setenv("HTTPS_PROXY", f"http://operator:{password}@127.0.0.1:{port}")

        # When
        with pytest.raises(Unavailable, match=text) as refusal:
            await download(wanted(server), reach(server), tmp_path)

    # Then
    chain = f"{refusal.value.message} {refusal.value.__cause__!r} {refusal.value.__cause__}"
    _assert_untold(f"{caplog.text} {chain}")
    assert server.requests == []


async def test_the_authority_of_a_host_vouches_for_no_proxy(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: a proxy whose certificate is of the very authority that is trusted for the host
    monkeypatch.setenv("HTTPS_PROXY", f"https://operator:p%40ss%2Fword@{server.host}")

    # When
    with pytest.raises(Unavailable, match=r"cannot be told from .* name an http:// proxy in HTTPS_PROXY") as refusal:
        await download(wanted(server), reach(server), tmp_path)

    # Then: it was not even asked
    assert server.requests == []
    _assert_untold(refusal.value.message)


def _assert_untold(text: str) -> None:
    encoded = GOOD.removeprefix("Basic ")
    assert not [secret for secret in (SECRET, "p%40ss%2Fword", "operator:", encoded) if secret in text]
