"""Objects as the API server returns them."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

API_VERSION = "opssc.dev/v1alpha1"
NAMESPACE = "org1"


class Manifests(Protocol):
    """Builds objects; keywords of `metadata` come under their manifest names."""

    def organization(self, name: str = "org1", msp_id: str = "Org1MSP", **metadata: object) -> dict[str, Any]: ...

    def proposal(self, name: str, spec: dict[str, Any] | None = None, **metadata: object) -> dict[str, Any]: ...

    def vote(self, name: str, creator: str, proposal_id: str, **metadata: object) -> dict[str, Any]: ...

    def channel(self, name: str, channel: str, **metadata: object) -> dict[str, Any]: ...


class _Manifests:
    def organization(self, name: str = "org1", msp_id: str = "Org1MSP", **metadata: object) -> dict[str, Any]:
        peer = {"name": "peer0.example.com", "address": "127.0.0.1:7051", "tlsCA": {"pem": "a certificate"}}
        spec = {
            "mspID": msp_id,
            "governance": {"channel": "ops-channel"},
            "identities": {"admin": {"secretRef": {"name": "admin"}}},
            "peers": {"explicit": [peer]},
        }
        return self._object("FabricOrganization", name, spec, metadata)

    def proposal(self, name: str, spec: dict[str, Any] | None = None, **metadata: object) -> dict[str, Any]:
        image = {"name": "registry.example.com/basic", "digest": f"sha256:{'0' * 64}"}
        usual = {
            "channel": "mychannel",
            "chaincode": {"name": "basic", "version": "1.0"},
            "package": {"type": "k8s", "k8s": {"label": "basic_1", "image": image}},
        }
        return self._object("ChaincodeProposal", name, usual | (spec or {}), metadata)

    def vote(self, name: str, creator: str, proposal_id: str, **metadata: object) -> dict[str, Any]:
        spec = {"proposal": {"creator": creator, "id": proposal_id}, "decision": "Agree"}
        return self._object("Vote", name, spec, metadata)

    def channel(self, name: str, channel: str, **metadata: object) -> dict[str, Any]:
        return self._object("FabricChannel", name, {"channel": channel}, metadata)

    @staticmethod
    def _object(kind: str, name: str, spec: dict[str, Any], metadata: dict[str, object]) -> dict[str, Any]:
        usual = {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid of {name}",
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": "2026-11-21T09:20:00Z",
        }
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": usual | metadata, "spec": spec, "status": {}}


@pytest.fixture
def manifests() -> Manifests:
    return _Manifests()
