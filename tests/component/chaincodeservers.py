"""One organization's chaincode servers at a real API server, with a ledger and peers that say what a test says."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, cast

import yaml

from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.servers import ServerSettings
from opssc_operator.domain.servers import Claim, Served, Wish
from opssc_operator.kube.access import load_configuration
from opssc_operator.kube.client import KubeClient
from opssc_operator.kube.transport import Transport
from opssc_operator.reconcile.keys import KeyKind, proposal_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.runner import Result, Runner
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servers import ServerReconciler
from opssc_operator.reconcile.serversecrets import ServerSecrets
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.serverwatch import ServerWatches
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from opssc_operator.reconcile.keys import Key
    from opssc_operator.reconcile.sessions import Sessions
    from opssc_tools.cluster import LocalCluster

Body = dict[str, Any]
DIGEST = "sha256:" + "ab" * 32
PARTS = "deployments,services,serviceaccounts,networkpolicies,secrets"
SOON_SECONDS = 20.0
PAUSE_SECONDS = 0.1
RUN = ServerSettings(deploy=True)


def served(label: str, *, digit: str = "c", tls: bool = False) -> Served:
    """A server of a package of this label; another digit is another package."""
    return Served(f"{label}:{digit * 64}", label, "example.com/asset", DIGEST, 9999, tls=tls)


@dataclass(slots=True)
class Peer:
    """An own peer that uses the packages it is told to."""

    name: str = "peer0"
    used: set[str] = field(default_factory=set)

    @property
    def lifecycle(self) -> Self:
        return self

    async def query_installed(self, **_: object) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(package_id=package_id, references={"mychannel": ("asset",)}) for package_id in self.used
        ]


class Proposals:
    """Counts which proposals were woken."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    async def reconcile(self, key: Key) -> Result:
        self.woken.append(key.name)
        return Result()


@dataclass(slots=True)
class Ground:
    """What a test stands on: claims go in, objects come out."""

    cluster: LocalCluster
    namespace: str
    organization: FabricOrganization
    book: ServerBook
    peer: Peer
    proposals: Proposals
    clock: list[datetime]

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        cluster: LocalCluster,
        root: Path,
        namespace: str,
        *,
        roles: int = 2,
        servers: str | None = None,
        registries: tuple[str, ...] = ("example.com",),
    ) -> AsyncIterator[Ground]:
        """An operator's server part in a namespace; with one role only it may not touch servers."""
        await cluster.apply_crds(root / "crds")
        rbac = [root / "config" / "rbac" / name for name in ("operator.yaml", "chaincode-servers.yaml")]
        kubeconfig = await cluster.create_operator_credentials(namespace, "opssc-operator", *rbac[:roles])
        manifest = yaml.safe_load((root / "config/samples/org1/fabricorganization.yaml").read_text(encoding="utf-8"))
        manifest["spec"]["trust"] = {"imageRegistries": list(registries)}
        if servers is not None:
            manifest["spec"]["chaincodeServers"] = {"namespace": servers}
        text = await cluster.kubectl(
            "apply", "--namespace", namespace, "-f", "-", "-o", "json", stdin=yaml.safe_dump(manifest)
        )
        organization, store, queue = FabricOrganization.model_validate(json.loads(text)), ObjectStore(), WorkQueue()
        store.put(Kind.FABRIC_ORGANIZATION, json.loads(text))
        kube = KubeClient(Transport(await load_configuration(kubeconfig)))
        shelves, peer, clock = Shelves(), Peer(), [datetime.now(UTC)]
        book = ServerBook(queue, store, shelves)
        watches = ServerWatches(kube.objects, shelves, book, queue)
        session = SimpleNamespace(view=SimpleNamespace(outlines=lambda: ()), peers=SimpleNamespace(all=(peer,)))
        sessions = cast("Sessions", SimpleNamespace(ready=lambda _: session))
        servers_part = ServerReconciler(
            store, sessions, queue, kube.objects, ServerSecrets(kube), shelves, book, watches, lambda: clock[0]
        )
        proposals = Proposals()
        runner = Runner(queue, {KeyKind.SERVER: servers_part, KeyKind.PROPOSAL: proposals}, workers=2)
        running = asyncio.create_task(runner.run())
        try:
            yield cls(cluster, namespace, organization, book, peer, proposals, clock)
        finally:
            running.cancel()
            await asyncio.wait({running})
            await watches.close()
            await kube.close()

    def claim(self, server: Served, *, number: int = 1, settings: ServerSettings = RUN, **changes: Any) -> None:
        """What proposal `asset-<number>` claims."""
        wish = changes.pop("wish", Wish.RUN)
        said = (f"2026-01-{number:02}",)
        slot = ("mychannel", "asset", number)
        claim = Claim(server.package_id, slot, wish, said, settings, server, **changes)
        self.book.note(proposal_key(self.namespace, f"Org1MSP/asset-{number}"), claim, self.organization)

    def look(self, server: Served) -> str:
        """The problem proposals are told of."""
        return self.book.problem(self.namespace, server.package_id)

    def pass_time(self, days: int) -> None:
        self.clock[0] += timedelta(days=days)

    async def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return await self.cluster.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    async def parts(self, namespace: str = "") -> dict[str, Body]:
        """Everything with the operator's label, by `Kind/name`."""
        where = ("--namespace", namespace or self.namespace)
        label = f"opssc.dev/organization-namespace={self.namespace}"
        found = json.loads(await self.cluster.kubectl(*where, "get", PARTS, "--selector", label, "-o", "json"))
        return {f"{body['kind']}/{body['metadata']['name']}": body for body in found["items"]}

    async def until(
        self, holds: Callable[[dict[str, Body]], bool], what: str, *, namespace: str = ""
    ) -> dict[str, Body]:
        """Wait for the objects to be so, and return them."""
        deadline = asyncio.get_running_loop().time() + SOON_SECONDS
        while not holds(found := await self.parts(namespace)):
            assert asyncio.get_running_loop().time() < deadline, f"{what}: not in time: {sorted(found)}"
            await asyncio.sleep(PAUSE_SECONDS)
        return found

    async def until_problem(self, server: Served, text: str) -> None:
        """Wait until proposals are told of a problem that names this."""
        deadline = asyncio.get_running_loop().time() + SOON_SECONDS
        while text not in self.look(server):
            assert asyncio.get_running_loop().time() < deadline, f"not told of {text!r}: {self.look(server)!r}"
            await asyncio.sleep(PAUSE_SECONDS)
