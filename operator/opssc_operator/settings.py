"""How this process is deployed: command line and environment, read once. No I/O beyond the namespace file of a pod."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from opssc_operator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_POD_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


class Settings(BaseModel):
    """One operator process serves one namespace, which is one organization."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Annotated[str, StringConstraints(pattern=_DNS_LABEL, max_length=63)]
    kubeconfig: Path | None = None
    metrics_host: str = "0.0.0.0"  # noqa: S104 - a pod's probes and scrapes come from outside the pod
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    cache_dir: Path | None = None
    startup_seconds: Annotated[float, Field(gt=0)] = 60.0


def read_settings(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a command line; exits the process on `--help` and on unknown options, as argparse does.

    Raises:
        ConfigError: a value is missing or makes no sense.
    """
    given = {name: value for name, value in vars(_parser().parse_args(arguments)).items() if value is not None}
    given.setdefault("namespace", environment.get("OPSSC_NAMESPACE") or _pod_namespace())
    if "KUBECONFIG" in environment:
        given.setdefault("kubeconfig", environment["KUBECONFIG"])
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"the command line is not usable: {problems}; see --help") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opssc-operator", description="Carries out one organization's part of what Fabric organizations decided."
    )
    parser.add_argument("--namespace", help="the namespace to serve (default: OPSSC_NAMESPACE, or that of the pod)")
    parser.add_argument("--kubeconfig", help="the cluster to serve (default: KUBECONFIG, or the one the pod runs in)")
    parser.add_argument("--metrics-host", help="address of /metrics, /healthz, /readyz (default: all)")
    parser.add_argument("--metrics-port", help="port of the same (default: 8080; 0 takes a free one)")
    parser.add_argument("--log-format", choices=("text", "json"), help="default: text")
    parser.add_argument("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="default: INFO")
    parser.add_argument("--workers", help="reconciles at a time (default: 16)")
    parser.add_argument("--cache-dir", help="keeps fetched packages over restarts (default: a temporary folder)")
    parser.add_argument("--startup-seconds", help="how long to wait for CRDs and rights at start (default: 60)")
    return parser


def _pod_namespace() -> str | None:
    return _POD_NAMESPACE_FILE.read_text().strip() if _POD_NAMESPACE_FILE.is_file() else None
