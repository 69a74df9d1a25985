"""The objects of a chaincode server: restricted, named after the package, and without anything others wrote freely."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.api.servers import ChaincodeServers, ServerSettings
from opssc_operator.domain.servers import Served
from opssc_operator.domain.serverset import (
    Owner,
    ServerPlan,
    address_refusal,
    build_deployment,
    build_network_policy,
    build_service,
    build_service_account,
    certificate_names,
    is_own,
    package_of,
    server_name,
    service_dns_names,
)

DIGEST = "sha256:" + "ab" * 32
LABEL = "asset-0123456789ab"
PACKAGE_ID = f"{LABEL}:{'cd' * 32}"
SERVED = Served(PACKAGE_ID, LABEL, "ghcr.io/acme/asset", DIGEST, 9999)
OWNER = Owner("org1", "org1", "uid-1")
PLAN = ServerPlan(SERVED, ServerSettings(deploy=True), ChaincodeServers(), OWNER)
TLS_PLAN = replace(PLAN, served=replace(SERVED, tls=True), certificate="0123")
BUILDERS = (build_deployment, build_service, build_service_account, build_network_policy)
EVERY_OBJECT = pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__.removeprefix("build_"))
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def container(plan: ServerPlan) -> dict[str, Any]:
    [only] = build_deployment(plan)["spec"]["template"]["spec"]["containers"]
    return dict(only)


def variables(plan: ServerPlan) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container(plan)["env"]}


def test_pods_are_restricted_as_far_as_kubernetes_can() -> None:
    pod = build_deployment(PLAN)["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(PLAN)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert build_service_account(PLAN)["automountServiceAccountToken"] is False


def test_the_server_is_told_what_chaincode_servers_are_told() -> None:
    assert container(PLAN)["image"] == f"ghcr.io/acme/asset@{DIGEST}"
    assert variables(PLAN) == {
        "CHAINCODE_ID": PACKAGE_ID,
        "CORE_CHAINCODE_ID_NAME": PACKAGE_ID,
        "CHAINCODE_SERVER_ADDRESS": "0.0.0.0:9999",
        "CHAINCODE_TLS_DISABLED": "true",
    }
    assert container(PLAN)["readinessProbe"]["tcpSocket"] == {"port": 9999}


def test_peers_find_it_under_the_label_and_only_they_get_in() -> None:
    service, policy = build_service(PLAN), build_network_policy(PLAN)
    pod_labels = build_deployment(PLAN)["spec"]["template"]["metadata"]["labels"]

    assert service["metadata"]["name"] == LABEL
    assert service["spec"]["ports"] == [{"name": "chaincode", "protocol": "TCP", "port": 9999, "targetPort": 9999}]
    assert service["spec"]["selector"].items() <= pod_labels.items()
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod_labels.items()
    [rule] = policy["spec"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 9999}]
    assert let_in(rule) == ["org1"]


def let_in(rule: dict[str, Any]) -> list[str]:
    """The namespaces whose pods may connect; fails for any other kind of rule."""
    [source] = rule["from"]
    assert set(source) == {"namespaceSelector"}
    [expression] = source["namespaceSelector"]["matchExpressions"]
    assert (expression["key"], expression["operator"]) == ("kubernetes.io/metadata.name", "In")
    return list(expression["values"])


def test_pods_are_let_in_only_from_where_the_organization_is() -> None:
    plan = replace(PLAN, grants=ChaincodeServers(namespace="chaincodes"), peer_namespaces=("peers", "org1"))

    [rule] = build_network_policy(plan)["spec"]["ingress"]

    assert let_in(rule) == ["chaincodes", "org1", "peers"]


DEFAULTS = {
    "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "0"},
    "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "1Gi"},
}


@pytest.mark.parametrize(
    ("stated", "expected", "size"),
    [
        pytest.param({}, DEFAULTS, "1Gi", id="nothing"),
        pytest.param(
            {"requests": {"memory": "2Gi"}},
            {
                "requests": {**DEFAULTS["requests"], "memory": "2Gi"},
                "limits": {"cpu": "1", "ephemeral-storage": "1Gi"},
            },
            "1Gi",
            id="a-request-above-the-default-limit",
        ),
        pytest.param(
            {"limits": {"ephemeralStorage": "3Gi"}},
            {
                "requests": {"cpu": "50m", "memory": "64Mi"},
                "limits": {**DEFAULTS["limits"], "ephemeral-storage": "3Gi"},
            },
            "3Gi",
            id="a-limit",
        ),
        pytest.param(
            {"requests": {"ephemeralStorage": "2Gi"}},
            {
                "requests": {**DEFAULTS["requests"], "ephemeral-storage": "2Gi"},
                "limits": {"cpu": "1", "memory": "512Mi"},
            },
            "2Gi",
            id="a-request-of-disk",
        ),
    ],
)
def test_every_amount_has_a_bound(stated: dict[str, Any], expected: dict[str, Any], size: str) -> None:
    plan = replace(PLAN, settings=ServerSettings.model_validate({"deploy": True, "resources": stated}))

    [scratch] = build_deployment(plan)["spec"]["template"]["spec"]["volumes"]

    assert container(plan)["resources"] == expected
    assert scratch == {"name": "tmp", "emptyDir": {"sizeLimit": size}}


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        pytest.param(None, False, id="no-address"),
        pytest.param("asset.chaincodes.example.com", False, id="a-name-outside"),
        pytest.param(LABEL, False, id="own-service"),
        pytest.param(f"{LABEL}.org1.svc.cluster.local", False, id="own-service-in-full"),
        pytest.param(f"{LABEL.upper()}.org1.svc.", False, id="own-service-in-other-words"),
        pytest.param(f"{LABEL}.org1.svc.corp.example", False, id="own-service-in-another-cluster-domain"),
        pytest.param("bonds-0123456789ab", True, id="another-service"),
        pytest.param(f"{LABEL}.org2", True, id="the-same-in-another-namespace"),
        pytest.param("kubernetes.default.svc", True, id="the-api-server"),
        pytest.param("KUBERNETES.default.SVC.", True, id="the-api-server-in-other-words"),
        pytest.param("peer0.org1.svc.corp.example", True, id="another-cluster-domain"),
        pytest.param("peer0.peers.org1.svc.cluster.local", True, id="one-pod"),
        pytest.param("peer0.org1.pod.cluster.local", True, id="a-pod-by-address"),
        pytest.param("10.96.0.1", True, id="an-address"),
    ],
)
def test_no_certificate_is_for_another_service_unless_the_organization_names_it(
    host: str | None, refused: bool
) -> None:
    named = ChaincodeServers(names=() if host is None else (host.removesuffix("."),))
    served = replace(SERVED, host=host, tls=True)

    assert bool(address_refusal(served, "org1", ChaincodeServers())) is refused
    assert not address_refusal(replace(served, host=host and host.removesuffix(".")), "org1", named)


def test_a_certificate_is_for_what_the_organization_names_as_well() -> None:
    named = replace(TLS_PLAN, grants=ChaincodeServers(names=("10.1.2.3", LABEL)))

    assert certificate_names(named) == (*service_dns_names(TLS_PLAN.served, "org1"), "10.1.2.3")


def test_own_settings_win_over_the_organizations() -> None:
    granted = ChaincodeServers.model_validate(
        {"resources": {"requests": {"cpu": "100m"}}, "imagePullSecrets": [{"name": "pull"}]}
    )
    stated = ServerSettings.model_validate(
        {
            "deploy": True,
            "replicas": 2,
            "resources": {"limits": {"memory": "256Mi", "ephemeralStorage": "1Gi"}},
            "env": [{"name": "LOG_LEVEL", "value": "debug"}],
        }
    )
    default, own = replace(PLAN, grants=granted), replace(PLAN, grants=granted, settings=stated)

    assert container(default)["resources"]["requests"]["cpu"] == "100m"
    assert "cpu" not in container(default)["resources"]["limits"]
    assert container(own)["resources"] == {
        "requests": {"cpu": "50m"},
        "limits": {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "1Gi"},
    }
    assert variables(own)["LOG_LEVEL"] == "debug"
    assert build_deployment(own)["spec"]["replicas"] == 2
    assert build_deployment(own)["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}]


def test_pods_nobody_counted_are_left_to_whoever_scales_them() -> None:
    assert "replicas" not in build_deployment(PLAN)["spec"]


def test_with_tls_the_certificate_is_mounted_and_another_one_is_another_pod() -> None:
    renewed = replace(TLS_PLAN, certificate="4567")

    assert variables(TLS_PLAN)["CHAINCODE_TLS_DISABLED"] == "false"
    folder = container(TLS_PLAN)["volumeMounts"][1]["mountPath"]
    assert variables(TLS_PLAN)["CHAINCODE_TLS_KEY"] == f"{folder}/tls.key"
    templates = [build_deployment(plan)["spec"]["template"]["metadata"] for plan in (TLS_PLAN, renewed)]
    assert templates[0] != templates[1]
    assert "ghcr" not in str(service_dns_names(TLS_PLAN.served, "org1"))
    assert service_dns_names(TLS_PLAN.served, "org1") == (
        LABEL,
        f"{LABEL}.org1",
        f"{LABEL}.org1.svc",
        f"{LABEL}.org1.svc.cluster.local",
    )


@EVERY_OBJECT
def test_every_object_says_whose_it_is(build: Any) -> None:
    body = build(PLAN)

    assert is_own(body, "org1")
    assert not is_own(body, "org2")
    assert package_of(body) == PACKAGE_ID
    [owner] = body["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("FabricOrganization", "uid-1")


@EVERY_OBJECT
def test_in_another_namespace_labels_alone_say_it(build: Any) -> None:
    body = build(replace(PLAN, grants=ChaincodeServers(namespace="chaincodes")))

    assert body["metadata"]["namespace"] == "chaincodes"
    assert "ownerReferences" not in body["metadata"]
    assert is_own(body, "org1")


LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?-[0-9a-f]{12}", fullmatch=True, alphabet="abz0189-")
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(LABELS, HASHES)
def test_every_package_has_a_name_kubernetes_takes(label: str, digest: str) -> None:
    assert DNS_1035.fullmatch(server_name(f"{label}:{digest}"))


@given(LABELS, st.lists(HASHES, min_size=2, max_size=2, unique_by=lambda digest: digest[:10]))
def test_packages_of_one_label_share_no_name(label: str, digests: list[str]) -> None:
    first, second = (server_name(f"{label}:{digest}") for digest in digests)
    assert first != second
