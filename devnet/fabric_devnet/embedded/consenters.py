"""Who orders a channel according to its config, and how many of them it takes. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from fabric_admin.certificates import decode_pem
from fabric_admin.channelconfig import BFT, bft

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_admin.identity import SigningIdentity


_KEPT_CERTIFICATES: Final = 256
_SMALLEST_TOLERANT: Final = 3  # consenters, of which one may fail


def is_consenter(config: ChannelConfig, tls_certificate: bytes, identity: SigningIdentity) -> bool:
    """Tell whether an orderer is a consenter: by its TLS certificate (DER), with BFT by its identity."""
    if config.consensus_type == BFT:
        return consenter_id(config, identity) is not None
    return any(tls_certificate in pair for pair in _certificates(config))


def consenter_id(config: ChannelConfig, identity: SigningIdentity) -> int | None:
    """Return the number of an orderer in the BFT consenter mapping, None when it is not in it."""
    own = identity.msp_id, _der(identity.certificate_pem)
    return next((each.id for each in config.consensus.mapping if (each.msp_id, _der(each.identity)) == own), None)


def quorum(config: ChannelConfig) -> int:
    """Return how many consenters must run for messages to be ordered."""
    count = len(config.consenters)
    return bft.quorum(count) if config.consensus_type == BFT else count // 2 + 1


def quorum_loss(current: ChannelConfig, proposed: ChannelConfig, running: AbstractSet[bytes]) -> str:
    """Say, in Fabric's words, why the nodes that run could not order with the proposed consenters; "" if they could.

    `running` are TLS certificates (DER). Source: orderer/consensus/etcdraft/membership.go, UnacceptableQuorumLoss; BFT
    orderers do not ask.
    """
    if current.consensus_type == BFT:
        return ""
    before, after = _certificates(current), _certificates(proposed)
    gone = [pair for pair in before if pair not in after]
    alive = [pair for pair in before if running & set(pair)]
    left = [pair for pair in alive if pair not in gone]
    shrinks = len(after) < len(before)
    changes = bool(gone) or len(after) > len(before)
    if changes and len(left) < len(after) // 2 + 1 and (shrinks or len(after) > _SMALLEST_TOLERANT - 1):
        return f"{len(alive)} out of {len(before)} nodes are alive, configuration will result in quorum loss"
    return ""


def _certificates(config: ChannelConfig) -> list[tuple[bytes | None, bytes | None]]:
    return [(_der(each.client_tls_cert), _der(each.server_tls_cert)) for each in config.consenters]


@lru_cache(maxsize=_KEPT_CERTIFICATES)
def _der(pem: bytes) -> bytes | None:
    return decode_pem(pem)
