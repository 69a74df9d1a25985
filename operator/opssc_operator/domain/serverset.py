"""The Kubernetes objects of one chaincode server, as they are applied. Pure.

Names follow from the package ID, so that two packages never share an object; only the Service is named as the package's
label, because peers look for it there. Of what other organizations wrote, image, label and port are used, each as the
contract validated it; environment and amounts come from this organization's own manifests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from opssc_operator.api.group import API_VERSION, GROUP, Kind
from opssc_operator.api.servers import ChaincodeServers, ResourceAmounts, ServerResources, ServerSettings
from opssc_operator.domain.servers import Served

Manifest = Mapping[str, Any]

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "opssc-operator"
ORGANIZATION_LABEL: Final = f"{GROUP}/organization-namespace"
SERVER_LABEL: Final = f"{GROUP}/server"
PACKAGE_ANNOTATION: Final = f"{GROUP}/package-id"
CERTIFICATE_ANNOTATION: Final = f"{GROUP}/certificate"
NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"

UNPRIVILEGED_ID: Final = 65532
"""User and group of the process, whatever the image names: most chaincode images name none, which is root."""
TLS_FOLDER: Final = "/etc/opssc/tls"
DEFAULT_AMOUNTS: Final = {"cpu": ("50m", "1"), "memory": ("64Mi", "512Mi"), "ephemeral-storage": ("0", "1Gi")}
"""Request and limit of what nobody stated. No disk is requested: not every node says how much it has."""
_SHORT_NAME_LABELS: Final = 2
_HASH_DIGITS: Final = 10
_LONGEST_NAME: Final = 63


@dataclass(frozen=True, slots=True)
class Owner:
    """The organization a server belongs to."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """Everything the objects of one server are made of; ``certificate`` names the one in use when TLS is asked for.

    ``peer_namespaces`` are those in which the organization's peers are looked for.
    """

    served: Served
    settings: ServerSettings
    grants: ChaincodeServers
    owner: Owner
    certificate: str = ""
    peer_namespaces: tuple[str, ...] = ()

    @property
    def namespace(self) -> str:
        """Where the objects are."""
        return servers_namespace(self.owner.namespace, self.grants)

    @property
    def name(self) -> str:
        """The name of every object but the Service."""
        return server_name(self.served.package_id)


def servers_namespace(organization_namespace: str, grants: ChaincodeServers) -> str:
    """The namespace of an organization's chaincode servers."""
    return grants.namespace or organization_namespace


def server_name(package_id: str) -> str:
    """Name of a package's objects: the beginning of its label and ten digits of the package's own hash."""
    label, _, digest = package_id.rpartition(":")
    suffix = f"-{digest[:_HASH_DIGITS]}"
    return label[: _LONGEST_NAME - len(suffix)].rstrip("-") + suffix


def tls_secret_name(package_id: str) -> str:
    """Name of the Secret with a server's certificate and key."""
    return f"{server_name(package_id)}-tls"


def owner_labels(organization_namespace: str) -> dict[str, str]:
    """The labels by which an operator knows the objects it made."""
    return {MANAGED_BY: MANAGER, ORGANIZATION_LABEL: organization_namespace}


def is_own(body: Manifest, organization_namespace: str) -> bool:
    """Whether the operator of this organization made the object."""
    labels = body["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in owner_labels(organization_namespace).items())


def package_of(body: Manifest) -> str:
    """The package ID an object was made for; empty when it names none."""
    annotations = body["metadata"].get("annotations") or {}
    return str(annotations.get(PACKAGE_ANNOTATION) or "")


def service_dns_names(served: Served, namespace: str) -> tuple[str, ...]:
    """Every name by which peers may reach the server through its Service, and that of its package's address."""
    service = served.label
    names = (
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    )
    return names if served.host is None or served.host in names else (*names, served.host)


def certificate_names(plan: ServerPlan) -> tuple[str, ...]:
    """Every name and address that the server's certificate is for."""
    names = service_dns_names(plan.served, plan.namespace)
    return (*names, *(name for name in plan.grants.names if name not in names))


def address_refusal(served: Served, namespace: str, grants: ChaincodeServers) -> str:
    """Why the server gets no certificate for the address of its package, or an empty text.

    The address is what others agreed on, and whoever has a certificate for it can pose as what is reached there; what
    the organization names by itself is its own affair.
    """
    host = (served.host or "").rstrip(".").lower()
    own = f"{served.label}.{namespace}.svc"
    is_own_name = host.startswith(f"{own}.") or host in service_dns_names(replace(served, host=None), namespace)
    if not host or is_own_name or served.host in grants.names or not _is_service_name(host):
        return ""
    return (
        f"address {host} is, or may be, another Service of the cluster, so no certificate is made for it; "
        f"propose {own}, a template or a name outside the cluster, list it in chaincodeServers.names, or do not run it"
    )


def _is_service_name(host: str) -> bool:
    """Whether a host may be a Service's: `name`, `name.namespace`, either with `.svc` and a domain, or an address."""
    labels = host.split(".")
    if labels[-1].isdigit():
        return True
    return len(labels) <= _SHORT_NAME_LABELS or "svc" in labels[_SHORT_NAME_LABELS:] or host.endswith(".cluster.local")


def build_metadata(plan: ServerPlan, name: str) -> dict[str, Any]:
    """Metadata of one object of the set."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": plan.namespace,
        "labels": {
            "app.kubernetes.io/name": "chaincode-server",
            **owner_labels(plan.owner.namespace),
            SERVER_LABEL: plan.name,
        },
        "annotations": {PACKAGE_ANNOTATION: plan.served.package_id},
    }
    if plan.namespace == plan.owner.namespace:
        kind = str(Kind.FABRIC_ORGANIZATION)
        owner = {"apiVersion": API_VERSION, "kind": kind, "name": plan.owner.name, "uid": plan.owner.uid}
        metadata["ownerReferences"] = [owner]
    return metadata


def build_service(plan: ServerPlan) -> Manifest:
    """The Service peers connect to; it has the package's label as its name."""
    port = {"name": "chaincode", "protocol": "TCP", "port": plan.served.port, "targetPort": plan.served.port}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(plan, plan.served.label),
        "spec": {"type": "ClusterIP", "selector": _selector(plan), "ports": [port]},
    }


def build_service_account(plan: ServerPlan) -> Manifest:
    """An account without any right and without a token in the pod."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": build_metadata(plan, plan.name),
        "automountServiceAccountToken": False,
    }


def build_network_policy(plan: ServerPlan) -> Manifest:
    """Lets in, at the chaincode's port alone, pods of the servers', the organization's and the peers' namespaces."""
    near = sorted({plan.namespace, plan.owner.namespace, *plan.peer_namespaces})
    selector = {"matchExpressions": [{"key": NAMESPACE_NAME, "operator": "In", "values": near}]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": build_metadata(plan, plan.name),
        "spec": {
            "podSelector": {"matchLabels": _selector(plan)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"namespaceSelector": selector}], "ports": [{"protocol": "TCP", "port": plan.served.port}]}
            ],
        },
    }


def build_deployment(plan: ServerPlan) -> Manifest:
    """The pods, restricted as far as Kubernetes can restrict them."""
    spec: dict[str, Any] = {
        "selector": {"matchLabels": _selector(plan)},
        "revisionHistoryLimit": 1,
        "progressDeadlineSeconds": 300,
        "template": {
            "metadata": {
                "labels": {"app.kubernetes.io/name": "chaincode-server", **_selector(plan)},
                "annotations": {
                    PACKAGE_ANNOTATION: plan.served.package_id,
                    # Servers read their certificate once: another one is another pod.
                    **({CERTIFICATE_ANNOTATION: plan.certificate} if plan.served.tls else {}),
                },
            },
            "spec": _pod(plan),
        },
    }
    if plan.settings.replicas is not None:
        spec["replicas"] = plan.settings.replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": build_metadata(plan, plan.name),
        "spec": spec,
    }


def _selector(plan: ServerPlan) -> dict[str, str]:
    return {ORGANIZATION_LABEL: plan.owner.namespace, SERVER_LABEL: plan.name}


def _pod(plan: ServerPlan) -> dict[str, Any]:
    resources = _resources(plan)
    disk = "ephemeral-storage"
    size = resources["limits"].get(disk) or resources["requests"][disk]
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {"sizeLimit": size}}]
    if plan.served.tls:
        secret = {"secretName": tls_secret_name(plan.served.package_id), "defaultMode": 0o440}
        volumes.append({"name": "tls", "secret": secret})
    pod: dict[str, Any] = {
        "serviceAccountName": plan.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UNPRIVILEGED_ID,
            "runAsGroup": UNPRIVILEGED_ID,
            "fsGroup": UNPRIVILEGED_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(plan)],
        "volumes": volumes,
    }
    secrets = [{"name": secret.name} for secret in plan.grants.image_pull_secrets]
    return {**pod, "imagePullSecrets": secrets} if secrets else pod


def _container(plan: ServerPlan) -> dict[str, Any]:
    port = plan.served.port
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - the only place in the pod that can be written to
    if plan.served.tls:
        mounts.append({"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True})  # type: ignore[dict-item]
    return {
        "name": "chaincode",
        "image": plan.served.image,
        "env": [{"name": name, "value": value} for name, value in _environment(plan).items()],
        "ports": [{"name": "chaincode", "containerPort": port, "protocol": "TCP"}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 2, "failureThreshold": 3},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": mounts,
        "resources": _resources(plan),
    }


def _environment(plan: ServerPlan) -> dict[str, str]:
    """What chaincode servers of every language are started with, and then what the own manifest adds."""
    package_id = plan.served.package_id
    environment = {
        "CHAINCODE_ID": package_id,
        "CORE_CHAINCODE_ID_NAME": package_id,
        "CHAINCODE_SERVER_ADDRESS": f"0.0.0.0:{plan.served.port}",
        "CHAINCODE_TLS_DISABLED": "false" if plan.served.tls else "true",
        **(_TLS_ENVIRONMENT if plan.served.tls else {}),
    }
    return {**{variable.name: variable.value for variable in plan.settings.env}, **environment}


_TLS_ENVIRONMENT: Final = {
    "CHAINCODE_TLS_CERT": f"{TLS_FOLDER}/tls.crt",
    "CHAINCODE_TLS_KEY": f"{TLS_FOLDER}/tls.key",
    "CHAINCODE_TLS_CERT_FILE": f"{TLS_FOLDER}/tls.crt",
    "CHAINCODE_TLS_KEY_FILE": f"{TLS_FOLDER}/tls.key",
}
"""Go samples read the first two, servers of the Node shim the last two."""


def _resources(plan: ServerPlan) -> dict[str, dict[str, str]]:
    """What is stated for the server, else for all servers; of each amount nobody stated, the default."""
    stated = plan.settings.resources or plan.grants.resources or ServerResources()
    requests, limits = _amounts(stated.requests), _amounts(stated.limits)
    for name, (request, limit) in DEFAULT_AMOUNTS.items():
        # Half a default might contradict the half that is stated.
        if name not in requests and name not in limits:
            requests[name], limits[name] = request, limit
    return {"requests": requests, "limits": limits}


def _amounts(amounts: ResourceAmounts | None) -> dict[str, str]:
    if amounts is None:
        return {}
    stated = {"cpu": amounts.cpu, "memory": amounts.memory, "ephemeral-storage": amounts.ephemeral_storage}
    return {name: amount for name, amount in stated.items() if amount is not None}
