"""A page of docs as people follow it: its commands in order, each run where its heading says."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from opssc_operator.api.group import Kind
from opssc_tools.environment import manifests
from opssc_tools.environment.founding import split
from opssc_tools.environment.spec import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opssc_tools.environment import Consortium, Member
    from opssc_tools.environment.manifests import Manifest

DEVNET, SAMPLES, PYTHON = ".devnet/", "config/samples/", ".venv/bin/python"


def steps(page: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The headings of a page, and the commands below each."""
    text = (PROJECT_ROOT / "docs" / page).read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        shell = re.findall(r"^```sh\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
        yield heading, tuple(line for block in shell for line in block.splitlines())


@dataclass(slots=True)
class Guide:
    """Runs commands; samples get the addresses of the newcomer's nodes and of an orderer of the network."""

    consortium: Consortium
    newcomer: Member
    files: dict[str, str] = field(default_factory=dict)
    """What commands printed, by the name under which later ones have it."""

    async def run(self, member: Member, *commands: str) -> None:
        """Run commands in an organization's namespace; raises KubectlError."""
        for command in commands:
            program, *arguments = shlex.split(command)
            if program == PYTHON:
                self.files[f"{self.newcomer.name}-definition.yaml"] = await self._print(arguments)
            elif arguments[:2] == ["apply", "--filename"]:
                await member.apply(self._manifest(arguments[2]))
            else:
                assert program == "kubectl"
                await member.kubectl(*arguments)

    async def _print(self, arguments: list[str]) -> str:
        network = f"{self.consortium.network.spec.directory}/"
        given = [argument.replace(DEVNET, network) for argument in arguments]
        process = await asyncio.create_subprocess_exec(sys.executable, *given, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
        assert process.returncode == 0
        return printed.decode()

    def _manifest(self, path: str) -> Manifest:
        if path in self.files:
            found: Manifest = yaml.safe_load(self.files[path])
            return found
        manifest = manifests.read_sample(path.removeprefix(SAMPLES))
        spec = manifest["spec"]
        if manifest["kind"] == Kind.FABRIC_ORGANIZATION:
            self._place(spec)
        for change in spec.get("changes", ()):
            change["addOrganization"]["anchorPeers"] = [split(self.newcomer.organization.peers[0].address)]
        return manifest

    def _place(self, spec: dict[str, Any]) -> None:
        (peer,), (orderer,) = spec["peers"]["explicit"], spec["orderers"]
        peer["address"] = self.newcomer.organization.peers[0].address
        orderer["address"] = self.consortium.network.orderers[0].address
        spec["resyncPeriod"] = self.consortium.spec.resync_period


def orderer_secret(authority: Path) -> Manifest:
    """The Secret that the joining sample names for the orderer's TLS."""
    return manifests.build_secret("orderer-tls-ca", {"ca.crt": authority.read_bytes()})
