"""Everything an orderer decides about a config update, in its order, and the same as a forecast.

Follows ``ProcessConfigUpdateMsg`` of ``fabric: orderer/common/msgprocessor/standardchannel.go`` and
``ProposeConfigUpdate`` of ``orderer/common/multichannel/chainsupport.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2, configtx_pb2

from fabric_admin.capabilities import Line
from fabric_admin.channelconfig import authorization, bft, raft, submission
from fabric_admin.channelconfig.compatibility import check_compatible
from fabric_admin.channelconfig.consensus import BFT, ETCDRAFT
from fabric_admin.channelconfig.evaluation import Verdict, evaluate
from fabric_admin.channelconfig.maintenance import check_maintenance
from fabric_admin.channelconfig.signing import assemble, update_bytes
from fabric_admin.errors import ConfigError, ConfigUpdateRefused

if TYPE_CHECKING:
    from fabric_admin.channelconfig.channel import ChannelConfig

NEW_CONFIG: Final = "new_config"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an orderer will do with an update and the signatures it has so far."""

    accepted: bool
    refusal: ConfigUpdateRefused | None
    """The orderer's answer when it refuses."""
    verdicts: tuple[Verdict, ...]
    """Per element: which policy decides, and whom it lacks; empty when the update does not fit the config at all."""
    config: configtx_pb2.Config | None
    """The config that results when it accepts."""

    @property
    def missing(self) -> tuple[Verdict, ...]:
        """The elements whose policy lacks signatures."""
        return tuple(verdict for verdict in self.verdicts if verdict.missing)


def propose(
    config: ChannelConfig, envelope: common_pb2.Envelope, now: datetime, line: Line = Line.FABRIC_3
) -> configtx_pb2.Config:
    """Return the config the envelope leads to; raises ConfigUpdateRefused with the orderer's status and text."""
    with _step("config update for existing channel did not pass initial checks"):
        submission.check_submission(config, envelope, now)
    return apply(config, envelope, now, line)


def apply(
    config: ChannelConfig, envelope: common_pb2.Envelope, now: datetime, line: Line = Line.FABRIC_3
) -> configtx_pb2.Config:
    """Decide on the update alone, whoever submits it; raises ConfigUpdateRefused with the orderer's text."""

    def authorize() -> configtx_pb2.Config:
        return authorization.authorize(config, authorization.update_envelope(envelope))

    return _decide(config, authorize, envelope, now, line).config


def rehearse(config: ChannelConfig, data: bytes, now: datetime, line: Line = Line.FABRIC_3) -> ChannelConfig:
    """Return the channel as ``pb(ConfigUpdate)`` would leave it if everybody whose signature it takes had signed.

    Raises ConfigUpdateRefused for what an orderer refuses whoever signs, without the names of its larger steps.
    """
    unsigned = assemble(config.channel_id, data, ())
    return _decide(config, lambda: config.updated_by(data), unsigned, now, line, named=False)


def _decide(
    config: ChannelConfig,
    update: Callable[[], configtx_pb2.Config],
    envelope: common_pb2.Envelope,
    now: datetime,
    line: Line,
    *,
    named: bool = True,
) -> ChannelConfig:
    """Return the channel with the config that ``update`` returns, once all is checked that an orderer checks of it."""
    with _step(f"error applying config update to existing channel '{config.channel_id}'", named=named):
        result = update()
        proposed = load_result(config, result)
        check_compatible(config, proposed, line)
        if config.consensus.type == ETCDRAFT:
            with _step("consensus metadata update for channel config update is invalid", named=named):
                raft.check_metadata(config, proposed, now)
    with _step("config update for existing channel did not pass final checks", named=named):
        # The orderer's own header and signature come on top; without them it is too large already.
        submission.check_size(config, configtx_pb2.ConfigEnvelope(config=result, last_update=envelope).ByteSize())
    with _step("config update for existing channel did not pass maintenance checks", named=named):
        read = authorization.read_update(authorization.update_envelope(envelope).config_update)
        check_maintenance(config, proposed, read, line)
    if config.consensus.type == BFT:
        bft.check_configuration(proposed)
    return proposed


@contextmanager
def _step(name: str, *, named: bool = True) -> Iterator[None]:
    """Put the step's name in front of a refusal inside it, as an orderer's answer has it."""
    try:
        yield
    except ConfigUpdateRefused as exc:
        if not named:
            raise
        raise exc.within(name) from exc


def load_result(config: ChannelConfig, result: configtx_pb2.Config) -> ChannelConfig:
    """Set up the config that results from an update; raises ConfigUpdateRefused."""
    try:
        return type(config).from_config(result, config.channel_id)
    except ConfigError as exc:
        raise ConfigUpdateRefused(
            NEW_CONFIG, str(exc), element=exc.element, remedy="give a value every node can load"
        ) from exc


def forecast(
    config: ChannelConfig,
    config_update: configtx_pb2.ConfigUpdate | bytes,
    signatures: Iterable[configtx_pb2.ConfigSignature],
    now: datetime,
    line: Line = Line.FABRIC_3,
) -> Forecast:
    """Say what an orderer will do with an update that a writer of the channel submits with these signatures."""
    data, collected = update_bytes(config_update), tuple(signatures)
    try:
        result = apply(config, assemble(config.channel_id, data, collected), now, line)
    except ConfigUpdateRefused as exc:
        return Forecast(accepted=False, refusal=exc, verdicts=_verdicts(config, data, collected), config=None)
    return Forecast(accepted=True, refusal=None, verdicts=evaluate(config, data, collected), config=result)


def _verdicts(
    config: ChannelConfig, data: bytes, signatures: tuple[configtx_pb2.ConfigSignature, ...]
) -> tuple[Verdict, ...]:
    """Return the verdicts of a refused update, none when it does not fit at all: the refusal has said so."""
    try:
        return evaluate(config, data, signatures)
    except ConfigUpdateRefused:
        return ()
