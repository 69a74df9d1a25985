"""How a channel's blocks are ordered: the consensus type, its state, its consenters and options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabric_protos.common import configtx_pb2, configuration_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.orderer.etcdraft import configuration_pb2 as etcdraft_pb2

from fabric_admin.channelconfig.organizations import Address
from fabric_admin.channelconfig.values import value
from fabric_admin.errors import ConfigError
from fabric_admin.wire import decode

ETCDRAFT: Final = "etcdraft"
BFT: Final = "BFT"
ORDERER_PATH: Final = "/Channel/Orderer"
_NORMAL: Final = orderer_pb2.ConsensusType.STATE_NORMAL


@dataclass(frozen=True, slots=True)
class Consenter:
    """A node that takes part in consensus, with its TLS certificates as PEM.

    ``id``, ``msp_id`` and ``identity`` (its enrolment certificate, PEM) are those of the BFT mapping.
    """

    address: Address
    client_tls_cert: bytes
    server_tls_cert: bytes
    id: int = 0
    msp_id: str = ""
    identity: bytes = b""


@dataclass(frozen=True, slots=True)
class RaftOptions:
    """Timing of etcdraft; ``tick_interval`` is a Go duration, the snapshot size is in bytes."""

    tick_interval: str = "500ms"
    election_tick: int = 10
    heartbeat_tick: int = 1
    max_inflight_blocks: int = 5
    snapshot_interval_size: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Consensus:
    """The ConsensusType value and the BFT consenter mapping of a channel."""

    type: str = ""
    state: int = _NORMAL
    metadata: bytes = b""
    """``pb(etcdraft.ConfigMetadata)`` or ``pb(smartbft.Options)``."""
    mapping: tuple[Consenter, ...] = ()
    """The Orderers value, which BFT needs."""

    @property
    def consenters(self) -> tuple[Consenter, ...]:
        """Who takes part, in the order of the config; raises ConfigError when etcdraft metadata is unreadable."""
        return raft_consenters(raft_metadata(self.metadata)) if self.type == ETCDRAFT else self.mapping

    @property
    def in_maintenance(self) -> bool:
        """Whether normal transactions are refused, and only orderer organizations are heard."""
        return self.state == orderer_pb2.ConsensusType.STATE_MAINTENANCE

    @property
    def state_name(self) -> str:
        """The state's name in Fabric's messages."""
        known = orderer_pb2.ConsensusType.State.DESCRIPTOR.values_by_number.get(self.state)
        return str(self.state) if known is None else known.name


def read_consensus(orderer: configtx_pb2.ConfigGroup) -> Consensus:
    """Return the consensus of an orderer section; like a node's, this does not look into the metadata."""
    consensus = value(orderer, "ConsensusType", orderer_pb2.ConsensusType, ORDERER_PATH)
    return Consensus(consensus.type, consensus.state, consensus.metadata, bft_consenters(orderer))


def raft_metadata(data: bytes) -> etcdraft_pb2.ConfigMetadata:
    """Decode etcdraft metadata; raises ConfigError."""
    what = "failed to unmarshal new etcdraft metadata configuration"
    try:
        return decode(etcdraft_pb2.ConfigMetadata, data, ConfigError, what)
    except ConfigError as exc:
        raise ConfigError(str(exc), element=f"{ORDERER_PATH}/ConsensusType") from exc


def raft_consenters(metadata: etcdraft_pb2.ConfigMetadata) -> tuple[Consenter, ...]:
    """Return the consenters of etcdraft metadata in their order."""
    return tuple(
        Consenter(Address(each.host, each.port), each.client_tls_cert, each.server_tls_cert)
        for each in metadata.consenters
    )


def bft_consenters(orderer: configtx_pb2.ConfigGroup) -> tuple[Consenter, ...]:
    """Return the BFT consenter mapping of an orderer section in its order."""
    mapping = value(orderer, "Orderers", configuration_pb2.Orderers, ORDERER_PATH).consenter_mapping
    return tuple(
        Consenter(
            Address(each.host, each.port),
            each.client_tls_cert,
            each.server_tls_cert,
            each.id,
            each.msp_id,
            each.identity,
        )
        for each in mapping
    )
