"""The command line of the operator."""

from __future__ import annotations

from pathlib import Path

import pytest

from opssc_operator.errors import ConfigError
from opssc_operator.settings import read_settings


def test_options_win_over_the_environment() -> None:
    settings = read_settings(
        ["--namespace", "org1", "--kubeconfig", "a", "--metrics-port", "0", "--log-format", "json"],
        {"OPSSC_NAMESPACE": "other", "KUBECONFIG": "b"},
    )

    assert (settings.namespace, settings.kubeconfig) == ("org1", Path("a"))
    assert (settings.metrics_port, settings.log_format, settings.workers) == (0, "json", 16)


def test_the_environment_stands_in_for_options() -> None:
    settings = read_settings([], {"OPSSC_NAMESPACE": "org1", "KUBECONFIG": "b"})

    assert (settings.namespace, settings.kubeconfig) == ("org1", Path("b"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param([], "namespace", id="no namespace"),
        pytest.param(["--namespace", "Org_1"], "namespace", id="no DNS label"),
        pytest.param(["--namespace", "org1", "--metrics-port", "70000"], "metrics_port", id="no port"),
        pytest.param(["--namespace", "org1", "--workers", "0"], "workers", id="no workers"),
        pytest.param(["--namespace", "org1", "--startup-seconds", "soon"], "startup_seconds", id="no number"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(arguments: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=f"{named}: .*; see --help"):
        read_settings(arguments, {})
