"""What a consortium on one machine shall look like, as data; starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fabric_devnet.spec import BackendName, ChannelSpec
from opssc_tools.cluster.start import ClusterKind
from opssc_tools.errors import EnvironmentSpecError

PROJECT_ROOT: Final = Path(__file__).resolve().parents[3]
GOVERNANCE_CHANNEL: Final = "ops-channel"
APPLICATION_CHANNEL: Final = "mychannel"
ONE_SERVER: Final = frozenset({ClusterKind.EXISTING, ClusterKind.NODE})
MAX_API_SERVERS: Final = 6
"""More organizations than this share one API server: each takes about 300 MB with its etcd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """Size and kind of a consortium; everything it writes goes below `directory`.

    `api_servers` is 0 (one for each organization, as far as `MAX_API_SERVERS` allows), 1 (a namespace of one shared
    server for each organization) or the number of organizations. `resync_period` is a Go duration. Raises
    EnvironmentSpecError for anything else. `orderers` belong to an organization without an operator unless some of the
    organizations are named as `orderer_owners`. `spare_orderers`, `channel_capability` and `builder_fields` are those
    of a NetworkSpec.
    """

    directory: Path
    organizations: int = 3
    backend: BackendName = BackendName.EMBEDDED
    cluster: ClusterKind = ClusterKind.LOCAL
    api_servers: int = 0
    kubeconfig: Path | None = None
    channels: tuple[ChannelSpec, ...] = (ChannelSpec(GOVERNANCE_CHANNEL), ChannelSpec(APPLICATION_CHANNEL))
    peers: int = 1
    orderers: int = 1
    orderer_owners: tuple[str, ...] = ()
    spare_orderers: int = 0
    channel_capability: str | None = None
    batch_timeout: str = "200ms"
    resync_period: str = "1m"
    log_level: str = "INFO"
    builder_fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers of API servers that no environment has."""
        if self.api_servers not in {0, 1, self.organizations}:
            raise EnvironmentSpecError(
                f"there are {self.organizations} organizations, so api-servers is {self.organizations} or 1, "
                f"not {self.api_servers}"
            )
        if self.api_servers > 1 and self.cluster in ONE_SERVER:
            raise EnvironmentSpecError(f"the {self.cluster} cluster is one API server; leave api-servers out")

    @property
    def shares_api_server(self) -> bool:
        """Whether the organizations are namespaces of one API server."""
        if self.cluster in ONE_SERVER:
            return True
        return self.api_servers == 1 or (self.api_servers == 0 and self.organizations > MAX_API_SERVERS)

    def namespace(self, organization: str) -> str:
        """The namespace of an organization; in somebody else's cluster it says whose it is."""
        return f"opssc-{organization}" if self.cluster is ClusterKind.EXISTING else organization
