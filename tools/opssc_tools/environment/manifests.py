"""The manifests an environment applies: those of config/samples, with the names and addresses of a running network."""

from __future__ import annotations

import base64
import copy
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import yaml
from cryptography.hazmat.primitives import serialization

from fabric_admin.package import build_ccaas, package_id
from opssc_chaincode.model import Connection, ccaas_label
from opssc_operator.api.group import API_VERSION, Kind
from opssc_tools.environment.spec import APPLICATION_CHANNEL, PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from fabric_admin.identity import SigningIdentity
    from fabric_devnet.network import Orderer, Organization

Manifest = dict[str, Any]
REGISTRIES: Final = ("ghcr.io/opssc", "opssc.invalid")
"""Where images are said to be: those of samples, and those that a node has without any registry."""
SAMPLES: Final = PROJECT_ROOT / "config" / "samples"
ADDRESS_TEMPLATE: Final = "{{{{.chaincode_host}}}}:{port}"
"""Rendered by each peer's builder with the loopback address of its organization; the package is the same everywhere."""


ROOT_TEMPLATE: Final = "{{.chaincode_root_cert}}"
"""Rendered with the CA certificate of the organization's own chaincode servers."""


@dataclass(frozen=True, slots=True)
class ServicePackage:
    """A ccaas package: what a manifest says of it, the bytes every organization builds, and their ID.

    `repository` and `name` are the image's name; most images of tests are never asked for. With `tls` each peer's
    builder fills in the CA of its own organization.
    """

    name: str
    digest: str
    port: int
    repository: str = "ghcr.io/opssc"
    tls: bool = False

    @property
    def connection(self) -> Connection:
        """How peers reach the server."""
        address = ADDRESS_TEMPLATE.format(port=self.port)
        return Connection(
            port=self.port, address=address, tls_required=self.tls, root_cert=ROOT_TEMPLATE if self.tls else None
        )

    @property
    def label(self) -> str:
        """The label, bound to digest and connection."""
        return ccaas_label(self.name, self.digest, self.connection)

    @property
    def manifest(self) -> Manifest:
        """The `package` of a proposal or a bootstrap."""
        return {
            "type": "ccaas",
            "ccaas": {
                "label": self.label,
                "image": {"name": f"{self.repository}/{self.name}", "digest": self.digest},
                "connection": {
                    "port": self.port,
                    "address": self.connection.address,
                    **({"tlsRequired": True, "rootCert": ROOT_TEMPLATE} if self.tls else {}),
                },
            },
        }

    @property
    def data(self) -> bytes:
        """The package as peers install it."""
        connection = self.connection
        return build_ccaas(
            self.label, connection.address or "", tls_required=self.tls, root_cert=connection.root_cert or ""
        )

    @property
    def package_id(self) -> str:
        """The ID Fabric gives it."""
        return package_id(self.label, self.data)

    @classmethod
    def of_manifest(cls, manifest: Manifest) -> ServicePackage:
        """The package a sample names."""
        source = manifest["ccaas"]
        name = source["label"].rpartition("-")[0]
        return cls(name, source["image"]["digest"], source["connection"]["port"])


def made_up_digest(text: str) -> str:
    """An image digest for code that has no image here, because its server is a process: SHA-256 of `text`."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def read_sample(name: str) -> Manifest:
    """The one manifest of a file below config/samples."""
    return cast("Manifest", yaml.safe_load((SAMPLES / name).read_text(encoding="utf-8")))


def dump(*manifests: Manifest) -> str:
    """YAML documents for kubectl."""
    return yaml.safe_dump_all(manifests, sort_keys=False)


def build_organization(organization: Organization, *, governance_channel: str, resync_period: str) -> Manifest:
    """The FabricOrganization of a network's organization, after the sample of organization 1."""
    manifest = copy.deepcopy(read_sample("org1/fabricorganization.yaml"))
    name = organization.name
    manifest["metadata"]["name"] = name
    spec = manifest["spec"]
    spec["mspID"] = organization.msp_id
    spec["governance"]["channel"] = governance_channel
    spec["identities"] = {role: {"secretRef": {"name": f"{name}-{role}"}} for role in ("admin", "client")}
    spec["peers"]["explicit"] = [
        {
            "name": peer.name,
            "address": peer.address,
            "tlsCA": {"secretRef": {"name": f"{name}-tls-ca", "key": "ca.crt"}},
        }
        for peer in organization.peers
    ]
    if organization.orderers:
        spec["orderers"] = [_build_orderer(name, orderer) for orderer in organization.orderers]
    spec["resyncPeriod"] = resync_period
    spec["trust"] = {"imageRegistries": list(REGISTRIES)}
    return manifest


def build_joining(*orderers: Orderer) -> Manifest:
    """What the spec of a newcomer says so that its operator joins its peers, asking these orderers."""
    listed = [
        {"address": orderer.address, "tlsCA": {"pem": orderer.admin_tls_ca.read_text(encoding="ascii")}}
        for orderer in orderers
    ]
    return {"orderers": listed, "joinChannels": "Automatic"}


def _build_orderer(organization: str, orderer: Orderer) -> Manifest:
    return {
        "address": orderer.address,
        "tlsCA": {"secretRef": {"name": f"{organization}-tls-ca", "key": "ca.crt"}},
        "admin": {
            "address": orderer.node.admin_address,
            "tls": {"secretRef": {"name": f"{organization}-orderer-admin"}},
        },
    }


def contract_package() -> ServicePackage:
    """The package of the OpsSC contract that the samples bootstrap."""
    sample = read_sample("org1/fabricorganization.yaml")
    return ServicePackage.of_manifest(sample["spec"]["governance"]["bootstrap"]["package"])


def build_secrets(organization: Organization) -> list[Manifest]:
    """The Secrets the FabricOrganization names."""
    name = organization.name
    secrets = [
        build_identity_secret(f"{name}-admin", organization.admin),
        build_identity_secret(f"{name}-client", organization.client),
        build_secret(f"{name}-tls-ca", {"ca.crt": organization.tls_ca}),
    ]
    if organization.orderers:
        # One client certificate is for every orderer of an organization.
        orderer = organization.orderers[0]
        pair = {"tls.crt": orderer.admin_certificate.read_bytes(), "tls.key": orderer.admin_key.read_bytes()}
        secrets.append(build_secret(f"{name}-orderer-admin", pair))
    return secrets


def build_identity_secret(name: str, identity: SigningIdentity) -> Manifest:
    """A Secret with a certificate and its key."""
    key = identity.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return build_secret(name, {"cert.pem": identity.certificate_pem, "key.pem": key})


def build_secret(name: str, data: dict[str, bytes]) -> Manifest:
    """A Secret of these keys."""
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}


def build_proposal(
    proposal_id: str,
    package: ServicePackage,
    *,
    chaincode: str,
    version: str = "1.0",
    channel: str = APPLICATION_CHANNEL,
) -> Manifest:
    """A ChaincodeProposal after the sample."""
    manifest = copy.deepcopy(read_sample("chaincodeproposal.yaml"))
    manifest["metadata"]["name"] = proposal_id
    manifest["spec"] = {
        **manifest["spec"],
        "channel": channel,
        "chaincode": {"name": chaincode, "version": version},
        "package": package.manifest,
    }
    return manifest


def build_channel_proposal(name: str, channel: str, **spec: Any) -> Manifest:
    """A ChannelProposal; keywords are the rest of its spec, under their manifest names."""
    return {
        "apiVersion": API_VERSION,
        "kind": str(Kind.CHANNEL_PROPOSAL),
        "metadata": {"name": name},
        "spec": {"channel": channel, **spec},
    }


def build_change(change: str, **fields: Any) -> dict[str, Any]:
    """One entry of `changes`, such as `build_change("setACL", resource=..., policy=...)`."""
    return {"type": change, change: fields}


def build_vote(
    creator: str, proposal_id: str, *, decision: str = "Agree", content_hash: str = "", reason: str = "", name: str = ""
) -> Manifest:
    """A Vote after the sample."""
    manifest = copy.deepcopy(read_sample("vote-agree.yaml"))
    manifest["metadata"]["name"] = name or proposal_id
    spec: Manifest = {"proposal": {"creator": creator, "id": proposal_id}, "decision": decision}
    if content_hash:
        spec["contentHash"] = content_hash
    if reason:
        spec["reason"] = reason
    manifest["spec"] = spec
    return manifest


def write(folder: Path, name: str, *manifests: Manifest) -> Path:
    """Write manifests to `folder`, for people to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(dump(*manifests), encoding="utf-8")
    return path
