"""A certificate authority for tests: certificates with role OUs, and the MSP that vouches for them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from fabric_protos.msp import msp_config_pb2

from fabric_admin.errors import IdentityError
from fabric_admin.identity import PrivateKey, SigningIdentity
from fabric_admin.msp import MSP

START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC)


class Authority:
    """One organization's root CA, NodeOUs on."""

    def __init__(self, msp_id: str, *, start: datetime = START, end: datetime = END) -> None:
        self.msp_id, self._start, self._end = msp_id, start, end
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ca.{msp_id}")])
        self._serial = 1
        self.certificate = self._sign(self._name, self._key.public_key(), ca=True)

    @property
    def pem(self) -> bytes:
        """The root certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def config(self) -> msp_config_pb2.MSPConfig:
        """The organization's MSP definition."""
        roles = {
            f"{role}_ou_identifier": msp_config_pb2.FabricOUIdentifier(organizational_unit_identifier=role)
            for role in ("client", "peer", "admin", "orderer")
        }
        definition = msp_config_pb2.FabricMSPConfig(
            name=self.msp_id,
            root_certs=[self.pem],
            tls_root_certs=[self.pem],
            fabric_node_ous=msp_config_pb2.FabricNodeOUs(enable=True, **roles),
        )
        return msp_config_pb2.MSPConfig(type=0, config=definition.SerializeToString())

    def msp(self) -> MSP:
        """The organization's MSP."""
        return MSP.from_config(self.config())

    def issue(
        self, role: str, *, name: str = "someone", ed25519_key: bool = False, until: datetime = END
    ) -> SigningIdentity:
        """A new identity with the OU of a role."""
        key: PrivateKey = (
            ed25519.Ed25519PrivateKey.generate() if ed25519_key else ec.generate_private_key(ec.SECP256R1())
        )
        subject = x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role), x509.NameAttribute(NameOID.COMMON_NAME, name)]
        )
        return SigningIdentity(self.msp_id, self._sign(subject, key.public_key(), ca=False, until=until), key)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey,
        *,
        ca: bool,
        until: datetime | None = None,
    ) -> x509.Certificate:
        self._serial += 1
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(self._serial)
            .not_valid_before(self._start)
            .not_valid_after(until or self._end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .sign(self._key, hashes.SHA256())
        )


@cache
def authority(msp_id: str) -> Authority:
    """The authority of an organization, made once."""
    return Authority(msp_id)


def refusal(act: object) -> str:
    """The text of the IdentityError an action raises, empty when it raises none."""
    assert callable(act)
    try:
        act()
    except IdentityError as exc:
        return str(exc)
    return ""
