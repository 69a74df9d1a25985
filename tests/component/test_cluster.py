from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from opssc_tools.cluster import LocalCluster
from opssc_tools.cluster.kubeconfig import Server
from opssc_tools.cluster.start import ClusterKind, start_cluster
from opssc_tools.errors import ClusterError, KubectlError, MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

CONFIG_MAP_RULES: list[dict[str, Any]] = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.test.opssc.dev"},
    "spec": {
        "group": "test.opssc.dev",
        "names": {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"},
        "scope": "Namespaced",
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


async def eventually(condition: Callable[[], Awaitable[bool]], *, within_seconds: float, what: str) -> None:
    deadline = time.monotonic() + within_seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {within_seconds} s: {what}"
        await asyncio.sleep(0.1)


def config_map(name: str, namespace: str, **metadata: object) -> str:
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **metadata}}
    )


async def test_the_api_server_reports_the_pinned_version(kubernetes: LocalCluster, project_root: Path) -> None:
    versions = json.loads(await kubernetes.kubectl("version", "-o", "json"))

    client, server = versions["clientVersion"]["gitVersion"], versions["serverVersion"]["gitVersion"]
    assert client == server
    assert f"k8s.io/kubernetes {server}" in (project_root / "tools/kube/go.mod").read_text(encoding="utf-8")


async def test_an_operator_credential_works_in_its_own_namespace_and_nowhere_else(kubernetes: LocalCluster) -> None:
    own = await kubernetes.create_operator_credentials("rbac-own", "operator", CONFIG_MAP_RULES)
    await kubernetes.create_namespace("rbac-foreign")
    kubectl = kubernetes.kubectl_as(own)

    listed = await kubectl("get", "configmaps", "-o", "name")
    with pytest.raises(KubectlError, match="Forbidden") as foreign:
        await kubectl("get", "configmaps", "--namespace", "rbac-foreign")
    with pytest.raises(KubectlError, match="Forbidden") as unlisted:
        await kubectl("get", "secrets")

    assert listed == ""
    assert 'cannot list resource "configmaps"' in foreign.value.stderr
    assert 'cannot list resource "secrets"' in unlisted.value.stderr


async def test_credentials_can_be_made_again_for_a_namespace_that_exists(kubernetes: LocalCluster) -> None:
    first = await kubernetes.create_operator_credentials("rbac-again", "operator", CONFIG_MAP_RULES)
    second = await kubernetes.create_operator_credentials("rbac-again", "operator", CONFIG_MAP_RULES)

    assert first == second
    assert first.stat().st_mode & 0o077 == 0
    assert await kubernetes.kubectl_as(second)("auth", "can-i", "list", "configmaps") == "yes\n"


async def test_a_role_file_without_rules_is_refused_before_anything_is_created(
    kubernetes: LocalCluster, tmp_path: Path
) -> None:
    empty = tmp_path / "role.yaml"
    empty.write_text("kind: Role\n", encoding="utf-8")

    with pytest.raises(ClusterError, match="holds no Role with rules"):
        await kubernetes.create_operator_credentials("rbac-empty", "operator", empty)

    assert "rbac-empty" not in await kubernetes.kubectl("get", "namespaces", "-o", "name")


async def test_a_deleted_namespace_goes_with_all_it_holds(kubernetes: LocalCluster) -> None:
    await kubernetes.create_namespace("going")
    await kubernetes.kubectl("create", "-f", "-", stdin=config_map("content", "going"))

    await kubernetes.kubectl("delete", "namespace", "going", "--timeout=40s")

    assert "namespace/going" not in (await kubernetes.kubectl("get", "namespaces", "-o", "name")).split()


async def test_an_object_is_collected_after_its_owner_is_deleted(kubernetes: LocalCluster) -> None:
    namespace = "owning"
    await kubernetes.create_namespace(namespace)
    await kubernetes.kubectl("create", "-f", "-", stdin=config_map("owner", namespace))
    uid = await kubernetes.kubectl("get", "configmap", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    await kubernetes.kubectl("create", "-f", "-", stdin=config_map("owned", namespace, ownerReferences=[reference]))

    await kubernetes.kubectl("delete", "configmap", "owner", "-n", namespace)

    async def collected() -> bool:
        return await kubernetes.kubectl("get", "configmaps", "-n", namespace, "-o", "name") == ""

    await eventually(collected, within_seconds=30, what="the owned ConfigMap is collected")


async def test_crds_are_served_once_they_are_applied(kubernetes: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "widgets.yaml").write_text(yaml.safe_dump(WIDGETS), encoding="utf-8")

    await kubernetes.apply_crds(tmp_path)

    assert await kubernetes.kubectl("get", "widgets", "--all-namespaces", "-o", "name") == ""


async def test_a_folder_without_crds_is_refused(kubernetes: LocalCluster, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="holds no CRDs"):
        await kubernetes.apply_crds(tmp_path)


async def test_an_existing_cluster_gets_its_namespaces_cleaned_up_and_nothing_else(
    kubernetes: LocalCluster, tmp_path: Path
) -> None:
    await kubernetes.create_namespace("before")

    async with start_cluster(ClusterKind.EXISTING, "org1", tmp_path, kubeconfig=kubernetes.admin_kubeconfig) as cluster:
        await cluster.create_namespace("before")
        await cluster.create_namespace("during")

    left = (await kubernetes.kubectl("get", "namespaces", "-o", "name")).split()
    assert "namespace/before" in left
    assert "namespace/during" not in left


async def test_an_absent_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="there is no kubeconfig at"):
        async with start_cluster(ClusterKind.EXISTING, "org1", tmp_path, kubeconfig=tmp_path / "absent"):
            pass


@pytest.mark.parametrize("kind", [ClusterKind.LOCAL, ClusterKind.KIND], ids=str)
def test_a_kubeconfig_is_refused_where_a_cluster_is_made(kind: ClusterKind, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="give one with --cluster=existing alone"):
        start_cluster(kind, "org1", tmp_path, kubeconfig=tmp_path / "some")


async def test_a_missing_kind_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingProgramError, match="there is no `kind` on this machine: install it"):
        async with start_cluster(ClusterKind.KIND, "org1", tmp_path):
            pass


async def test_kind_is_asked_for_a_cluster_and_to_delete_it_afterwards(
    kubernetes: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(kubernetes.kubectl.program)
    kind = programs / "kind"
    kind.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        f'[ "$1" = delete ] || /bin/cp {kubernetes.admin_kubeconfig} {tmp_path}/org1/admin.kubeconfig\n',
        encoding="utf-8",
    )
    kind.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))

    async with start_cluster(ClusterKind.KIND, "org1", tmp_path / "org1") as cluster:
        version = await cluster.kubectl("version")

    assert "Server Version" in version
    target = f"--name=opssc-org1 --kubeconfig={tmp_path}/org1/admin.kubeconfig"
    assert (tmp_path / "asked").read_text(encoding="utf-8").splitlines() == [
        f"create cluster {target} --wait=120s",
        f"delete cluster {target}",
    ]


@pytest.mark.parametrize(
    "document",
    ["{}", "[]", "current-context: a\ncontexts: []\nclusters: []\n"],
    ids=["empty", "no-mapping", "dangling-context"],
)
def test_a_kubeconfig_without_a_current_server_is_refused(document: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(document, encoding="utf-8")

    with pytest.raises(ClusterError, match="has no current context with a server"):
        Server.from_kubeconfig(path)
