"""How to reach the API server: from a kubeconfig file, or from inside the cluster. Reads files once, at start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from yaml import YAMLError

from opssc_operator.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Access:
    """One API server and this operator's credential for it, in the form every client library can be given.

    Paths are of PEM files; `token` is None where a client certificate is used.
    """

    server: str
    ca_path: str | None
    certificate_path: str | None
    private_key_path: str | None
    token: str | None
    verify: bool


async def load_configuration(kubeconfig: Path | None) -> Configuration:
    """The client configuration of `kubeconfig`, or of the pod's service account when None.

    Raises:
        ConfigError: neither can be read.
    """
    configuration = Configuration()
    # The runner owns retries; a second layer below it would only hide latency.
    configuration.retries = False
    try:
        if kubeconfig is None:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await load_kube_config(str(kubeconfig), client_configuration=configuration, persist_config=False)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, YAMLError, TypeError, KeyError, ValueError) as error:
        # The library reads a file of another shape with whatever error its code runs into.
        where = f"the kubeconfig {kubeconfig}" if kubeconfig else "the service account of this pod"
        raise ConfigError(
            f"cannot learn from {where} how to reach the API server: {error}; pass --kubeconfig FILE"
        ) from error
    return configuration


async def describe_access(configuration: Configuration) -> Access:
    """`configuration` as plain data, with its token refreshed if it has one."""
    header = await configuration.get_api_key_with_prefix("BearerToken", "authorization")
    return Access(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=header.removeprefix("Bearer ").removeprefix("bearer ") if header else None,
        verify=configuration.verify_ssl,
    )
