"""Whether a config signature was made by the caller over a config update. Pure.

A signature covers its own header and the update's bytes (Fabric common/configtx, `ConfigUpdateEnvelope.AsSignedData`).
Whether the certificate is valid was judged by the peer, which let its holder call.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.msp import identities_pb2
from google.protobuf.message import DecodeError

from opssc_chaincode.errors import Code, RefusedError
from opssc_chaincode.model.channel import decode_base64

_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
}


def check(text: str, creator: bytes, config_update: bytes) -> None:
    """Raise RefusedError(BAD_SIGNATURE) unless base64 `text` is the creator's signature over the update."""
    signature, header = _parse(text)
    if header.creator != creator:
        raise _bad("the signature's creator is not the caller")
    try:
        _verify(creator, signature.signature_header + config_update, signature.signature)
    except (InvalidSignature, ValueError) as exc:
        raise _bad("the signature is not the caller's over this header and config update") from exc


def _parse(text: str) -> tuple[configtx_pb2.ConfigSignature, common_pb2.SignatureHeader]:
    signature, header = configtx_pb2.ConfigSignature(), common_pb2.SignatureHeader()
    try:
        signature.ParseFromString(decode_base64(text, "configSignature"))
        header.ParseFromString(signature.signature_header)
    except (DecodeError, ValueError) as exc:
        raise _bad("configSignature is no ConfigSignature message in base64") from exc
    return signature, header


def _verify(creator: bytes, message: bytes, signature: bytes) -> None:
    """Raise InvalidSignature or ValueError unless the creator signed the message as Fabric accepts it."""
    identity = identities_pb2.SerializedIdentity()
    try:
        identity.ParseFromString(creator)
    except DecodeError as exc:
        raise ValueError("the creator is no identity") from exc
    key = x509.load_pem_x509_certificate(identity.id_bytes).public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
        return
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _ORDERS:
        raise ValueError("the certificate's key is of no kind that signs configurations")
    _, s = decode_dss_signature(signature)
    if s > _ORDERS[key.curve.name] // 2:
        raise ValueError("the signature has a high S, which Fabric refuses")
    key.verify(signature, message, ec.ECDSA(hashes.SHA256()))


def _bad(text: str) -> RefusedError:
    return RefusedError(
        Code.BAD_SIGNATURE, f"{text}: sign the proposal's configUpdate with the identity that reports it"
    )
