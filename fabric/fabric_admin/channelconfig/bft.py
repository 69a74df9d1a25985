"""What BFT consensus asks of a config: its options, its consenter mapping and the block validation policy over it.

Follows ``fabric: orderer/consensus/smartbft/configverifier.go``, ``util/util.go``, ``common/policies/bft.go`` and
``SmartBFT: pkg/types/config.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fabric_protos.common import policies_pb2
from fabric_protos.msp import identities_pb2, msp_principal_pb2
from fabric_protos.orderer.smartbft import configuration_pb2 as smartbft_pb2

from fabric_admin import duration
from fabric_admin.errors import ConfigError, ConfigUpdateRefused
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from fabric_admin.channelconfig.channel import ChannelConfig
    from fabric_admin.channelconfig.consensus import Consenter

STAGE: Final = "configure"
BLOCK_VALIDATION: Final = "/Channel/Orderer/BlockValidation"
DEFAULT_OPTIONS: Final = smartbft_pb2.Options(
    request_batch_max_count=100,
    request_batch_max_bytes=10 * 1024 * 1024,
    request_batch_max_interval="50ms",
    incoming_message_buffer_size=200,
    request_pool_size=400,
    request_forward_timeout="2s",
    request_complain_timeout="20s",
    request_auto_remove_timeout="3m0s",
    view_change_resend_interval="5s",
    view_change_timeout="20s",
    leader_heartbeat_timeout="1m0s",
    leader_heartbeat_count=10,
    collect_timeout="1s",
)
"""What the genesis tool writes when a profile says nothing."""

_COUNTS: Final = (
    ("RequestBatchMaxCount", "request_batch_max_count"),
    ("RequestBatchMaxBytes", "request_batch_max_bytes"),
    ("IncomingMessageBufferSize", "incoming_message_buffer_size"),
    ("RequestPoolSize", "request_pool_size"),
    ("LeaderHeartbeatCount", "leader_heartbeat_count"),
)
_DURATIONS: Final = (
    ("RequestBatchMaxInterval", "request_batch_max_interval"),
    ("RequestForwardTimeout", "request_forward_timeout"),
    ("RequestComplainTimeout", "request_complain_timeout"),
    ("RequestAutoRemoveTimeout", "request_auto_remove_timeout"),
    ("ViewChangeResendInterval", "view_change_resend_interval"),
    ("ViewChangeTimeout", "view_change_timeout"),
    ("LeaderHeartbeatTimeout", "leader_heartbeat_timeout"),
    ("CollectTimeout", "collect_timeout"),
)
_ORDER: Final = (
    ("RequestForwardTimeout", "RequestComplainTimeout"),
    ("RequestComplainTimeout", "RequestAutoRemoveTimeout"),
    ("ViewChangeResendInterval", "ViewChangeTimeout"),
)
_DEFAULT_REQUEST_MAX_BYTES: Final = 10 * 1024


def read_options(metadata: bytes) -> smartbft_pb2.Options:
    """Decode BFT metadata; raises ConfigError."""
    return decode(smartbft_pb2.Options, metadata, ConfigError, "BFT options")


def check_options(options: smartbft_pb2.Options) -> None:
    """Refuse options the consensus cannot run with; raises ConfigError."""
    times = {name: _nanoseconds(name, getattr(options, attribute)) for name, attribute in _DURATIONS}
    amounts = {name: getattr(options, attribute) for name, attribute in _COUNTS}
    for name, amount in (*amounts.items(), *times.items()):
        if amount <= 0:
            raise ConfigError(f"{name} should be greater than zero")
    if options.request_batch_max_count > options.request_batch_max_bytes:
        raise ConfigError("RequestBatchMaxCount is bigger than RequestBatchMaxBytes")
    if options.request_batch_max_bytes < _DEFAULT_REQUEST_MAX_BYTES:
        raise ConfigError("RequestMaxBytes is bigger than RequestBatchMaxBytes")
    for small, large in _ORDER:
        if times[small] > times[large]:
            raise ConfigError(f"{small} is bigger than {large}")
    if options.leader_rotation == smartbft_pb2.Options.ROTATION_ON and options.decisions_per_leader == 0:
        raise ConfigError("DecisionsPerLeader should be greater than zero when leader rotation is active")


def _nanoseconds(name: str, text: str) -> int:
    try:
        return duration.parse(text)
    except ConfigError as exc:
        raise ConfigError(f"bad config metadata option {name}: {exc}") from exc


def quorum(consenters: int) -> int:
    """Return how many of so many consenters must sign a block."""
    faulty = (consenters - 1) // 3
    return (consenters + faulty + 2) // 2


def block_validation_policy(consenters: Sequence[Consenter]) -> policies_pb2.Policy:
    """Return the policy a quorum of exactly these consenters satisfies, in the order of the mapping."""
    rules = [policies_pb2.SignaturePolicy(signed_by=index) for index in range(len(consenters))]
    gate = policies_pb2.SignaturePolicy.NOutOf(n=quorum(len(consenters)), rules=rules)
    identities = [
        msp_principal_pb2.MSPPrincipal(
            principal_classification=msp_principal_pb2.MSPPrincipal.IDENTITY,
            principal=identities_pb2.SerializedIdentity(mspid=each.msp_id, id_bytes=each.identity).SerializeToString(),
        )
        for each in consenters
    ]
    envelope = policies_pb2.SignaturePolicyEnvelope(
        rule=policies_pb2.SignaturePolicy(n_out_of=gate), identities=identities
    )
    return policies_pb2.Policy(type=policies_pb2.Policy.SIGNATURE, value=envelope.SerializeToString())


def check_configuration(proposed: ChannelConfig) -> None:
    """Check what BFT orderers check of a config before they agree on it; raises ConfigUpdateRefused."""
    orderer = proposed.config.channel_group.groups["Orderer"]
    mapping = proposed.consensus.mapping
    if "Orderers" not in orderer.values:
        raise _refused("no values in 'Orderer' group", "/Channel/Orderer/Orderers", "keep the consenter mapping")
    if "BlockValidation" not in orderer.policies:
        raise _refused(
            "block validation policy is not found in the policies of 'Orderer' group",
            BLOCK_VALIDATION,
            "keep the policy",
        )
    if orderer.policies["BlockValidation"].policy != block_validation_policy(mapping):
        wanted = f"{quorum(len(mapping))} of {len(mapping)} consenters"
        raise _refused(
            f"block validation policy should be a signature policy: {wanted}",
            BLOCK_VALIDATION,
            "compute it from the consenter mapping whenever that changes",
        )
    try:
        rotation = read_options(proposed.consensus.metadata).leader_rotation
    except ConfigError as exc:
        reason = f"invalid options encoded in consensus metadata: {exc}"
        raise _refused(reason, "/Channel/Orderer/ConsensusType", "give smartbft.Options") from exc
    if rotation == smartbft_pb2.Options.ROTATION_ON:
        raise _refused(
            "leader rotation must be turned off for this version or be unspecified",
            "/Channel/Orderer/ConsensusType",
            "turn leader rotation off",
        )


def _refused(reason: str, element: str, remedy: str) -> ConfigUpdateRefused:
    return ConfigUpdateRefused(STAGE, reason, element=element, remedy=remedy, status="SERVICE_UNAVAILABLE")
