"""The node is a real one: pods run, answer, speak and are held to their limits."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest
import pytest_asyncio
import yaml

from fabric_devnet.ports import free_ports
from opssc_tools.node.entrance import Service, open_entrance

if TYPE_CHECKING:
    from typing import Any

    from opssc_tools.node.oci import Image
    from opssc_tools.node.real import RealNode

PORT = 8080
ROLLOUT = ("--timeout=100s",)
ANSWER_SECONDS = 30.0
NARROW = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def web(image: Image) -> list[dict[str, Any]]:
    """A web server and its Service; the image is pinned by its digest and there is no registry to ask for it."""
    container = {
        "name": "web",
        "image": image.reference,
        "command": ["/usr/local/bin/python3", "-m", "http.server", str(PORT), "--directory", "/app"],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": NARROW,
    }
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "containers": [container],
            "automountServiceAccountToken": False,
            # A first process that handles no SIGTERM is killed when this is over.
            "terminationGracePeriodSeconds": 1,
        },
    }
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": PORT}]},
        },
    ]


async def fetch(url: str) -> str:
    """What a server answers; a Service may refuse for a moment after its first pod became ready."""
    deadline = time.monotonic() + ANSWER_SECONDS
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            try:
                async with session.get(url) as response:
                    assert response.status == 200
                    return await response.text()
            except aiohttp.ClientConnectionError:
                assert time.monotonic() < deadline, f"nobody answers at {url}"
                await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(node: RealNode, asset: Image) -> str:
    """The address of a Service whose Deployment has been rolled out."""
    await node.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump_all(web(asset)))
    await node.kubectl("rollout", "status", "deployment/web", *ROLLOUT, timeout_seconds=120)
    return await node.kubectl("get", "service", "web", "--output", "jsonpath={.spec.clusterIP}")


async def test_this_machine_reaches_a_deployment_at_its_service_and_at_each_pod(node: RealNode, service: str) -> None:
    pods = await node.kubectl("get", "pods", "--output", "jsonpath={.items[*].status.podIP}")

    answers = [
        await fetch(f"http://{address}/") for address in (f"{service}:80", *(f"{p}:{PORT}" for p in pods.split()))
    ]

    assert len(answers) == 3
    assert all("opssc_chaincode" in answer for answer in answers)


async def test_the_image_comes_from_this_machine_alone_and_runs_as_nobody_in_particular(
    node: RealNode, service: str, asset: Image
) -> None:
    assert service
    events = await node.kubectl("get", "events", "--output", "jsonpath={.items[*].message}")
    user = await node.kubectl(
        "exec", "deployment/web", "--", "/usr/local/bin/python3", "-c", "import os; print(os.getuid())"
    )

    assert f'Container image "{asset.reference}" already present on machine' in events
    assert user.strip() == "65532"


async def test_a_pod_reaches_another_through_its_service_and_its_words_are_kept(node: RealNode, service: str) -> None:
    script = f"import urllib.request as u; print(u.urlopen('http://{service}/', timeout=5).status)"

    status = await node.kubectl("exec", "deployment/web", "--", "/usr/local/bin/python3", "-c", script)
    logs = await node.kubectl("logs", "--selector", "app=web", "--tail", "-1")

    assert status.strip() == "200"
    assert '"GET / HTTP/1.1" 200' in logs


async def test_peers_on_this_machine_come_in_by_a_loopback_address(node: RealNode, service: str) -> None:
    assert service
    (port,) = free_ports(1)

    async with open_entrance("127.0.0.1", port, Service(node, "default", "web", 80)):
        assert "opssc_chaincode" in await fetch(f"http://127.0.0.1:{port}/")

    async with open_entrance("127.0.0.1", port, Service(node, "default", "nobody", 80)):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_deployment_that_is_deleted_leaves_no_pod(node: RealNode, service: str) -> None:
    assert service

    await node.kubectl("delete", "deployment/web", "service/web")
    await node.kubectl("wait", "--for=delete", "pod", "--selector", "app=web", "--timeout=60s", timeout_seconds=80)

    assert await node.kubectl("get", "pods", "--output", "name") == ""
    with pytest.raises((aiohttp.ClientConnectionError, TimeoutError)):
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(f"http://{service}/"),
        ):
            pytest.fail("somebody still answers")
