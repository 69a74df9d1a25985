"""One organization of a consortium: its Fabric side, its cluster, its operator and its chaincode servers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opssc_operator.api.group import Kind
from opssc_tools.environment import manifests
from opssc_tools.environment.objects import condition, is_true
from opssc_tools.environment.process import PythonProgram

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fabric_devnet.network import Organization
    from opssc_tools.cluster import Cluster
    from opssc_tools.environment.manifests import Manifest, ServicePackage
    from opssc_tools.environment.objects import Body, Objects
    from opssc_tools.environment.readback import PeerReader

READY_SECONDS: Final = 60.0
SHOWN_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Member:
    """One organization; `objects` shows its namespace, `readers` ask its peers without the operator."""

    organization: Organization
    cluster: Cluster
    namespace: str
    operator: PythonProgram
    objects: Objects
    readers: tuple[PeerReader, ...]
    logs: Path
    servers: dict[str, PythonProgram] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Such as `org1`."""
        return self.organization.name

    @property
    def msp_id(self) -> str:
        """Such as `Org1MSP`."""
        return self.organization.msp_id

    @property
    def reader(self) -> PeerReader:
        """The organization's first peer."""
        return self.readers[0]

    async def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the organization's namespace, as a person would."""
        return await self.cluster.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    async def apply(self, *applied: Manifest) -> None:
        """`kubectl apply` as a person does, and wait until `objects` shows it.

        Raises:
            KubectlError: with the API server's words.
        """
        answer = json.loads(
            await self.kubectl("apply", "--filename", "-", "--output", "json", stdin=manifests.dump(*applied))
        )
        for body in answer.get("items", [answer]):
            if body["kind"] in set(Kind):
                await self._until_shown(Kind(body["kind"]), body["metadata"])

    async def delete(self, kind: Kind, name: str) -> None:
        """`kubectl delete`, which waits until the object is gone, and wait until `objects` shows that."""
        uid = (self.objects.get(kind, name) or {}).get("metadata", {}).get("uid")
        await self.kubectl("delete", kind.plural, name, "--ignore-not-found")
        await self.until(
            kind, name, lambda body: body is None or body["metadata"]["uid"] != uid, "gone", seconds=SHOWN_SECONDS
        )

    async def _until_shown(self, kind: Kind, applied: Body) -> None:
        """Wait for the watch, which may tell of a change later than kubectl."""

        def shows(body: Body | None) -> bool:
            metadata = (body or {}).get("metadata", {})
            return bool(metadata.get("uid") == applied["uid"] and metadata["generation"] >= applied["generation"])

        await self.until(kind, applied["name"], shows, "shown", seconds=SHOWN_SECONDS)

    async def until(
        self, kind: Kind, name: str, holds: Callable[[Body | None], bool], what: str, *, seconds: float = READY_SECONDS
    ) -> Body:
        """Wait for an object to be so; raises ConditionTimeoutError."""
        return await self.objects.until(kind, name, holds, what, seconds=seconds) or {}

    async def until_true(self, kind: Kind, name: str, type_: str, *, seconds: float = READY_SECONDS) -> Body:
        """Wait for a condition of an object to be True; raises ConditionTimeoutError."""
        return await self.until(kind, name, lambda body: is_true(body, type_), type_, seconds=seconds)

    async def until_reason(
        self, kind: Kind, name: str, type_: str, reason: str, *, seconds: float = READY_SECONDS
    ) -> Body:
        """Wait for a condition of an object to have this reason; raises ConditionTimeoutError."""

        def holds(body: Body | None) -> bool:
            return condition(body, type_).get("reason") == reason

        return await self.until(kind, name, holds, f"{type_} {reason}", seconds=seconds)

    def serve(self, module: str, package: ServicePackage) -> PythonProgram:
        """Run a chaincode server for a package where this organization's peers look for it."""
        server = self.servers.get(package.package_id)
        if server is None:
            address = f"{self.organization.chaincode_host}:{package.port}"
            arguments = ("--address", address, "--package-id", package.package_id)
            server = PythonProgram(f"{package.name}-{self.name}", module, arguments, self.logs)
            self.servers[package.package_id] = server
        server.start()
        return server

    async def stop(self) -> None:
        """Stop the operator, then the chaincode servers."""
        await self.operator.stop()
        for server in self.servers.values():
            await server.stop()
