"""Entering and leaving maintenance mode, and changing the consensus type in it.

Follows ``fabric: orderer/common/msgprocessor/maintenancefilter.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fabric_protos.common import configtx_pb2

from fabric_admin.capabilities import Line
from fabric_admin.channelconfig.bft import check_options, read_options
from fabric_admin.channelconfig.consensus import BFT, ETCDRAFT, raft_consenters, raft_metadata
from fabric_admin.errors import ConfigError, ConfigUpdateRefused

if TYPE_CHECKING:
    from fabric_admin.channelconfig.channel import ChannelConfig
    from fabric_admin.channelconfig.consensus import Consensus

STAGE: Final = "maintenance_checks"
ELEMENT: Final = "/Channel/Orderer/ConsensusType"
_TARGETS: Final = {Line.FABRIC_2_5: frozenset({ETCDRAFT, "solo", "kafka"}), Line.FABRIC_3: frozenset({BFT})}
_ONE_STEP: Final = "enter maintenance mode, change the consensus type, leave it: one update for each step"


def check_maintenance(
    current: ChannelConfig,
    proposed: ChannelConfig,
    update: configtx_pb2.ConfigUpdate,
    line: Line = Line.FABRIC_3,
) -> None:
    """Refuse a change of consensus type or state that orderers of a line refuse; raises ConfigUpdateRefused."""
    before, after = current.consensus, proposed.consensus
    if not current.capabilities.consensus_migration:
        _check_without_migration(before, after)
        return
    if before.state != after.state:
        _check_state_change(before, after, update)
    if before.type != after.type:
        _check_type_change(before, after, line)


def _check_without_migration(before: Consensus, after: Consensus) -> None:
    disabled = "but capability is disabled"
    if after.state != 0:
        raise _refused(f"next config attempted to change ConsensusType.State to {after.state_name}, {disabled}")
    if before.type != after.type:
        raise _refused(
            f"next config attempted to change ConsensusType.Type from {before.type} to {after.type}, {disabled}"
        )


def _check_state_change(before: Consensus, after: Consensus, update: configtx_pb2.ConfigUpdate) -> None:
    _require_only_consensus_type(update)
    states = f"ConsensusType.State is changing from {before.state_name} to {after.state_name}"
    if before.type != after.type:
        raise _refused(f"attempted to change ConsensusType.Type from {before.type} to {after.type}, but {states}")
    if before.metadata != after.metadata:
        raise _refused(f"attempted to change ConsensusType.Metadata, but {states}")


def _require_only_consensus_type(update: configtx_pb2.ConfigUpdate) -> None:
    root = update.write_set
    if not root.groups:
        raise _refused("config update contains no changes")
    if root.values:
        raise _refused("config update contains changes to values in group Channel")
    if len(root.groups) > 1:
        raise _refused("config update contains changes to more than one group")
    if "Orderer" not in root.groups:
        raise _refused("update does not contain the Orderer group")
    orderer = root.groups["Orderer"]
    if orderer.groups:
        raise _refused("config update contains changes to groups within the Orderer group")
    if "ConsensusType" not in orderer.values:
        raise _refused("config update does not contain the ConsensusType value")
    if len(orderer.values) > 1:
        raise _refused("config update contain more then just the ConsensusType value in the Orderer group")


def _check_type_change(before: Consensus, after: Consensus, line: Line) -> None:
    change = f"attempted to change consensus type from {before.type} to {after.type}"
    for consensus, name in ((before, "current"), (after, "next")):
        if not consensus.state:
            raise _refused(f"{change}, but {name} config ConsensusType.State is not in maintenance mode")
    if after.type not in _TARGETS[line]:
        raise _refused(f"{change}, transition not supported")
    if after.type == BFT:
        _check_bft(before, after)


def _check_bft(before: Consensus, after: Consensus) -> None:
    try:
        options = read_options(after.metadata)
    except ConfigError as exc:
        raise _refused(f"failed to unmarshal BFT metadata configuration: {exc}") from exc
    try:
        check_options(options)
    except ConfigError as exc:
        # Fabric drops the reason; it is what helps.
        raise _refused("invalid BFT metadata configuration", str(exc)) from exc
    _check_mapping(before, after)


def _check_mapping(before: Consensus, after: Consensus) -> None:
    prefix = "invalid BFT consenter mapping configuration"
    raft, mapping = raft_consenters(raft_metadata(before.metadata)), after.mapping
    if not mapping:
        raise _refused(f"{prefix}: Invalid new config: bft consenters are missing")
    if len(raft) != len(mapping):
        raise _refused(
            f"{prefix}: Invalid new config: the number of bft consenters: {len(mapping)} "
            f"is not equal to the number of raft consenters: {len(raft)}"
        )
    known = {(each.address, each.client_tls_cert, each.server_tls_cert) for each in mapping}
    for consenter in raft:
        if (consenter.address, consenter.client_tls_cert, consenter.server_tls_cert) not in known:
            raise _refused(f"{prefix}: No suitable BFT consenter for Raft consenter: {consenter.address}")


def _refused(reason: str, remedy: str = _ONE_STEP) -> ConfigUpdateRefused:
    return ConfigUpdateRefused(STAGE, f"config transaction inspection failed: {reason}", element=ELEMENT, remedy=remedy)
