"""A session whose peer shows one channel's configuration; no tests here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from unit.fabric.channel import person
from unit.operator_channels.changes import ORG1
from unit.operator_channels.proposals import view_of
from unit.operator_runtime.charters import DefaultCharter

from opssc_operator.ledger.config_blocks import ConfigBlock

if TYPE_CHECKING:
    from fabric_admin.channelconfig import ChannelConfig
    from opssc_chaincode.model import Facts
    from opssc_operator.api.refs import ProposalRef
    from opssc_operator.domain.channel import ChannelView
    from opssc_operator.domain.releases import PeerRelease


class Session:
    """An organization whose peer shows one configuration, on a ledger of few proposals."""

    def __init__(self, start: ChannelConfig, known: Mapping[ProposalRef, Facts] | None = None) -> None:
        self.msp_id = ORG1
        self.settings = SimpleNamespace(
            namespace="org1", governance_channel="ops-channel", admin=person(ORG1), fingerprint="first"
        )
        self.config_blocks = self.view = self.orderers = self
        self.reader, self.charters, self.peers = Reader(self), DefaultCharter(), Peers()
        self.known = dict(known or {})
        self.positions: dict[str, Any] = {}
        self.reads = 0
        self.show(start, 3)

    def show(self, start: ChannelConfig, block: int) -> None:
        self.block = ConfigBlock(replace(view_of(start), config_block=block), start)

    async def in_force(self, channel: str) -> ConfigBlock:
        del channel
        self.reads += 1
        return self.block

    async def at(self, channel: str, number: int) -> ConfigBlock:
        del channel, number
        return self.block

    async def find_update(self, newest: ConfigBlock, update: bytes, *, after_block: int) -> None:
        """No config block holds the update."""

    async def get(self, ref: ProposalRef) -> Facts | None:
        return self.known.get(ref)

    def know(self, address: str) -> bool:
        """No orderer is this organization's."""
        del address
        return False

    def is_refused(self, channel: str) -> bool:
        """Orderers are not asked here."""
        del channel
        return False

    def note_truth(self, ref: ProposalRef, *, refuted: bool) -> None:
        """What removes whom is not looked at here."""


class Peers:
    """Own peers, which are in every channel unless it is said that they are in none."""

    inside = True
    releases: tuple[PeerRelease, ...] = ()
    asked = 0

    def know(self, channel: str) -> bool:
        del channel
        return self.inside

    async def fetch_releases(self, channel: str) -> tuple[PeerRelease, ...]:
        del channel
        self.asked += 1
        return self.releases


class Reader:
    """What the peer shows of that configuration."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def current(self, channel: str, *, max_age_seconds: float = math.inf) -> ChannelView:
        del channel, max_age_seconds
        return self._session.block.view

    async def at(self, channel: str, number: int) -> ChannelView:
        del channel, number
        return self._session.block.view
