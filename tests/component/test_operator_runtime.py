"""The operator's runtime as a process of its own against a real API server, under its shipped Role."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml

from opssc_tools.cluster import LocalCluster
from opssc_tools.cluster.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

PROGRAM = Path(__file__).with_name("operator_runtime_program.py")
API_VERSION = "opssc.dev/v1alpha1"
WITHIN_SECONDS = 40.0


class Operator:
    """A running operator process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.logs: list[dict[str, Any]] = []
        self._reader = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def start(cls, kubeconfig: Path, namespace: str, *options: str) -> AsyncIterator[Operator]:
        command = [sys.executable, str(PROGRAM), "--namespace", namespace, "--kubeconfig", str(kubeconfig)]
        options = ("--metrics-host", "127.0.0.1", "--metrics-port", "0", "--log-format", "json", *options)
        process = await asyncio.create_subprocess_exec(*command, *options, stderr=asyncio.subprocess.PIPE)
        operator = cls(process)
        try:
            yield operator
        finally:
            await operator.end(signal.SIGKILL)
            # Shown by pytest when the test fails.
            sys.stdout.write("".join(f"{line}\n" for line in operator.logs))

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode()
            self.logs.append(json.loads(text) if text.startswith("{") else {"message": text})

    async def end(self, number: signal.Signals) -> int:
        """Sends the signal unless the process has ended, and returns its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(WITHIN_SECONDS):
            code = await self.process.wait()
            await self._reader
        return code

    def messages(self) -> list[str]:
        return [line["message"] for line in self.logs]

    async def url(self) -> str:
        async def is_served() -> bool:
            return any("port" in line for line in self.logs)

        await eventually(is_served, "the operator serves metrics")
        return f"http://127.0.0.1:{next(line['port'] for line in self.logs if 'port' in line)}"

    async def get(self, path: str) -> tuple[int, str]:
        url = await self.url()
        async with aiohttp.ClientSession() as session, session.get(f"{url}{path}") as response:
            return response.status, await response.text()

    async def reconciles(self, kind: str) -> float:
        _, text = await self.get("/metrics")
        lines = [
            line for line in text.splitlines() if line.startswith("opssc_reconcile_total{") and f'"{kind}"' in line
        ]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


class Place:
    """A namespace of a cluster, with the operator's credential for it."""

    def __init__(self, cluster: LocalCluster, namespace: str, kubeconfig: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.kubeconfig = kubeconfig

    @classmethod
    async def make(cls, cluster: LocalCluster, namespace: str, project_root: Path) -> Place:
        await cluster.apply_crds(project_root / "crds")
        role = project_root / "config/rbac/operator.yaml"
        return cls(cluster, namespace, await cluster.create_operator_credentials(namespace, "opssc-operator", role))

    async def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return await self.cluster.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    async def apply(self, *manifests: dict[str, Any]) -> None:
        await self.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    async def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.kubectl("get", kind, name, "-o", "json", "--show-managed-fields"))
        return found

    async def until(self, kind: str, name: str, what: str, condition: Callable[[dict[str, Any]], bool]) -> None:
        async def holds() -> bool:
            return condition(await self.get(kind, name))

        await eventually(holds, f"{kind} {name} {what}")


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_SECONDS} s: {what}"
        await asyncio.sleep(0.05)


def seen(known: dict[str, Any]) -> bool:
    """Whether the operator wrote its status for the object as it stands."""
    return bool(known["status"].get("observedGeneration") == known["metadata"]["generation"])


def ready_reason(known: dict[str, Any]) -> str:
    return next((str(c["reason"]) for c in known["status"].get("conditions", ()) if c["type"] == "Ready"), "")


def organization(name: str = "org1") -> dict[str, Any]:
    secret = {"name": "admin"}
    peer = {
        "name": "peer0.org1.example.com",
        "address": "127.0.0.1:7051",
        "tlsCA": {"secretRef": {"name": "tls", "key": "ca.crt"}},
    }
    spec = {
        "mspID": "Org1MSP",
        "governance": {"channel": "ops-channel"},
        "identities": {"admin": {"secretRef": secret}},
        "peers": {"explicit": [peer]},
    }
    return {"apiVersion": API_VERSION, "kind": "FabricOrganization", "metadata": {"name": name}, "spec": spec}


def proposal(name: str, **spec: object) -> dict[str, Any]:
    image = {"name": "registry.example.com/basic", "digest": f"sha256:{'0' * 64}"}
    package = {"type": "k8s", "k8s": {"label": "basic_1", "image": image}}
    chaincode = {"name": "basic", "version": "1.0"}
    return {
        "apiVersion": API_VERSION,
        "kind": "ChaincodeProposal",
        "metadata": {"name": name},
        "spec": {"channel": "mychannel", "chaincode": chaincode, "package": package, **spec},
    }


def vote(name: str, proposal_id: str) -> dict[str, Any]:
    spec = {"proposal": {"creator": "Org1MSP", "id": proposal_id}, "decision": "Agree"}
    return {"apiVersion": API_VERSION, "kind": "Vote", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
async def place(kubernetes: LocalCluster, project_root: Path, request: pytest.FixtureRequest) -> Place:
    return await Place.make(kubernetes, f"runtime-{abs(hash(request.node.name)) % 10**9}", project_root)


@pytest.fixture
async def operator(place: Place) -> AsyncIterator[Operator]:
    async with Operator.start(place.kubeconfig, place.namespace) as operator:
        yield operator


async def test_objects_of_every_kind_get_their_status_once_and_then_rest(place: Place, operator: Operator) -> None:
    await place.apply(organization(), proposal("basic"), vote("basic", "basic"))
    for kind, name in (("forg", "org1"), ("ccp", "basic"), ("vote", "basic")):
        await place.until(kind, name, "is seen as ours", lambda known: seen(known) and ready_reason(known) == "Ready")
    before = {kind: await place.get(kind, name) for kind, name in (("ccp", "basic"), ("vote", "basic"))}
    runs = await operator.reconciles("proposal")

    await place.apply(proposal("another"))
    await place.until("ccp", "another", "is seen", seen)

    after = {kind: await place.get(kind, "basic") for kind in before}
    assert {kind: known["metadata"]["resourceVersion"] for kind, known in before.items()} == {
        kind: known["metadata"]["resourceVersion"] for kind, known in after.items()
    }
    assert await operator.reconciles("proposal") - runs <= 2
    managers = {
        (entry["manager"], entry["operation"], entry.get("subresource"))
        for entry in after["ccp"]["metadata"]["managedFields"]
    }
    assert managers == {("kubectl", "Apply", None), ("opssc-operator", "Apply", "status")}


async def test_an_edit_is_noticed(place: Place, operator: Operator) -> None:
    await place.apply(organization(), proposal("basic"))
    await place.until("ccp", "basic", "is seen", seen)

    await place.apply(proposal("basic", suspend=True))
    await place.until(
        "ccp", "basic", "is seen again", lambda known: seen(known) and known["metadata"]["generation"] == 2
    )

    assert operator.process.returncode is None


async def test_a_status_written_by_somebody_else_is_put_right(place: Place, operator: Operator) -> None:
    await place.apply(organization(), proposal("basic"))
    await place.until("ccp", "basic", "is seen", seen)

    patch = json.dumps({"status": {"observedGeneration": 77, "conditions": []}})
    await place.kubectl("patch", "ccp", "basic", "--subresource=status", "--type=merge", "-p", patch)

    await place.until("ccp", "basic", "is put right", lambda known: seen(known) and ready_reason(known) == "Ready")
    assert operator.process.returncode is None


async def test_proposals_wait_for_their_organization_and_follow_when_it_appears(
    place: Place, operator: Operator
) -> None:
    await place.apply(proposal("basic"))
    await place.until("ccp", "basic", "has no owner", lambda known: ready_reason(known) == "OrganizationNotReady")

    await place.apply(organization())

    await place.until("ccp", "basic", "has an owner", lambda known: ready_reason(known) == "Ready")
    assert operator.process.returncode is None


async def test_an_object_made_anew_under_an_old_name_is_a_new_object(place: Place, operator: Operator) -> None:
    await place.apply(organization(), proposal("basic"))
    await place.until("ccp", "basic", "is seen", seen)
    first = await place.get("ccp", "basic")

    await place.kubectl("delete", "ccp", "basic")
    await place.apply(proposal("basic"))

    await place.until("ccp", "basic", "is seen again", seen)
    assert (await place.get("ccp", "basic"))["metadata"]["uid"] != first["metadata"]["uid"]
    assert operator.process.returncode is None


@pytest.mark.parametrize("wish", ["raise", "fail"])
async def test_one_bad_object_neither_ends_the_operator_nor_holds_up_others(
    place: Place, operator: Operator, wish: str
) -> None:
    await place.apply(organization(), proposal("bad", description=wish))
    await place.apply(proposal("good"))

    await place.until("ccp", "good", "is seen", seen)
    await eventually(lambda: _at_least(operator, "proposal", 3), "the bad one is tried again")

    assert not seen(await place.get("ccp", "bad"))
    assert operator.process.returncode is None


async def test_a_restart_takes_no_organization_from_its_proposals(place: Place) -> None:
    await place.apply(organization(), *(proposal(f"p{number}") for number in range(50)))

    async with Operator.start(place.kubeconfig, place.namespace) as operator:
        await place.until("ccp", "p49", "is seen", seen)
        await eventually(lambda: _at_least(operator, "proposal", 50), "all are seen")

        assert await operator.reconciles("proposal") == 50
        assert operator.process.returncode is None


async def _at_least(operator: Operator, kind: str, count: float) -> bool:
    return await operator.reconciles(kind) >= count


async def test_a_killed_operator_goes_on_where_it_was(place: Place) -> None:
    await place.apply(organization(), proposal("stuck", description="hang"), proposal("basic"))
    async with Operator.start(place.kubeconfig, place.namespace) as first:
        await place.until("ccp", "basic", "is seen", seen)
        await first.end(signal.SIGKILL)
    await place.apply(proposal("basic", suspend=True), proposal("late"))
    await place.kubectl("delete", "ccp", "stuck")

    async with Operator.start(place.kubeconfig, place.namespace) as second:
        for name in ("basic", "late"):
            await place.until("ccp", name, "is seen", seen)

        assert second.process.returncode is None


async def test_a_signal_ends_the_operator_though_reconciles_hang(place: Place) -> None:
    await place.apply(organization(), proposal("stuck", description="hang"))
    async with Operator.start(place.kubeconfig, place.namespace) as operator:
        await eventually(lambda: _is_running(operator, 1), "a reconcile hangs")

        code = await operator.end(signal.SIGTERM)

        assert code == 0
        assert operator.messages()[-1] == "operator stopped"


async def _is_running(operator: Operator, count: int) -> bool:
    _, text = await operator.get("/metrics")
    return f'opssc_queue_keys{{state="running"}} {count}.0' in text


async def test_probes_answer_and_readiness_waits_for_the_watch(place: Place, operator: Operator) -> None:
    assert await operator.get("/healthz") == (200, "ok\n")

    await eventually(lambda: _is_ready(operator), "the operator is ready")
    assert place.namespace in next(line["namespace"] for line in operator.logs if "namespace" in line)


async def _is_ready(operator: Operator) -> bool:
    return (await operator.get("/readyz"))[0] == 200


async def test_a_missing_right_is_named_and_ends_the_start(kubernetes: LocalCluster, project_root: Path) -> None:
    await kubernetes.apply_crds(project_root / "crds")
    rules = [{"apiGroups": ["opssc.dev"], "resources": ["fabricorganizations", "votes"], "verbs": ["list", "watch"]}]
    kubeconfig = await kubernetes.create_operator_credentials("runtime-poor", "opssc-operator", rules)

    async with Operator.start(kubeconfig, "runtime-poor", "--startup-seconds", "0.5") as operator:
        async with asyncio.timeout(WITHIN_SECONDS):
            code = await operator.process.wait()

        assert code == 1
        await operator.end(signal.SIGKILL)
        missing = r"add verb 'list' on '(c\w+proposals|fabricchannels)' \(apiGroup 'opssc.dev'\)"
        assert re.search(missing, operator.messages()[-1])


async def test_the_watch_outlives_a_restart_of_the_api_server(project_root: Path, tmp_path: Path) -> None:
    async with LocalCluster.start("restarted", tmp_path) as cluster:
        place = await Place.make(cluster, "org1", project_root)
        await place.apply(organization(), proposal("before"))
        async with Operator.start(place.kubeconfig, place.namespace) as operator:
            await place.until("ccp", "before", "is seen", seen)

            apiserver = cluster.processes[1]
            command = Path(f"/proc/{apiserver.pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
            await apiserver.stop()
            again = ServerProcess(command, tmp_path / "logs")
            try:
                await eventually(lambda: _answers(place), "the API server is back")
                await place.apply(proposal("after"))

                await place.until("ccp", "after", "is seen", seen)
                assert operator.process.returncode is None
            finally:
                await operator.end(signal.SIGTERM)
                await again.stop()


async def _answers(place: Place) -> bool:
    from opssc_tools.errors import KubectlError  # noqa: PLC0415 - only here an error is an answer

    try:
        await place.kubectl("get", "ccp")
    except KubectlError:
        return False
    return True
