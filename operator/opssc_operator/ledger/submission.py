"""Handing config updates to a channel's orderers: through the own peer, or directly when that does not work."""

from __future__ import annotations

import logging
from typing import Final

from fabric_protos.common import common_pb2

from fabric_admin.channelconfig import ChannelConfig, OrdererEndpoint
from fabric_admin.errors import FabricError, GatewayError, OrdererRefused
from fabric_admin.gateway import Prepared
from fabric_admin.identity import SigningIdentity
from fabric_admin.orderer import Orderer
from fabric_admin.transport import Connection, Endpoint
from opssc_operator.api.conditions import Reason
from opssc_operator.errors import TransientError
from opssc_operator.ledger.peers import OwnPeers
from opssc_operator.ledger.translate import explain, shorten

logger = logging.getLogger(__name__)

SUBMIT_SECONDS: Final = 30.0
REFUSALS: Final = ("BAD_REQUEST", "FORBIDDEN")
"""What an orderer answers that looked at an update and would not take it; any other one may, and later this one too."""


class UpdateRefused(TransientError):
    """An orderer would not take an update; ``answer`` is its text."""

    def __init__(self, answer: str) -> None:
        super().__init__(f"the orderer refused the update: {answer}", reason=Reason.SUBMISSION_REFUSED)
        self.answer = answer


async def submit_update(
    peers: OwnPeers, config: ChannelConfig, envelope: common_pb2.Envelope, identity: SigningIdentity
) -> None:
    """Hand an envelope in; returning means that it is ordered, not that it is applied.

    The own peer is asked first and each orderer of the channel after it. Raises UpdateRefused with the orderer's text,
    TransientError when nobody took the envelope.
    """
    channel = config.channel_id
    try:
        peer = await peers.on(channel)
        # A config update has no transaction ID of its own; the peer uses it for nothing but its log.
        await peer.admin_gateway.submit_prepared(Prepared("", channel, envelope, b""), timeout_seconds=SUBMIT_SECONDS)
    except (TransientError, FabricError) as exc:
        refusal = _refusal(exc)
        if refusal:
            raise UpdateRefused(refusal) from exc
        logger.info("the own peer did not pass a config update on", extra={"channel": channel, "cause": str(exc)[:200]})
        await _broadcast(config, envelope, identity)


async def _broadcast(config: ChannelConfig, envelope: common_pb2.Envelope, identity: SigningIdentity) -> None:
    problems = []
    for endpoint in config.orderer_endpoints:
        try:
            await _hand_in(endpoint, envelope, identity)
        except FabricError as exc:
            if isinstance(exc, OrdererRefused) and exc.status in REFUSALS:
                raise UpdateRefused(explain(exc)) from exc
            problems.append(f"{endpoint.address}: {explain(exc)}")
        else:
            return
    tried = "; ".join(problems) or "the configuration names none"
    raise TransientError(f"no orderer of channel {config.channel_id} took the update: {tried}")


async def _hand_in(endpoint: OrdererEndpoint, envelope: common_pb2.Envelope, identity: SigningIdentity) -> None:
    roots = b"".join(endpoint.tls_root_certs)
    async with Connection(Endpoint(endpoint.address, roots or None)) as connection:
        await Orderer(connection, identity).broadcast(envelope, timeout_seconds=SUBMIT_SECONDS)


def _refusal(exc: TransientError | FabricError) -> str:
    """What an orderer said against the update, if it was one that spoke."""
    if not isinstance(exc, GatewayError):
        return ""
    said = [detail.message for detail in exc.details] or [exc.message]
    found = next((text for text in said if any(status in text for status in REFUSALS)), "")
    return shorten(found)
