"""What orderers show of a channel that no own peer is in yet: whether it has this organization, and its first block.

Only orderers that the organization lists are asked and believed, with its own identity, which only members' may read
with. The genesis block is signed by nobody: it counts when block 1, signed by the orderers that it names, follows it.
The configuration in force counts when the orderers that it names, or those before them, signed it. So a chain that
holds together proves nothing about who made it: anybody can found a channel with orderers of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from fabric_protos.common import common_pb2

from fabric_admin import blocks
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import BlockError, DeliverError, FabricError, InvalidInput, PolicyNotSatisfied
from fabric_admin.identity import SigningIdentity
from fabric_admin.orderer import Orderer
from fabric_admin.transport import Connection, Endpoint
from opssc_operator.domain.joining import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Admission,
    Standing,
    pause_after,
)
from opssc_operator.domain.newest import Newest
from opssc_operator.ledger.history import check_channel, prove_config
from opssc_operator.ledger.translate import explain

FETCH_SECONDS: Final = 10.0
KNOCK_SECONDS: Final = 5.0
ASKED_AT_ONCE: Final = 3
LOOKS_AT_ONCE: Final = 4
SOONEST_SECONDS: Final = 1.0
TURN_SECONDS: Final = 0.25
"""How far apart those that had no turn come again: the more there are, the later each does."""
KEPT_CHANNELS: Final = 4096
"""Channels whose answers are kept: members can name any number of them in proposals."""
_STATUSES: Final = {"FORBIDDEN": Standing.OUTSIDE, "NOT_FOUND": Standing.UNKNOWN_CHANNEL}
_WORTH: Final = (
    Standing.UNREACHABLE,
    Standing.UNKNOWN_CHANNEL,
    Standing.UNPROVED,
    Standing.OUTSIDE,
    Standing.MEMBER,
)
"""The last one says the most: an orderer may lag behind, and not all serve every channel."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the orderers of a channel show, and its genesis block when they show this organization as a member."""

    admission: Admission
    genesis: common_pb2.Block | None = None


@dataclass(slots=True)
class _Kept:
    """The last answer about a channel, until when it holds, and since when it has been membership (clock seconds)."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    offer: Offer | None = None
    until: float = 0.0
    refusals: int = 0
    member_since: float | None = None

    def take(self, offer: Offer, now: float, longest_seconds: float) -> None:
        """Keep a new answer."""
        standing = offer.admission.standing
        if standing is Standing.MEMBER:
            self.refusals, self.member_since = 0, now if self.member_since is None else self.member_since
        else:
            self.refusals, self.member_since = self.refusals + 1, None
        self.offer, self.until = offer, now + pause_after(standing, self.refusals, longest_seconds)

    def show(self, offer: Offer, now: float) -> Offer:
        """The answer as of now."""
        since = now if self.member_since is None else self.member_since
        admission = replace(
            offer.admission, again_seconds=max(self.until - now, SOONEST_SECONDS), member_seconds=now - since
        )
        return replace(offer, admission=admission)


class Admissions:
    """Asks listed orderers in their order until one shows this organization as a member, and keeps what they say.

    Connects only while it asks. However many look at one channel, its orderers are asked once per pause, and about few
    channels at a time: nobody waits for a turn, or orderers that hang would hold up everything else.
    """

    def __init__(
        self,
        msp_id: str,
        orderers: Sequence[Endpoint],
        identity: SigningIdentity,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._msp_id = msp_id
        self._orderers = tuple(orderers)
        self._identity = identity
        self._clock = clock
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._kept: Newest[str, _Kept] = Newest(KEPT_CHANNELS)
        self._last_turn = 0.0
        """When the last of those that had no turn comes again (clock seconds)."""

    @property
    def available(self) -> bool:
        """Whether any orderer is listed."""
        return bool(self._orderers)

    async def look(self, channel: str, longest_seconds: float, *, first: bool = False) -> Offer:
        """What the listed orderers show of a channel, or showed not long ago; pauses do not exceed these seconds.

        Without a turn to ask, that is the last answer, or that nobody was asked yet, and when to come again. One look
        at a time may be ``first`` and have its turn beside all others.
        """
        kept = self._kept.get(channel)
        if kept is None:
            kept = self._kept[channel] = _Kept()
        if kept.offer is not None and self._clock() < kept.until:
            return kept.show(kept.offer, self._clock())
        if kept.lock.locked() or (self._looks.locked() and not first):
            return self._put_off(kept, longest_seconds)
        async with kept.lock, nullcontext() if first else self._looks:
            offer = await self._ask_listed(channel)
            kept.take(offer, self._clock(), longest_seconds)
        return kept.show(offer, self._clock())

    def _put_off(self, kept: _Kept, longest_seconds: float) -> Offer:
        """What is known without a turn, and a pause that grows with how many others wait for one."""
        now = self._clock()
        soonest, latest = now + FIRST_PAUSE_SECONDS, now + LONGEST_PAUSE_SECONDS
        self._last_turn = min(max(self._last_turn + TURN_SECONDS, soonest), latest)
        known = Offer(Admission(Standing.UNASKED)) if kept.offer is None else kept.show(kept.offer, now)
        pause = min(self._last_turn - now, longest_seconds)
        return replace(known, admission=replace(known.admission, again_seconds=pause))

    async def is_refused(self, channel: str, orderers: Sequence[Endpoint]) -> bool | None:
        """Whether orderers of a channel let this organization read no more; None when none says anything.

        Its own peers do not say so: no orderer sends them the block that removes their organization.
        """
        standings: set[Standing] = set()
        for first in range(0, len(orderers), ASKED_AT_ONCE):
            some = orderers[first : first + ASKED_AT_ONCE]
            standings |= set(await asyncio.gather(*(self._knock(channel, endpoint) for endpoint in some)))
            if Standing.MEMBER in standings:
                return False
        return True if Standing.OUTSIDE in standings else None

    async def _knock(self, channel: str, endpoint: Endpoint) -> Standing:
        try:
            async with Connection(endpoint) as connection:
                await Orderer(connection, self._identity).fetch(channel, "newest", timeout_seconds=KNOCK_SECONDS)
        except DeliverError as exc:
            return _STATUSES.get(exc.status, Standing.UNREACHABLE)
        except FabricError:
            return Standing.UNREACHABLE
        return Standing.MEMBER

    async def _ask_listed(self, channel: str) -> Offer:
        offers: list[Offer] = []
        for endpoint in self._orderers:
            offers.append(await self._ask(channel, endpoint))
            if offers[-1].genesis is not None:
                break
        return max(offers, key=_worth, default=Offer(Admission(Standing.UNREACHABLE, "none is listed")))

    async def _ask(self, channel: str, endpoint: Endpoint) -> Offer:
        try:
            async with Connection(endpoint) as connection:
                return await self._read(channel, Orderer(connection, self._identity))
        except DeliverError as exc:
            standing = _STATUSES.get(exc.status, Standing.UNREACHABLE)
            return Offer(Admission(standing, f"{endpoint.address}: {explain(exc)}"))
        except (InvalidInput, PolicyNotSatisfied) as exc:
            return Offer(Admission(Standing.UNPROVED, f"{endpoint.address}: {explain(exc)}"))
        except FabricError as exc:
            return Offer(Admission(Standing.UNREACHABLE, f"{endpoint.address}: {explain(exc)}"))

    async def _read(self, channel: str, orderer: Orderer) -> Offer:
        """Read and prove what one orderer shows; raises FabricError."""
        newest = await orderer.fetch(channel, "newest", timeout_seconds=FETCH_SECONDS)
        newest_config = blocks.last_config_index(newest)
        genesis = await _fetch(orderer, channel, 0)
        _, config = await prove_config(partial(_fetch, orderer, channel), genesis, newest_config)
        if self._msp_id not in config.members:
            return Offer(Admission(Standing.OUTSIDE, config_block=newest_config))
        return Offer(Admission(Standing.MEMBER, config_block=newest_config), genesis)


def endpoints_of(config: ChannelConfig) -> tuple[Endpoint, ...]:
    """The orderers that a configuration names with CAs for them: without TLS, anybody on the way could answer."""
    return tuple(
        Endpoint(each.address, b"".join(each.tls_root_certs))
        for each in config.orderer_endpoints
        if any(each.tls_root_certs)
    )


async def _fetch(orderer: Orderer, channel: str, number: int) -> common_pb2.Block:
    """Fetch a block that is of this channel and number; raises FabricError."""
    found = await orderer.fetch(channel, number, timeout_seconds=FETCH_SECONDS)
    if found.header.number != number:
        raise BlockError(f"the orderer sent block {found.header.number} for block {number}")
    check_channel(found, channel)
    return found


def _worth(offer: Offer) -> int:
    return _WORTH.index(offer.admission.standing)
