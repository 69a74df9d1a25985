"""Who calls: MSP ID, organizational units and the `opssc.role` attribute of a transaction's creator. Pure.

The peer has validated signature and chain before the contract runs; what is read here is what the certificate says.
Source of the attribute extension: fabric-ca, lib/attrmgr (OID 1.2.3.4.5.6.7.8.1, JSON `{"attrs": {...}}`).
"""

import json
import warnings
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID
from fabric_protos.msp import identities_pb2
from google.protobuf.message import DecodeError
from pydantic import TypeAdapter, ValidationError

from opssc_chaincode.errors import Code, RefusedError
from opssc_chaincode.model.charter import Role
from opssc_chaincode.model.fields import MspID

_ATTRIBUTES = x509.ObjectIdentifier("1.2.3.4.5.6.7.8.1")
_ROLE_ATTRIBUTE = "opssc.role"
_VOTER = "voter"
_AGENT = "agent"
_ADMIN_UNIT = "admin"
_CLIENT_UNIT = "client"
_MAX_SUBJECT_CHARACTERS = 512
_msp_id = TypeAdapter(MspID)
# All that the libraries raise for certificates that do not follow X.509.
_UNREADABLE = (
    DecodeError,
    ValidationError,
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    # For a name whose value is a bit string.
    TypeError,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """The organization and the roles that a creator's certificate gives."""

    msp_id: MspID
    subject: str
    units: frozenset[str]
    attribute: str

    def may_vote(self, role: Role) -> bool:
        """Whether the certificate carries the charter's `vote` role."""
        return self._has(role) or self.attribute == _VOTER

    def may_report(self, role: Role) -> bool:
        """Whether the certificate carries the charter's `report` role."""
        return self._has(role) or self.attribute == _AGENT

    def _has(self, role: Role) -> bool:
        return _ADMIN_UNIT in self.units or (role is Role.CLIENT and _CLIENT_UNIT in self.units)


def parse_creator(creator: bytes) -> Caller:
    """Read a SerializedIdentity; raises RefusedError(FORBIDDEN) for anything but one X.509 certificate of an MSP."""
    try:
        identity = identities_pb2.SerializedIdentity.FromString(creator)
        msp_id = _msp_id.validate_python(identity.mspid)
        # Oddities that can be read are the peer's to judge; they must not fill the log of every endorser.
        with warnings.catch_warnings(action="ignore"):
            return _caller(msp_id, x509.load_pem_x509_certificate(identity.id_bytes))
    except _UNREADABLE as exc:
        raise RefusedError(
            Code.FORBIDDEN, "the transaction's creator is not an X.509 certificate with a usable MSP ID"
        ) from exc


def _caller(msp_id: MspID, certificate: x509.Certificate) -> Caller:
    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return Caller(
        msp_id=msp_id,
        subject=certificate.subject.rfc4514_string()[:_MAX_SUBJECT_CHARACTERS],
        units=frozenset(str(unit.value) for unit in units),
        attribute=_role(certificate),
    )


def _role(certificate: x509.Certificate) -> str:
    """Give the value of the `opssc.role` attribute, empty when there is none."""
    try:
        extension = certificate.extensions.get_extension_for_oid(_ATTRIBUTES).value
    except x509.ExtensionNotFound:
        return ""
    if not isinstance(extension, x509.UnrecognizedExtension):
        return ""
    try:
        content = json.loads(extension.value)
    except (ValueError, RecursionError):
        return ""
    attributes = content.get("attrs") if isinstance(content, dict) else None
    role = attributes.get(_ROLE_ATTRIBUTE) if isinstance(attributes, dict) else None
    return role if isinstance(role, str) else ""
