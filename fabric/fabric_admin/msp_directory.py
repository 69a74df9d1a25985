"""Reading an MSP folder as Fabric's tools lay it out; the only module of the core that touches files.

``fabric: msp/configbuilder.go``. Must not interpret certificates: that is ``msp``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fabric_protos.msp import msp_config_pb2

from fabric_admin import yamldoc
from fabric_admin.certificates import decode_pem
from fabric_admin.errors import IdentityError

if TYPE_CHECKING:
    from pathlib import Path

FABRIC_MSP_TYPE: Final = 0
_MAX_FILE_BYTES: Final = 1 << 20
_NODE_OUS: Final = {
    "client_ou_identifier": "ClientOUIdentifier",
    "peer_ou_identifier": "PeerOUIdentifier",
    "admin_ou_identifier": "AdminOUIdentifier",
    "orderer_ou_identifier": "OrdererOUIdentifier",
}


def read_config(path: Path, msp_id: str) -> msp_config_pb2.MSPConfig:
    """Return the MSP definition in folder ``path`` (verification material only, no private key).

    Raises IdentityError naming the file that is missing or malformed.
    """
    roots = _read_pem_folder(path / "cacerts")
    if roots is None:
        raise IdentityError(
            f"could not load a valid ca certificate from directory {path / 'cacerts'}: "
            f"stat {path / 'cacerts'}: no such file or directory"
        )
    if not roots:
        raise IdentityError(f"no ca certificate found in directory {path / 'cacerts'}")
    config = msp_config_pb2.FabricMSPConfig(
        name=msp_id,
        root_certs=roots,
        intermediate_certs=_read_pem_folder(path / "intermediatecerts") or [],
        admins=_read_pem_folder(path / "admincerts") or [],
        revocation_list=_read_pem_folder(path / "crls") or [],
        crypto_config=msp_config_pb2.FabricCryptoConfig(
            signature_hash_family="SHA2", identity_identifier_hash_function="SHA256"
        ),
    )
    tls_roots = _read_pem_folder(path / "tlscacerts")
    if tls_roots:
        config.tls_root_certs.extend(tls_roots)
        config.tls_intermediate_certs.extend(_read_pem_folder(path / "tlsintermediatecerts") or [])
    if (path / "config.yaml").is_file():
        _apply_yaml(path, config)
    return msp_config_pb2.MSPConfig(type=FABRIC_MSP_TYPE, config=config.SerializeToString())


def read_signing_material(path: Path) -> tuple[bytes, bytes]:
    """Return (certificate PEM, private key PEM) of an MSP folder; raises IdentityError naming what is missing."""
    certificates = _read_pem_folder(path / "signcerts")
    if not certificates:
        raise IdentityError(f"no signing certificate in {path / 'signcerts'}")
    keys = _read_pem_folder(path / "keystore")
    if not keys:
        raise IdentityError(f"no private key in {path / 'keystore'}")
    if len(keys) > 1:
        raise IdentityError(f"more than one private key in {path / 'keystore'}; keep only the signing key there")
    return certificates[0], keys[0]


def _read_file(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise IdentityError(f"could not read file {path}: not a regular file")
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise IdentityError(f"could not read file {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise IdentityError(f"could not read file {path}: {exc}") from exc
    if len(data) > _MAX_FILE_BYTES:
        raise IdentityError(f"file {path} is larger than {_MAX_FILE_BYTES} bytes")
    return data


def _read_pem_folder(path: Path) -> list[bytes] | None:
    """Return each PEM file of a folder in name order, skipping what is no PEM; None if there is no such folder."""
    if not path.is_dir():
        return None
    contents = (_read_file(entry) for entry in sorted(path.iterdir()) if entry.is_file())
    return [data for data in contents if decode_pem(data) is not None]


def _apply_yaml(path: Path, config: msp_config_pb2.FabricMSPConfig) -> None:
    source = path / "config.yaml"
    try:
        document = yamldoc.load(_read_file(source)) or {}
    except yamldoc.MalformedYaml as exc:
        raise IdentityError(f"failed unmarshalling configuration file at [{source}]: {exc}") from exc
    document = _mapping(document, source)
    listed = document.get("OrganizationalUnitIdentifiers") or []
    if not isinstance(listed, list):
        raise IdentityError(f"failed unmarshalling configuration file at [{source}]: a list is expected")
    for entry in listed:
        config.organizational_unit_identifiers.append(_ou_identifier(path, _mapping(entry, source), required=True))
    if document.get("NodeOUs") is not None:
        node_ous = _mapping(document["NodeOUs"], source)
        config.fabric_node_ous.enable = node_ous.get("Enable") is True
        for attribute, key in _NODE_OUS.items():
            entry = _mapping(node_ous.get(key) or {}, source)
            if entry.get("OrganizationalUnitIdentifier"):
                getattr(config.fabric_node_ous, attribute).CopyFrom(_ou_identifier(path, entry, required=False))


def _ou_identifier(path: Path, entry: dict[str, Any], *, required: bool) -> msp_config_pb2.FabricOUIdentifier:
    name = entry.get("OrganizationalUnitIdentifier")
    relative = entry.get("Certificate") or ""
    if not isinstance(name, str) or not isinstance(relative, str):
        raise IdentityError(f"organizational unit entries in {path / 'config.yaml'} must be text")
    certificate = b""
    if relative or required:
        certificate = _read_file(path / relative)
        if decode_pem(certificate) is None:
            raise IdentityError(f"failed loading OrganizationalUnit certificate at [{path / relative}]: no PEM")
    return msp_config_pb2.FabricOUIdentifier(certificate=certificate, organizational_unit_identifier=name)


def _mapping(value: object, source: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise IdentityError(f"failed unmarshalling configuration file at [{source}]: a mapping is expected")
    return value
