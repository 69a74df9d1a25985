"""What an administrator would do without OpsSC: a script of the `peer` program, organization after organization."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opssc_tools.cluster.kubectl import run
from opssc_tools.environment.spec import APPLICATION_CHANNEL
from opssc_tools.errors import ToolsError

if TYPE_CHECKING:
    from pathlib import Path

    from fabric_devnet.network import Network, Organization
    from fabric_devnet.official.home import FabricHome
    from opssc_tools.environment.manifests import ServicePackage

COMMAND_SECONDS: Final = 60.0
VERSION: Final = "1.0"


@dataclass(frozen=True, slots=True)
class PeerScript:
    """The `peer` program of a release, used on a network by the administrators of its organizations in turn.

    It has every organization's keys on one machine, which OpsSC does without, and it proposes and votes on nothing.
    """

    home: FabricHome
    network: Network
    directory: Path

    async def deploy(self, package: ServicePackage, chaincode: str) -> float:
        """Install and approve in every organization, then commit; returns the seconds it took, raises ToolsError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        archive = self.directory / f"{chaincode}.tar.gz"
        archive.write_bytes(package.data)
        organizations = tuple(self.network.organizations.values())
        terms = ("--channelID", APPLICATION_CHANNEL, "--name", chaincode, "--version", VERSION, "--sequence", "1")
        loop = asyncio.get_running_loop()
        started = loop.time()
        for organization in organizations:
            await self._peer(organization, "install", str(archive))
            approve = ("approveformyorg", *self._orderer, *terms, "--package-id", package.package_id)
            await self._peer(organization, *approve)
        targets = [
            argument
            for organization in organizations
            for argument in (
                *("--peerAddresses", organization.peers[0].address),
                *("--tlsRootCertFiles", str(_tls_ca(organization))),
            )
        ]
        await self._peer(organizations[0], "commit", *self._orderer, *terms, *targets)
        return loop.time() - started

    @property
    def _orderer(self) -> tuple[str, ...]:
        node = self.network.orderers[0].node
        return ("--orderer", node.address, "--tls", "--cafile", str(node.directory / "tls" / "ca.crt"))

    async def _peer(self, organization: Organization, *arguments: str) -> None:
        users = organization.directory / "users"
        environment = {
            "FABRIC_CFG_PATH": str(self.home.core_yaml.parent),
            "CORE_PEER_ADDRESS": organization.peers[0].address,
            "CORE_PEER_LOCALMSPID": organization.msp_id,
            "CORE_PEER_MSPCONFIGPATH": str(users / f"Admin@{organization.domain}" / "msp"),
            "CORE_PEER_TLS_ENABLED": "true",
            "CORE_PEER_TLS_ROOTCERT_FILE": str(_tls_ca(organization)),
        }
        command = (str(self.home.peer), "lifecycle", "chaincode", *arguments)
        code, _, errors = await run(command, timeout_seconds=COMMAND_SECONDS, environment=environment)
        if code != 0:
            raise ToolsError(f"peer lifecycle chaincode {arguments[0]} as {organization.msp_id}: {errors.strip()}")


def _tls_ca(organization: Organization) -> Path:
    return organization.directory / "tlsca" / f"tlsca.{organization.domain}-cert.pem"
