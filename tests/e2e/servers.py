"""The objects of chaincode servers in a cluster without pods: the test plays the Deployment controller and its node."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

from opssc_operator.domain.serverset import server_name
from opssc_tools.environment.consortium import ASSET_MODULE
from opssc_tools.environment.process import PythonProgram

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opssc_tools.environment import Member
    from opssc_tools.environment.manifests import ServicePackage

Body = dict[str, Any]
PARTS = "deployments,services,serviceaccounts,networkpolicies"
SOON_SECONDS = 90.0
PAUSE_SECONDS = 0.2


async def parts_of(member: Member, package_id: str) -> dict[str, Body]:
    """Everything that stands for a package in the member's namespace, by `Kind/name`."""
    selector = f"opssc.dev/server={server_name(package_id)}"
    found = json.loads(await member.kubectl("get", PARTS, "--selector", selector, "--output", "json"))
    return {f"{body['kind']}/{body['metadata']['name']}": body for body in found["items"]}


async def until_parts(
    member: Member, package_id: str, holds: Callable[[dict[str, Body]], bool], what: str
) -> dict[str, Body]:
    """Wait for the objects of a package to be so, and return them."""
    deadline = asyncio.get_running_loop().time() + SOON_SECONDS
    while not holds(found := await parts_of(member, package_id)):
        assert asyncio.get_running_loop().time() < deadline, f"{what}: not within {SOON_SECONDS:.0f} s: {list(found)}"
        await asyncio.sleep(PAUSE_SECONDS)
    return found


def expected_parts(package_id: str) -> set[str]:
    """Names of a complete set."""
    name, label = server_name(package_id), package_id.rpartition(":")[0]
    return {f"Deployment/{name}", f"Service/{label}", f"ServiceAccount/{name}", f"NetworkPolicy/{name}"}


async def read_secret(member: Member, name: str) -> dict[str, bytes]:
    """The data of a Secret in the member's namespace."""
    body = json.loads(await member.kubectl("get", "secret", name, "--output", "json"))
    return {key: base64.b64decode(value) for key, value in body["data"].items()}


async def run_pod(member: Member, package: ServicePackage, folder: Path) -> PythonProgram:
    """Run the one container of a server's Deployment as a process, with its environment and what is mounted in it.

    It is ready, and returned, when its port can be connected to, as the probe of the container has it.

    Its address alone is another one: a pod has one of its own, this process that of the organization.
    """
    name = server_name(package.package_id)
    template = json.loads(await member.kubectl("get", "deployment", name, "--output", "json"))["spec"]["template"]
    (container,) = template["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    secrets = {
        volume["name"]: volume["secret"]["secretName"] for volume in template["spec"]["volumes"] if "secret" in volume
    }
    for mount in container["volumeMounts"]:
        if mount["name"] in secrets:
            place = folder / mount["mountPath"].lstrip("/")
            place.mkdir(parents=True)
            for key, value in (await read_secret(member, secrets[mount["name"]])).items():
                (place / key).write_bytes(value)
    port = environment["CHAINCODE_SERVER_ADDRESS"].rpartition(":")[2]
    files = [(f"--tls-{what.lower()}", environment.get(f"CHAINCODE_TLS_{what}")) for what in ("CERT", "KEY")]
    arguments = [part for option, path in files if path for part in (option, folder / path.lstrip("/"))]
    arguments += ["--address", f"{member.organization.chaincode_host}:{port}"]
    arguments += ["--package-id", environment["CHAINCODE_ID"]]
    program = PythonProgram(f"{name}-{member.name}", ASSET_MODULE, arguments, member.logs)
    member.servers[package.package_id] = program
    program.start()
    assert container["readinessProbe"]["tcpSocket"]["port"] == int(port)
    async with asyncio.timeout(SOON_SECONDS):
        while not await _listens(member.organization.chaincode_host, int(port)):
            program.check()
            await asyncio.sleep(PAUSE_SECONDS)
    return program


async def _listens(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def report(member: Member, package_id: str, *, ready: int, desired: int = 1, trouble: str = "") -> None:
    """Say of a Deployment what its controller would say of its pods."""
    name = server_name(package_id)
    body = json.loads(await member.kubectl("get", "deployment", name, "--output", "json"))
    available = ready >= desired
    conditions = [
        {
            "type": "Available",
            "status": "True" if available else "False",
            "reason": "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
            "message": "Deployment has minimum availability." if available else "Deployment lacks availability.",
        }
    ]
    if trouble:
        conditions.append({"type": "Progressing", "status": "False", "reason": trouble, "message": "timed out"})
    status = {
        "observedGeneration": body["metadata"]["generation"],
        "replicas": desired,
        "updatedReplicas": desired,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "conditions": conditions,
    }
    patch = json.dumps({"status": status})
    await member.kubectl("patch", "deployment", name, "--subresource=status", "--type=merge", "--patch", patch)
