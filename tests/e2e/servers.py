"""The objects of chaincode servers in a cluster without pods: the test plays the Deployment controller."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from opssc_operator.domain.serverset import server_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from opssc_tools.environment import Member

Body = dict[str, Any]
PARTS = "deployments,services,serviceaccounts,networkpolicies"
SOON_SECONDS = 30.0
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
