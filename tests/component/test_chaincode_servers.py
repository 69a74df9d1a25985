"""Chaincode servers at a real API server, under the shipped Roles: made, healed, replaced, and nothing else."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import yaml
from component.chaincodeservers import Ground, served

from opssc_operator.api.servers import ServerSettings
from opssc_operator.domain.servers import Wish
from opssc_operator.domain.serverset import server_name

if TYPE_CHECKING:
    from pathlib import Path

    from opssc_tools.cluster import LocalCluster

FIRST, SECOND = served("asset-0123456789ab"), served("asset-ba9876543210", digit="d")
SAME_LABEL = served("asset-0123456789ab", digit="e")
SECURE = served("secure-0123456789ab", tls=True)
NAME = server_name(FIRST.package_id)
WHOLE = {f"Deployment/{NAME}", f"Service/{FIRST.label}", f"ServiceAccount/{NAME}", f"NetworkPolicy/{NAME}"}


def uids(parts: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: body["metadata"]["uid"] for name, body in parts.items()}


async def test_a_server_is_made_follows_its_settings_and_is_healed(
    kubernetes: LocalCluster, project_root: Path
) -> None:
    async with Ground.open(kubernetes, project_root, "servers-life") as ground:
        # When
        ground.claim(FIRST)

        # Then
        made = await ground.until(lambda parts: set(parts) == WHOLE, "complete")

        # When: other settings
        ground.claim(FIRST, settings=ServerSettings(deploy=True, replicas=3))
        await ground.until(lambda parts: parts[f"Deployment/{NAME}"]["spec"]["replicas"] == 3, "scaled")

        # When: somebody edits and deletes
        await ground.kubectl("scale", f"deployment/{NAME}", "--replicas=7")
        await ground.kubectl("patch", "service", FIRST.label, "--type=merge", "-p", '{"spec":{"selector":{"app":"x"}}}')
        await ground.kubectl("delete", "networkpolicy", NAME)

        # Then
        def is_healed(parts: dict[str, dict[str, Any]]) -> bool:
            if set(parts) != WHOLE or parts[f"Deployment/{NAME}"]["spec"]["replicas"] != 3:
                return False
            return bool(parts[f"Service/{FIRST.label}"]["spec"]["selector"].get("opssc.dev/server") == NAME)

        healed = await ground.until(is_healed, "healed")
        kept = {name: uid for name, uid in uids(healed).items() if name != f"NetworkPolicy/{NAME}"}
        assert kept.items() <= uids(made).items()

        # When
        ground.claim(FIRST, wish=Wish.STOP)

        # Then
        await ground.until(lambda parts: not parts, "removed")


async def test_a_server_goes_when_nothing_uses_its_package_any_more(
    kubernetes: LocalCluster, project_root: Path
) -> None:
    async with Ground.open(kubernetes, project_root, "servers-past") as ground:
        # Given: two versions, the second accepted and not committed
        ground.claim(FIRST, committed=True)
        ground.claim(SECOND, number=2)
        await ground.until(lambda parts: len(parts) == 8, "both")

        # When: the second is committed, and the own peer's definition of another channel still uses the first
        ground.peer.used.add(FIRST.package_id)
        ground.claim(SECOND, number=2, committed=True)
        ground.claim(FIRST, current=False)
        await ground.kubectl("delete", "serviceaccount", NAME)

        # Then: it is kept, whole
        await ground.until(lambda parts: len(parts) == 8, "healed")
        assert "Org1MSP/asset-1" in ground.proposals.woken

        # When
        ground.peer.used.clear()
        ground.claim(FIRST, current=False, settings=ServerSettings(deploy=True, replicas=2))

        # Then
        left = await ground.until(lambda parts: len(parts) == 4, "removed")
        assert f"Service/{SECOND.label}" in left


FOREIGN = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": FIRST.label, "labels": {"app": "other"}},
    "spec": {"ports": [{"port": 80}], "selector": {"app": "other"}},
}


async def test_an_object_of_somebody_else_is_neither_taken_nor_deleted(
    kubernetes: LocalCluster, project_root: Path
) -> None:
    async with Ground.open(kubernetes, project_root, "servers-foreign") as ground:
        # Given
        text = await ground.kubectl("create", "-f", "-", "-o", "json", stdin=yaml.safe_dump(FOREIGN))

        # When
        ground.claim(FIRST)

        # Then: said, and untouched, also when the server is to go again
        await ground.until_problem(FIRST, f"services servers-foreign/{FIRST.label} was made by somebody else")
        ground.claim(FIRST, wish=Wish.STOP)
        await ground.until(lambda parts: not parts, "nothing")
        standing = json.loads(await ground.kubectl("get", "service", FIRST.label, "-o", "json"))
        assert standing == json.loads(text)


async def test_two_packages_of_one_label_take_turns(kubernetes: LocalCluster, project_root: Path) -> None:
    async with Ground.open(kubernetes, project_root, "servers-label") as ground:
        # Given
        ground.claim(FIRST, committed=True)
        made = await ground.until(lambda parts: set(parts) == WHOLE, "complete")

        # When: another package of the same label, which differs in its indexes alone
        ground.claim(SAME_LABEL, number=2)

        # Then: the one in use keeps the name until it is replaced
        await ground.until_problem(SAME_LABEL, f"still serves package {FIRST.package_id}")
        assert uids(await ground.parts()) == uids(made)
        ground.claim(FIRST, current=False)
        name = server_name(SAME_LABEL.package_id)
        parts = await ground.until(lambda parts: f"Deployment/{name}" in parts and len(parts) == 4, "turned")
        assert parts[f"Service/{FIRST.label}"]["spec"]["selector"]["opssc.dev/server"] == name
        assert ground.look(SAME_LABEL) == ""


async def test_a_secure_server_has_a_certificate_that_is_renewed_in_time(
    kubernetes: LocalCluster, project_root: Path
) -> None:
    async with Ground.open(kubernetes, project_root, "servers-tls") as ground:
        # Given
        name = server_name(SECURE.package_id)
        ground.claim(SECURE)
        before = await ground.until(lambda parts: f"Deployment/{name}" in parts, "complete")
        authority = before["Secret/org1-chaincode-ca"]["data"]
        assert before[f"Secret/{name}-tls"]["data"]["ca.crt"] == authority["ca.crt"]
        assert base64.b64decode(authority["ca.crt"]).startswith(b"-----BEGIN CERTIFICATE-----")

        # When: its end comes near, and the server is looked at for any reason
        ground.pass_time(days=70)
        await ground.kubectl("delete", "networkpolicy", name)

        # Then: a new certificate below the same CA, and new pods with it
        def is_renewed(parts: dict[str, dict[str, Any]]) -> bool:
            templates = [found[f"Deployment/{name}"]["spec"]["template"]["metadata"] for found in (before, parts)]
            return bool(templates[0]["annotations"] != templates[1]["annotations"])

        after = await ground.until(is_renewed, "renewed")
        assert after["Secret/org1-chaincode-ca"]["data"] == authority
        assert after[f"Secret/{name}-tls"]["data"]["tls.crt"] != before[f"Secret/{name}-tls"]["data"]["tls.crt"]

        # When
        ground.claim(SECURE, wish=Wish.STOP)

        # Then: the CA stays, because peers were told of it
        await ground.until(lambda parts: set(parts) == {"Secret/org1-chaincode-ca"}, "removed")


async def test_a_secret_of_somebody_else_is_not_overwritten(kubernetes: LocalCluster, project_root: Path) -> None:
    async with Ground.open(kubernetes, project_root, "servers-secret") as ground:
        # Given
        await ground.kubectl("create", "secret", "generic", "org1-chaincode-ca", "--from-literal=ca.crt=mine")

        # When
        ground.claim(SECURE)

        # Then
        await ground.until_problem(SECURE, "Secret servers-secret/org1-chaincode-ca was made by somebody else")
        assert "Deployment" not in str(sorted(await ground.parts()))


async def test_in_a_namespace_of_their_own_servers_carry_labels_alone(
    kubernetes: LocalCluster, project_root: Path
) -> None:
    async with Ground.open(kubernetes, project_root, "servers-home", servers="servers-away") as ground:
        # Given: the operator may act in both
        await kubernetes.create_namespace("servers-away")
        role = "config/rbac/chaincode-servers.yaml"
        await kubernetes.kubectl("--namespace", "servers-away", "apply", "-f", str(project_root / role))
        account = "--serviceaccount=servers-home:opssc-operator"
        await kubernetes.kubectl(
            "--namespace", "servers-away", "create", "rolebinding", "servers", "--role=opssc-chaincode-servers", account
        )

        # When
        ground.claim(FIRST)

        # Then
        made = await ground.until(lambda parts: set(parts) == WHOLE, "complete", namespace="servers-away")
        assert all("ownerReferences" not in body["metadata"] for body in made.values())
        assert await ground.parts() == {}


async def test_what_the_operator_may_not_do_is_said_to_who_asked(kubernetes: LocalCluster, project_root: Path) -> None:
    async with Ground.open(kubernetes, project_root, "servers-denied", roles=1) as ground:
        ground.claim(FIRST)

        await ground.until_problem(FIRST, "to its Role in servers-denied")


async def test_a_namespace_that_is_missing_is_named(kubernetes: LocalCluster, project_root: Path) -> None:
    async with Ground.open(kubernetes, project_root, "servers-lost", servers="servers-nowhere") as ground:
        ground.claim(FIRST)

        await ground.until_problem(FIRST, "servers-nowhere")


async def test_an_image_of_a_registry_nobody_trusts_is_not_run(kubernetes: LocalCluster, project_root: Path) -> None:
    async with Ground.open(kubernetes, project_root, "servers-trust", registries=("example.org",)) as ground:
        ground.claim(FIRST)

        await ground.until_problem(FIRST, "image example.com/asset is not in trust.imageRegistries")
        assert await ground.parts() == {}
