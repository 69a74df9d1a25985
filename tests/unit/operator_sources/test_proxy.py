"""Which requests go through a proxy, and what a setting has to look like."""

from __future__ import annotations

import pytest

from opssc_operator.sources.failures import Unavailable
from opssc_operator.sources.proxy import Proxy, is_exempt, proxy_for

URL = "https://files.example.com:8443/a.tgz"


@pytest.fixture(autouse=True)
def _no_other_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("no_proxy", "exempt"),
    [
        pytest.param("", False, id="nothing"),
        pytest.param("*", True, id="everything"),
        pytest.param("files.example.com", True, id="name"),
        pytest.param("FILES.Example.com", True, id="upper-case"),
        pytest.param("example.com", True, id="above"),
        pytest.param(".example.com", True, id="above-with-a-dot"),
        pytest.param("ample.com", False, id="middle-of-a-word"),
        pytest.param("files.example.com:8443", True, id="port"),
        pytest.param("files.example.com:443", False, id="another-port"),
        pytest.param("a.example.com, .svc ,files.example.com", True, id="list"),
        pytest.param("10.0.0.0/8,fd00::/8", False, id="networks"),
    ],
)
def test_a_host_is_exempt_by_its_name_what_is_above_it_and_its_port(no_proxy: str, exempt: bool) -> None:
    assert is_exempt(URL, no_proxy) is exempt


@pytest.mark.parametrize(
    ("url", "no_proxy", "exempt"),
    [
        pytest.param("https://10.1.2.3/a", "10.0.0.0/8", True, id="network"),
        pytest.param("https://11.1.2.3/a", "10.0.0.0/8", False, id="another-network"),
        pytest.param("https://10.1.2.3/a", "10.1.2.3:443", True, id="address-and-default-port"),
        pytest.param("https://[fd00::1]/a", "fd00::/8", True, id="version-6"),
    ],
)
def test_an_address_is_exempt_by_its_network(url: str, no_proxy: str, exempt: bool) -> None:
    assert is_exempt(url, no_proxy) is exempt


@pytest.mark.parametrize(
    ("setting", "proxy"),
    [
        pytest.param("", None, id="none"),
        pytest.param("proxy.example.com:3128", Proxy("http://proxy.example.com:3128"), id="bare"),
        pytest.param("http://proxy.example.com/", Proxy("http://proxy.example.com"), id="default-port"),
        pytest.param("https://[::1]:3128", Proxy("https://[::1]:3128"), id="version-6"),
        pytest.param(
            "http://a%40b:c@proxy:1", Proxy("http://proxy:1", {"Proxy-Authorization": "Basic YUBiOmM="}), id="password"
        ),
    ],
)
def test_a_setting_names_a_proxy(setting: str, proxy: Proxy | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", setting)

    assert proxy_for(URL) == proxy


@pytest.mark.parametrize("setting", ["socks5://u:secret@proxy:1", "http://u:secret@", "http://u:secret@proxy:99999"])
def test_a_setting_that_is_no_proxy_is_refused_unread(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", setting)

    with pytest.raises(Unavailable, match="HTTPS_PROXY of the operator is no") as refusal:
        proxy_for(URL)
    assert "secret" not in refusal.value.message


def test_a_proxy_shows_neither_name_nor_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://name:secret@proxy:1")

    assert repr(proxy_for(URL)) == "Proxy(url='http://proxy:1')"
