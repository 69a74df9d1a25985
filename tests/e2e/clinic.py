"""A namespace of its own for a FabricOrganization that is wrong: it acts for an organization, but sends nothing."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opssc_operator.api.group import Kind
from opssc_tools.environment import manifests
from opssc_tools.environment.consortium import OPERATOR_ACCOUNT, OPERATOR_MODULE
from opssc_tools.environment.objects import Objects, condition, is_true
from opssc_tools.environment.process import PythonProgram
from opssc_tools.environment.spec import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_devnet.network import Organization
    from opssc_tools.cluster import Cluster
    from opssc_tools.environment import Consortium
    from opssc_tools.environment.manifests import Manifest
    from opssc_tools.environment.objects import Body

NAMESPACE = "clinic"
PATIENT = "patient"
NOTICED_SECONDS = 30.0
HEALED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Clinic:
    """A second operator of organization 4, suspended by its manifest; one process for every patient."""

    organization: Organization
    cluster: Cluster
    operator: PythonProgram
    objects: Objects

    @classmethod
    @asynccontextmanager
    async def open(cls, consortium: Consortium) -> AsyncIterator[Clinic]:
        member = consortium.member(4)
        rules = PROJECT_ROOT / "config" / "rbac" / "operator.yaml"
        kubeconfig = await member.cluster.create_operator_credentials(NAMESPACE, OPERATOR_ACCOUNT, rules)
        options = ("--metrics-host", "127.0.0.1", "--metrics-port", "0")
        arguments = ("--namespace", NAMESPACE, "--kubeconfig", kubeconfig, *options)
        operator = PythonProgram("operator-clinic", OPERATOR_MODULE, arguments, member.logs)
        operator.start()
        async with Objects.watch(member.cluster.admin_kubeconfig, NAMESPACE) as objects:
            yield cls(member.organization, member.cluster, operator, objects)
        await operator.stop()

    def manifest(self) -> Manifest:
        """The organization as it should be."""
        built = manifests.build_organization(self.organization, governance_channel="ops-channel", resync_period="1m")
        built["metadata"]["name"] = PATIENT
        built["spec"].update(suspend=True, mirror={"enabled": False})
        del built["spec"]["governance"]["bootstrap"]
        return built

    def secrets(self) -> dict[str, Manifest]:
        """The Secrets it names, by what they hold."""
        admin, client, tls_ca = manifests.build_secrets(self.organization)
        return {"admin": admin, "client": client, "tls-ca": tls_ca}

    async def apply(self, *applied: Manifest) -> None:
        await self.cluster.kubectl("apply", "--namespace", NAMESPACE, "--filename", "-", stdin=manifests.dump(*applied))

    async def discharge(self) -> None:
        """Remove the patient and everything it named."""
        for kind in ("fabricorganizations", "secrets"):
            await self.cluster.kubectl("delete", kind, "--namespace", NAMESPACE, "--all")

    async def until_ill(self, kind: str, reason: str) -> Body:
        """Wait until a condition is False for this reason; return it."""

        def holds(body: Body | None) -> bool:
            found = condition(body, kind)
            return (found.get("status"), found.get("reason")) == ("False", reason)

        body = await self.objects.until(
            Kind.FABRIC_ORGANIZATION, PATIENT, holds, f"{kind} is False for {reason}", seconds=NOTICED_SECONDS
        )
        return condition(body, kind)

    async def until_healthy(self) -> None:
        """Wait until the organization is Ready, without anybody touching the operator."""
        await self.objects.until(
            Kind.FABRIC_ORGANIZATION, PATIENT, lambda body: is_true(body, "Ready"), "Ready", seconds=HEALED_SECONDS
        )

    def failing(self) -> set[str]:
        """Types of the conditions that are False."""
        body = self.objects.get(Kind.FABRIC_ORGANIZATION, PATIENT) or {}
        return {found["type"] for found in body["status"]["conditions"] if found["status"] == "False"}


def without(secret: Manifest, key: str) -> Manifest:
    """A Secret that lacks a key."""
    return {**secret, "data": {name: value for name, value in secret["data"].items() if name != key}}


def holding(secret: Manifest, **data: bytes) -> Manifest:
    """A Secret with other contents; the keys' underscores stand for dots."""
    changed = {name.replace("_", "."): base64.b64encode(value).decode() for name, value in data.items()}
    return {**secret, "data": {**secret["data"], **changed}}
