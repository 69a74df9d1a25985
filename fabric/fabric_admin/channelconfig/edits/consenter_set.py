"""Changing who takes part in consensus: etcdraft metadata or the BFT mapping, whichever the channel has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fabric_protos.common import configtx_pb2, configuration_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2

from fabric_admin.channelconfig.bft import block_validation_policy
from fabric_admin.channelconfig.consensus import (
    BFT,
    ETCDRAFT,
    ORDERER_PATH,
    Consenter,
    bft_consenters,
    raft_consenters,
    raft_metadata,
)
from fabric_admin.channelconfig.consenters import build_mapped_consenter, build_raft_consenter
from fabric_admin.channelconfig.edits import tree
from fabric_admin.channelconfig.loading import ORDERER
from fabric_admin.channelconfig.organizations import Address
from fabric_admin.configtree import ADMINS
from fabric_admin.errors import ConfigError

Listed = list[Consenter]


def add_consenter(config: configtx_pb2.Config, consenter: Consenter) -> configtx_pb2.Config:
    """Add a consenter; with BFT it needs an MSP ID and identity, and gets the next free ID when it has none.

    Raises ConfigError when its address or a certificate is taken, or something is missing.
    """

    def add(listed: Listed) -> Listed:
        for each in listed:
            if each.address == consenter.address:
                raise _error(f"consenter {consenter.address} exists already")
            if {each.client_tls_cert, each.server_tls_cert} & {consenter.client_tls_cert, consenter.server_tls_cert}:
                raise _error(f"consenter {consenter.address} has a TLS certificate of {each.address}; each has its own")
        number = consenter.id or max((each.id for each in listed), default=0) + 1
        if any(each.id == number for each in listed if each.id):
            raise _error(f"consenter ID {number} is taken")
        return [*listed, replace(consenter, id=number)]

    tree.check_address(consenter.address.host, consenter.address.port, f"{ORDERER_PATH}/ConsensusType")
    return _edit(config, add)


def remove_consenter(config: configtx_pb2.Config, address: Address) -> configtx_pb2.Config:
    """Remove the consenter at an address; raises ConfigError when there is none, or when it is the last."""

    def remove(listed: Listed) -> Listed:
        _find(listed, address)
        if len(listed) == 1:
            raise _error(f"{address} is the last consenter; without it nothing is ordered")
        return [each for each in listed if each.address != address]

    return _edit(config, remove)


def replace_consenter_certificates(
    config: configtx_pb2.Config,
    address: Address,
    *,
    client_tls_cert: bytes | None = None,
    server_tls_cert: bytes | None = None,
    identity: bytes | None = None,
) -> configtx_pb2.Config:
    """Replace certificates (PEM) of the consenter at an address; None leaves one as it is.

    Raises ConfigError when there is no such consenter or nothing is given.
    """
    given = {"client_tls_cert": client_tls_cert, "server_tls_cert": server_tls_cert, "identity": identity}
    changed = {name: pem for name, pem in given.items() if pem is not None}
    if not changed:
        raise _error(f"no certificate of consenter {address} is to be replaced")

    def rotate(listed: Listed) -> Listed:
        _find(listed, address)
        return [_with(each, changed) if each.address == address else each for each in listed]

    return _edit(config, rotate)


def _with(consenter: Consenter, changed: dict[str, bytes]) -> Consenter:
    return replace(
        consenter,
        client_tls_cert=changed.get("client_tls_cert", consenter.client_tls_cert),
        server_tls_cert=changed.get("server_tls_cert", consenter.server_tls_cert),
        identity=changed.get("identity", consenter.identity),
    )


def _edit(config: configtx_pb2.Config, change: Callable[[Listed], Listed]) -> configtx_pb2.Config:
    edited = tree.copy(config)
    orderer = tree.section(edited, ORDERER)
    consensus = tree.read(orderer, "ConsensusType", orderer_pb2.ConsensusType, ORDERER_PATH)
    if consensus.type == ETCDRAFT:
        _edit_raft(orderer, consensus, change)
    elif consensus.type == BFT:
        _write_mapping(orderer, change(list(bft_consenters(orderer))))
    else:
        raise _error(f"consensus type '{consensus.type}' has no consenters to change")
    return tree.finish(config, edited)


def _edit_raft(
    orderer: configtx_pb2.ConfigGroup, consensus: orderer_pb2.ConsensusType, change: Callable[[Listed], Listed]
) -> None:
    metadata = raft_metadata(consensus.metadata)
    after = change(list(raft_consenters(metadata)))
    metadata.ClearField("consenters")
    metadata.consenters.extend(build_raft_consenter(each) for each in after)
    consensus.metadata = metadata.SerializeToString()
    tree.write(orderer, "ConsensusType", consensus)


def _write_mapping(orderer: configtx_pb2.ConfigGroup, consenters: Sequence[Consenter]) -> None:
    """Set the mapping and the policy that makes a quorum of it validate blocks; the one is no use without the other."""
    mapping = configuration_pb2.Orderers(consenter_mapping=[build_mapped_consenter(each) for each in consenters])
    tree.write(orderer, "Orderers", mapping)
    policy = orderer.policies["BlockValidation"]
    policy.policy.CopyFrom(block_validation_policy(consenters))
    policy.mod_policy = policy.mod_policy or ADMINS


def _find(listed: Listed, address: Address) -> None:
    if not any(each.address == address for each in listed):
        known = ", ".join(str(each.address) for each in listed)
        raise _error(f"there is no consenter {address}; there are {known}")


def _error(text: str) -> ConfigError:
    return ConfigError(text, element=f"{ORDERER_PATH}/ConsensusType")
