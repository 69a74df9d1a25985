"""Organization definitions of proposals and Fabric's MSP configurations, turned into each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fabric_protos.msp import msp_config_pb2

from opssc_chaincode.model import NodeOus, OrganizationDefinition, OuIdentifier

FABRIC_MSP_TYPE: Final = 0
SIGNATURE_HASH_FAMILY: Final = "SHA2"
IDENTIFIER_HASH: Final = "SHA256"


def build_msp(msp_id: str, definition: OrganizationDefinition) -> msp_config_pb2.MSPConfig:
    """The MSPConfig of a definition, the same bytes in every organization; certificates are judged by who loads it."""
    config = msp_config_pb2.FabricMSPConfig(
        name=msp_id,
        root_certs=pem_bytes(definition.root_certs),
        intermediate_certs=pem_bytes(definition.intermediate_certs),
        admins=pem_bytes(definition.admins),
        revocation_list=pem_bytes(definition.revocation_list),
        tls_root_certs=pem_bytes(definition.tls_root_certs),
        tls_intermediate_certs=pem_bytes(definition.tls_intermediate_certs),
        crypto_config=msp_config_pb2.FabricCryptoConfig(
            signature_hash_family=SIGNATURE_HASH_FAMILY, identity_identifier_hash_function=IDENTIFIER_HASH
        ),
    )
    if definition.node_ous is not None:
        config.fabric_node_ous.CopyFrom(build_node_ous(definition.node_ous))
    return msp_config_pb2.MSPConfig(type=FABRIC_MSP_TYPE, config=config.SerializeToString(deterministic=True))


def build_node_ous(node_ous: NodeOus) -> msp_config_pb2.FabricNodeOUs:
    """The NodeOUs of an MSP, switched on."""
    return msp_config_pb2.FabricNodeOUs(
        enable=True,
        client_ou_identifier=_identifier(node_ous.client),
        peer_ou_identifier=_identifier(node_ous.peer),
        admin_ou_identifier=_identifier(node_ous.admin),
        orderer_ou_identifier=_identifier(node_ous.orderer),
    )


def read_definition(config: msp_config_pb2.FabricMSPConfig) -> OrganizationDefinition:
    """The definition of an MSP; raises ValueError for what a definition cannot hold, pydantic's naming the field."""
    if config.organizational_unit_identifiers:
        raise ValueError("organizationalUnitIdentifiers are not part of a definition: use NodeOUs")
    node_ous = config.fabric_node_ous if config.fabric_node_ous.enable else None
    return OrganizationDefinition(
        root_certs=_texts(config.root_certs),
        intermediate_certs=_texts(config.intermediate_certs),
        tls_root_certs=_texts(config.tls_root_certs),
        tls_intermediate_certs=_texts(config.tls_intermediate_certs),
        revocation_list=_texts(config.revocation_list),
        admins=_texts(config.admins),
        node_ous=None if node_ous is None else _read_node_ous(node_ous),
    )


def pem_bytes(texts: Iterable[str]) -> list[bytes]:
    """PEM texts as Fabric's messages hold them."""
    return [text.encode("ascii") for text in texts]


def _texts(certificates: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(certificate.decode("ascii") for certificate in certificates)


def _identifier(identifier: OuIdentifier | None) -> msp_config_pb2.FabricOUIdentifier | None:
    if identifier is None:
        return None
    certificate = (identifier.certificate or "").encode("ascii")
    return msp_config_pb2.FabricOUIdentifier(
        certificate=certificate, organizational_unit_identifier=identifier.organizational_unit
    )


def _read_node_ous(node_ous: msp_config_pb2.FabricNodeOUs) -> NodeOus:
    return NodeOus(
        client=_read_identifier(node_ous, "client_ou_identifier"),
        peer=_read_identifier(node_ous, "peer_ou_identifier"),
        admin=_read_identifier(node_ous, "admin_ou_identifier"),
        orderer=_read_identifier(node_ous, "orderer_ou_identifier"),
    )


def _read_identifier(node_ous: msp_config_pb2.FabricNodeOUs, name: str) -> OuIdentifier | None:
    if not node_ous.HasField(name):  # type: ignore[arg-type] # the names above are fields
        return None
    identifier: msp_config_pb2.FabricOUIdentifier = getattr(node_ous, name)
    return OuIdentifier(
        organizational_unit=identifier.organizational_unit_identifier,
        certificate=identifier.certificate.decode("ascii") or None,
    )
