"""The values of a config group, decoded by name; which names a group may have is its reader's to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from fabric_protos.common import configtx_pb2, configuration_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from google.protobuf.message import Message

from fabric_admin.errors import ConfigError
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Collection

MessageT = TypeVar("MessageT", bound=Message)

VALUE_TYPES: Final[Mapping[str, type[Message]]] = {
    "ACLs": peer_pb2.ACLs,
    "AnchorPeers": peer_pb2.AnchorPeers,
    "BatchSize": orderer_pb2.BatchSize,
    "BatchTimeout": orderer_pb2.BatchTimeout,
    "BlockDataHashingStructure": configuration_pb2.BlockDataHashingStructure,
    "Capabilities": configuration_pb2.Capabilities,
    "ChannelCreationPolicy": policies_pb2.Policy,
    "ChannelRestrictions": orderer_pb2.ChannelRestrictions,
    "ConsensusType": orderer_pb2.ConsensusType,
    "Consortium": configuration_pb2.Consortium,
    "Endpoints": configuration_pb2.OrdererAddresses,
    "HashingAlgorithm": configuration_pb2.HashingAlgorithm,
    "KafkaBrokers": orderer_pb2.KafkaBrokers,
    "MSP": msp_config_pb2.MSPConfig,
    "OrdererAddresses": configuration_pb2.OrdererAddresses,
    "Orderers": configuration_pb2.Orderers,
}
"""The message each value holds, by the value's name (``fabric: common/channelconfig``)."""

CHANNEL_VALUES: Final = frozenset(
    {"HashingAlgorithm", "BlockDataHashingStructure", "OrdererAddresses", "Orderers", "Consortium", "Capabilities"}
)
ORDERER_VALUES: Final = frozenset(
    {
        "ConsensusType",
        "BatchSize",
        "BatchTimeout",
        "KafkaBrokers",
        "ChannelRestrictions",
        "Orderers",
        "Capabilities",
    }
)
APPLICATION_VALUES: Final = frozenset({"ACLs", "Capabilities"})
APPLICATION_ORGANIZATION_VALUES: Final = frozenset({"MSP", "AnchorPeers"})
ORDERER_ORGANIZATION_VALUES: Final = frozenset({"MSP", "Endpoints"})
CONSORTIUM_VALUES: Final = frozenset({"ChannelCreationPolicy"})
CONSORTIUM_ORGANIZATION_VALUES: Final = frozenset({"MSP"})


def require_known(group: configtx_pb2.ConfigGroup, allowed: Collection[str], path: str) -> None:
    """Refuse a group with a value no node knows, or one it cannot read; raises ConfigError in Fabric's words."""
    for name in sorted(group.values):
        if name not in allowed:
            raise ConfigError(f"failed to deserialize values: Unexpected key {name}", element=f"{path}/{name}")
        value(group, name, VALUE_TYPES[name], path)


def value(group: configtx_pb2.ConfigGroup, name: str, message_type: type[MessageT], path: str) -> MessageT:
    """Return a value of a group at ``path``, empty when it has none; raises ConfigError."""
    data = group.values[name].value if name in group.values else b""
    try:
        return decode(message_type, data, ConfigError, "failed to deserialize values")
    except ConfigError as exc:
        raise ConfigError(str(exc), element=f"{path}/{name}") from exc


def capability_names(group: configtx_pb2.ConfigGroup | None, path: str) -> frozenset[str]:
    """Return the capability levels a group requires; raises ConfigError."""
    if group is None:
        return frozenset()
    return frozenset(value(group, "Capabilities", configuration_pb2.Capabilities, path).capabilities)
