"""Where a peer finds a chaincode server: connection.json, rendered as the stock builder does."""

from __future__ import annotations

import pytest

from fabric_admin import package
from fabric_devnet.embedded.connection import build_connection, parse_duration, render
from fabric_devnet.embedded.errors import BuildFailed

CONTEXT = {"peername": "peer0-org1", "chaincode_host": "127.1.2.3"}


def test_a_template_is_rendered_with_the_peers_own_fields() -> None:
    parsed = package.parse(package.build_ccaas("asset", "{{.chaincode_host}}:9999", dial_timeout="7s"))

    connection = build_connection(parsed, CONTEXT)

    assert (connection.address, connection.dial_timeout_seconds) == ("127.1.2.3:9999", 7.0)


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        pytest.param("{{.peername}}:1", "peer0-org1:1", id="field"),
        pytest.param("{{ .peername }}:1", "peer0-org1:1", id="spaces"),
        pytest.param("{{.nosuch}}:1", "<no value>:1", id="unknown field"),
        pytest.param("plain:1", "plain:1", id="no template"),
    ],
)
def test_plain_fields_render_as_in_go(template: str, rendered: str) -> None:
    assert render(template, CONTEXT) == rendered


def test_a_template_beyond_plain_fields_is_refused_and_named() -> None:
    with pytest.raises(BuildFailed, match=r"\{\{if \.x\}\} is not supported by the embedded network"):
        render("{{if .x}}a{{end}}", CONTEXT)


def test_a_type_without_a_builder_fails_like_a_peer_without_docker() -> None:
    parsed = package.parse(package.build_k8s("asset", "example.com/asset", "sha256:" + "0" * 64))

    with pytest.raises(BuildFailed, match=r"^docker build failed: docker build is disabled$"):
        build_connection(parsed, CONTEXT)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("10s", 10.0, id="seconds"),
        pytest.param("1m30s", 90.0, id="compound"),
        pytest.param("500ms", 0.5, id="milliseconds"),
        pytest.param(2_000_000_000, 2.0, id="nanoseconds"),
        pytest.param(None, 3.0, id="default"),
    ],
)
def test_durations_are_read_as_go_does(value: object, seconds: float) -> None:
    assert parse_duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["ten", "10", "5x", "1s2"])
def test_a_malformed_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration(text)
