"""One target per kind of input: everything the library does with such bytes from a stranger.

A target returns when the input was read or refused with the library's own errors; anything else is a defect.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from fabric_protos.common import common_pb2, configtx_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2

from fabric_admin import (
    block_verification,
    blocks,
    certificates,
    channelconfig,
    collection,
    configtx,
    definition,
    duration,
    genesis,
    package,
    policy,
    proposal,
)
from fabric_admin.channelconfig import ChannelConfig, find_hazards, find_update_hazards
from fabric_admin.errors import (
    BlockError,
    ConfigError,
    ConfigUpdateRefused,
    FabricError,
    IdentityError,
    InvalidInput,
    PackageError,
    PolicyNotSatisfied,
    PolicySyntaxError,
)
from fabric_admin.identity import SigningIdentity, verify_signature
from fabric_admin.msp import MSP
from fabric_admin.policy import SignaturePolicy, SignedData
from fabric_admin.policy_rule import organization_rule
from fabric_admin.wire import decode
from opssc_tools.fuzz import material

NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
MEMBERS: Final = frozenset(material.MEMBERS)


@dataclass(frozen=True, slots=True)
class Target:
    """What is done with the bytes, and valid ones to start from."""

    read: Callable[[bytes], None]
    seeds: Callable[[], tuple[bytes, ...]]


def read_block(data: bytes) -> None:
    """A block: its transactions, its signatures, and its config when it has one."""
    with suppress(BlockError, ConfigError, PolicyNotSatisfied):
        block = decode(common_pb2.Block, data, BlockError, "block")
        blocks.transactions(block)
        blocks.header_hash(block.header)
        with suppress(BlockError):
            blocks.last_config_index(block)
        with suppress(BlockError, PolicyNotSatisfied):
            block_verification.verify(block, material.channel(), material.genesis_block().header)
        with suppress(BlockError, PolicyNotSatisfied):
            block_verification.signatures(block, material.channel())
        if blocks.is_config_block(block):
            _use(ChannelConfig.from_block(block))


def read_config(data: bytes) -> None:
    """A config: set up, compared with another, turned into an update, searched for hazards."""
    with suppress(ConfigError):
        config = decode(configtx_pb2.Config, data, ConfigError, "config")
        original = material.channel().config
        with suppress(ConfigError):
            channelconfig.diff(original, config)
        with suppress(ConfigError):
            find_hazards(original, config)
        with suppress(ConfigError):
            read_update(channelconfig.compute_update(material.CHANNEL, original, config).SerializeToString())
        with suppress(FabricError):
            material.channel().propose(material.signed_update(original, config), now=NOW)
        _use(ChannelConfig.from_config(config, material.CHANNEL))


def read_envelope(data: bytes) -> None:
    """An envelope: as a proposed config update, and as a transaction's answer."""
    with suppress(FabricError):
        envelope = decode(common_pb2.Envelope, data, BlockError, "envelope")
        with suppress(ConfigUpdateRefused):
            material.channel().propose(envelope, now=NOW)
        with suppress(FabricError):
            proposal.transaction_response(envelope)
        block = common_pb2.Block(data=common_pb2.BlockData(data=[data]))
        blocks.transactions(block)


def read_update(data: bytes) -> None:
    """A config update with everybody's signatures: forecast, evaluated, searched for hazards."""
    config = material.channel()
    signatures = [channelconfig.sign(material.organization(each).admin, data) for each in material.MEMBERS]
    with suppress(ConfigUpdateRefused):
        config.evaluate(data, signatures)
    with suppress(ConfigError, ConfigUpdateRefused):
        find_update_hazards(config, data)
    config.forecast(data, signatures, now=NOW)


def read_package(data: bytes) -> None:
    """A chaincode package with the code and the indexes inside."""
    with suppress(PackageError):
        parsed = package.parse(data)
        with suppress(PackageError):
            package.check_install(parsed)
        package.unpack_code(parsed)


def read_archive(data: bytes) -> None:
    """The inner archive of a package."""
    with suppress(PackageError):
        package.unpack_code(package.ParsedPackage("label", "ccaas", "", data, "label:0"))


def read_certificate(data: bytes) -> None:
    """A certificate as PEM or DER: as an authority, an identity, a CRL and a TLS certificate."""
    for der in (data, certificates.decode_pem(data)):
        if der is not None:
            with suppress(IdentityError):
                certificate = certificates.parse_certificate(der)
                certificates.organizational_units(certificate)
                certificates.subject_text(certificate)
                verify_signature(certificate.public_key(), b"message", data[:72])
    made = material.organization("Org1MSP")
    own = decode(msp_config_pb2.FabricMSPConfig, made.definition.config, IdentityError, "")
    with suppress(IdentityError):
        msp = MSP.from_config(made.definition)
        identity = msp.deserialize(material.serialized_identity("Org1MSP", data))
        msp.roles(identity)
        msp.validate(identity)
    for field in ("root_certs", "intermediate_certs", "tls_intermediate_certs", "admins", "revocation_list"):
        changed = msp_config_pb2.FabricMSPConfig()
        changed.CopyFrom(own)
        getattr(changed, field).append(data)
        with suppress(IdentityError):
            msp = MSP.from_config(msp_config_pb2.MSPConfig(type=0, config=changed.SerializeToString()))
            msp.roles(msp.deserialize(made.client.creator))
    config = material.channel().config
    tls = channelconfig.Consenter(channelconfig.Address("new", 1), data, data)
    with suppress(FabricError):
        material.channel().propose(
            material.signed_update(config, channelconfig.edits.add_consenter(config, tls)), now=NOW
        )


def read_msp(data: bytes) -> None:
    """An MSP definition, and identities judged by it."""
    with suppress(IdentityError):
        msp = MSP.from_config(decode(msp_config_pb2.MSPConfig, data, IdentityError, "MSP"))
        msp.roles(msp.deserialize(material.organization("Org1MSP").client.creator))


def read_policy(data: bytes) -> None:
    """A policy message: evaluated, written as text, turned into a rule over organizations."""
    with suppress(InvalidInput):
        channelconfig.policy_rule(material.channel(), data)
    with suppress(InvalidInput):
        definition.policy_text(data)
    with suppress(InvalidInput):
        collection.read_collection_package(data)
    with suppress(PolicySyntaxError):
        envelope = decode(policies_pb2.SignaturePolicyEnvelope, data, PolicySyntaxError, "policy")
        with suppress(PolicySyntaxError):
            policy.format(envelope)
        with suppress(PolicySyntaxError, PolicyNotSatisfied):
            policy.evaluate(envelope, _signed(), material.channel().msp_manager)
        with suppress(ConfigError):
            rule = organization_rule(SignaturePolicy(envelope), MEMBERS)
            rule.minimal(MEMBERS)
            str(rule)


def read_policy_text(data: bytes) -> None:
    """A policy's text, and the same text as other small languages."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(PolicySyntaxError):
        policy.parse_implicit_meta(text)
    with suppress(ConfigError):
        duration.parse(text)
    with suppress(PolicySyntaxError):
        read_policy(policy.parse(text).SerializeToString())


def read_profile(data: bytes) -> None:
    """A configtx file, and the block it describes."""
    path = _folder() / "configtx.yaml"
    path.write_bytes(data)
    with suppress(ConfigError):
        genesis.build(configtx.read_profile(path, "Trade", material.CHANNEL))


def read_msp_folder(data: bytes) -> None:
    """The config.yaml of an MSP folder."""
    (_folder() / "org1" / "config.yaml").write_bytes(data)
    with suppress(IdentityError):
        MSP.from_directory(_folder() / "org1", "Org1MSP")


@cache
def _update() -> bytes:
    payload = decode(common_pb2.Payload, material.update_envelope().payload, BlockError, "")
    return decode(configtx_pb2.ConfigUpdateEnvelope, payload.data, BlockError, "").config_update


TARGETS: Final[Mapping[str, Target]] = {
    "block": Target(read_block, material.blocks_of_channel),
    "config": Target(read_config, material.configs),
    "envelope": Target(read_envelope, lambda: (material.update_envelope().SerializeToString(deterministic=True),)),
    "update": Target(read_update, lambda: (_update(),)),
    "package": Target(read_package, material.packages),
    "archive": Target(read_archive, lambda: tuple(package.parse(each).code for each in material.packages())),
    "certificate": Target(read_certificate, material.certificates),
    "msp": Target(read_msp, lambda: (material.organization("Org1MSP").definition.SerializeToString(),)),
    "policy": Target(read_policy, material.policies),
    "policy-text": Target(read_policy_text, lambda: tuple(each.encode() for each in material.POLICIES)),
    "configtx": Target(read_profile, lambda: (material.PROFILE_TEXT.encode(),)),
    "msp-folder": Target(read_msp_folder, lambda: (material.NODE_OUS_TEXT.encode(),)),
}


def _use(config: ChannelConfig) -> None:
    """Ask a config what the operator asks of it."""
    with suppress(ConfigError):
        config.organization_rule().minimal(frozenset(config.members))
    with suppress(ConfigError):
        tuple(config.consenters)
    _ = (config.orderer_endpoints, config.policy_text("/Channel/Application/Admins"))
    for element in ("/Channel/Readers", "/Channel/Application/Endorsement", "/Channel/Orderer/BlockValidation"):
        with suppress(PolicyNotSatisfied):
            config.policies.evaluate(element, _signed())


@cache
def _signed() -> tuple[SignedData, ...]:
    signers = [person for each in material.MEMBERS for person in _people(each)]
    return tuple(SignedData(b"message", each.creator, each.sign(b"message")) for each in signers)


def _people(msp_id: str) -> tuple[SigningIdentity, SigningIdentity]:
    made = material.organization(msp_id)
    return made.admin, made.client


@cache
def _folder() -> Path:
    """A folder for what can only be read from files, with the MSP the profile names; removed at exit."""
    kept = tempfile.TemporaryDirectory(prefix="fuzz-")
    _KEPT.append(kept)
    folder = Path(kept.name)
    certificate = material.organization("Org1MSP").authority.certificate_pem
    for name in ("cacerts", "tlscacerts", "admincerts"):
        (folder / "org1" / name).mkdir(parents=True)
    for name in ("cacerts", "tlscacerts"):
        (folder / "org1" / name / "ca.pem").write_bytes(certificate)
    (folder / "org1" / "config.yaml").write_text(material.NODE_OUS_TEXT, encoding="utf-8")
    return folder


_KEPT: Final[list[tempfile.TemporaryDirectory[str]]] = []
