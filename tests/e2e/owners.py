"""Three organizations, two of which run orderers: they decide about the ordering service, and start channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_devnet.spec import ChannelSpec
from opssc_tools.environment import EnvironmentSpec

if TYPE_CHECKING:
    from pathlib import Path

    from fabric_devnet.spec import BackendName

OWNERS = ("Org1MSP", "Org2MSP")
NAMES = ("ops-channel", "owned", "every", "ruled", "refused")
APART = ChannelSpec("apart", members=("Org2MSP", "Org3MSP"))
"""Ordered by organization 1 as well, which has no peer there."""
CHANNELS = (*(ChannelSpec(name) for name in NAMES), APART)


def build_spec(directory: Path, backend: BackendName) -> EnvironmentSpec:
    return EnvironmentSpec(
        directory=directory,
        organizations=3,
        backend=backend,
        channels=CHANNELS,
        orderers=3,
        orderer_owners=OWNERS,
        channel_capability="V2_0",
        api_servers=1,
        resync_period="10s",
    )
