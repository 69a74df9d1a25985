"""The Kubernetes client against a real API server, under the Role that is shipped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from opssc_operator.api.group import Kind
from opssc_operator.errors import AccessDenied, ConfigError, TerminalError, TransientError
from opssc_operator.kube.access import describe_access, load_configuration
from opssc_operator.kube.client import Involved, KubeClient
from opssc_operator.kube.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from opssc_tools.cluster import LocalCluster

NAMESPACE = "runtime-kube"
PROPOSAL = Kind.CHAINCODE_PROPOSAL
STATUS = {"observedGeneration": 1, "proposal": "Org1MSP/basic"}


class Witness:
    """Remembers what the client said about its writes."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.written: list[str] = []
        self.lost: list[str] = []

    def writing(self, _kind: Kind, _namespace: str, name: str, _status: Mapping[str, Any]) -> None:
        self.begun.append(name)

    def wrote(self, _kind: Kind, body: Mapping[str, Any]) -> None:
        self.written.append(body["metadata"]["name"])

    def gone(self, _kind: Kind, _namespace: str, name: str, _uid: str) -> None:
        self.lost.append(name)


@pytest.fixture
async def kubeconfig(kubernetes: LocalCluster, project_root: Path) -> Path:
    await kubernetes.apply_crds(project_root / "crds")
    role = project_root / "config/rbac/operator.yaml"
    return await kubernetes.create_operator_credentials(NAMESPACE, "opssc-operator", role)


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    client = KubeClient(Transport(await load_configuration(kubeconfig)))
    yield client
    await client.close()


def proposal(name: str, **metadata: object) -> dict[str, Any]:
    image = {"name": "registry.example.com/basic", "digest": f"sha256:{'0' * 64}"}
    return {
        "metadata": {"namespace": NAMESPACE, "name": name, **metadata},
        "spec": {
            "channel": "mychannel",
            "chaincode": {"name": "basic", "version": "1.0"},
            "package": {"type": "k8s", "k8s": {"label": "basic_1", "image": image}},
        },
    }


async def read(kubernetes: LocalCluster, kind: str, name: str) -> dict[str, Any]:
    text = await kubernetes.kubectl("get", kind, name, "--namespace", NAMESPACE, "-o", "json")
    found: dict[str, Any] = json.loads(text)
    return found


async def test_a_mirror_is_created_updated_and_deleted(client: KubeClient, kubernetes: LocalCluster) -> None:
    witness = Witness()
    client.observe(witness)

    created = await client.apply(PROPOSAL, proposal("mirror"))
    updated = await client.apply(PROPOSAL, proposal("mirror", labels={"opssc.dev/origin": "mirrored"}))

    assert created is not None
    assert updated is not None
    assert (created.uid, updated.labels) == (updated.uid, {"opssc.dev/origin": "mirrored"})
    listing = await client.list_uids(PROPOSAL, NAMESPACE)
    assert listing is not None
    assert listing.uids["mirror"] == created.uid
    await client.delete(PROPOSAL, NAMESPACE, "mirror", created.uid)
    await client.delete(PROPOSAL, NAMESPACE, "mirror", created.uid)
    assert "mirror" not in await kubernetes.kubectl("get", "ccp", "--namespace", NAMESPACE, "-o", "name")
    assert (witness.written, witness.lost) == (["mirror", "mirror"], ["mirror"])


async def test_a_status_replaces_what_the_operator_said_before(client: KubeClient, kubernetes: LocalCluster) -> None:
    made = await client.apply(PROPOSAL, proposal("stated"))
    assert made is not None

    first = await client.apply_status(PROPOSAL, NAMESPACE, "stated", made.uid, STATUS)
    second = await client.apply_status(PROPOSAL, NAMESPACE, "stated", made.uid, {"observedGeneration": 2})

    assert (first, second) == (True, True)
    assert (await read(kubernetes, "ccp", "stated"))["status"] == {"observedGeneration": 2}


async def test_the_status_of_a_vanished_object_is_no_error_and_brings_nothing_back(
    client: KubeClient, kubernetes: LocalCluster
) -> None:
    witness = Witness()
    client.observe(witness)

    assert await client.apply_status(PROPOSAL, NAMESPACE, "vanished", "some-uid", STATUS) is False

    assert witness.lost == ["vanished"]
    assert "vanished" not in await kubernetes.kubectl("get", "ccp", "--namespace", NAMESPACE, "-o", "name")


async def test_another_object_of_the_same_name_is_not_taken_for_the_one_that_was_meant(
    client: KubeClient, kubernetes: LocalCluster
) -> None:
    witness = Witness()
    made = await client.apply(PROPOSAL, proposal("replaced"))
    assert made is not None
    before = Involved(PROPOSAL, NAMESPACE, "replaced", "uid-of-before")
    client.observe(witness)

    with pytest.raises(TransientError):
        await client.delete(PROPOSAL, NAMESPACE, "replaced", before.uid)
    with pytest.raises(TransientError):
        await client.set_finalizers(before, "1", ["opssc.dev/withdraw"])

    assert await client.apply_status(PROPOSAL, NAMESPACE, "replaced", before.uid, STATUS) is False
    assert (witness.begun, witness.written, witness.lost) == (["replaced"], [], ["replaced"])
    assert "finalizers" not in (await read(kubernetes, "ccp", "replaced"))["metadata"]


async def test_a_status_the_schema_forbids_is_a_terminal_error_that_names_the_field(client: KubeClient) -> None:
    made = await client.apply(PROPOSAL, proposal("misstated"))
    assert made is not None

    with pytest.raises(TerminalError, match="observedGeneration") as caught:
        await client.apply_status(PROPOSAL, NAMESPACE, "misstated", made.uid, {"observedGeneration": -2})

    assert caught.value.reason == "KubernetesRejected"


async def test_finalizers_are_set_only_on_the_object_as_it_was_seen(
    client: KubeClient, kubernetes: LocalCluster
) -> None:
    made = await client.apply(PROPOSAL, proposal("held"))
    assert made is not None
    involved = Involved(PROPOSAL, NAMESPACE, "held", made.uid)

    assert await client.set_finalizers(involved, made.resource_version, ["opssc.dev/withdraw"]) is True
    with pytest.raises(TransientError) as caught:
        await client.set_finalizers(involved, made.resource_version, [])

    held = await read(kubernetes, "ccp", "held")
    assert caught.value.reason == "Conflict"
    assert held["metadata"]["finalizers"] == ["opssc.dev/withdraw"]
    assert await client.set_finalizers(involved, held["metadata"]["resourceVersion"], []) is True
    assert "finalizers" not in (await read(kubernetes, "ccp", "held"))["metadata"]


async def test_an_event_shows_at_the_object_it_is_about(client: KubeClient, kubernetes: LocalCluster) -> None:
    made = await client.apply(PROPOSAL, proposal("eventful"))
    assert made is not None

    involved = Involved(PROPOSAL, NAMESPACE, "eventful", made.uid)
    await client.post_event(involved, "Warning", "InstallFailed", "x" * 5000, action="Install")

    text = await kubernetes.kubectl(
        "get", "events.events.k8s.io", "--namespace", NAMESPACE, "-o", "json",
        "--field-selector", f"regarding.uid={made.uid}",
    )  # fmt: skip
    [event] = json.loads(text)["items"]
    assert (event["type"], event["reason"], event["action"], len(event["note"])) == (
        "Warning",
        "InstallFailed",
        "Install",
        1024,
    )
    assert event["reportingController"] == "opssc.dev/operator"


async def test_a_secret_is_read_decoded_and_its_absence_is_no_error(
    client: KubeClient, kubernetes: LocalCluster
) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "admin", "namespace": NAMESPACE},
        "stringData": {"tls.crt": "certificate"},
    }
    await kubernetes.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(manifest))

    assert await client.get_secret(NAMESPACE, "admin") == {"tls.crt": b"certificate"}
    assert await client.get_secret(NAMESPACE, "absent") is None


async def test_what_the_role_does_not_grant_is_named(client: KubeClient) -> None:
    with pytest.raises(AccessDenied, match=r"add verb 'get' on 'secrets' .* to its Role in default"):
        await client.get_secret("default", "admin")


async def test_an_api_server_that_is_away_is_a_transient_error(kubeconfig: Path) -> None:
    configuration = await load_configuration(kubeconfig)
    configuration.host = "https://127.0.0.1:9"
    client = KubeClient(Transport(configuration, timeout_seconds=2))

    with pytest.raises(TransientError) as caught:
        await client.get_secret(NAMESPACE, "admin")

    await client.close()
    assert caught.value.reason == "KubernetesUnavailable"


async def test_the_credential_of_a_kubeconfig_is_described_for_other_libraries(kubeconfig: Path) -> None:
    access = await describe_access(await load_configuration(kubeconfig))

    assert access.server.startswith("https://127.0.0.1:")
    assert access.token
    assert not access.token.lower().startswith("bearer")
    assert access.verify


@pytest.mark.parametrize("text", [None, "", "nonsense", "apiVersion: v1\nkind: Config\n"])
async def test_a_kubeconfig_that_says_nothing_usable_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=str(path)):
        await load_configuration(path)
