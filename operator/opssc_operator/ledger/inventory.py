"""What own peers show of a whole channel: its configuration, its committed chaincodes, and the own part in them.

Owns a cache of approvals that can no longer change unless somebody approves anew, which the next ``forget`` notices.
Reads alone; every call is answered by own peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.definition import CommittedDefinition
from fabric_admin.errors import FabricError
from opssc_operator.api.conditions import Reason
from opssc_operator.ledger.approvals import fetch_own_approval
from opssc_operator.ledger.channels import ChannelReader
from opssc_operator.ledger.peers import OwnPeer, OwnPeers, fetch_joined
from opssc_operator.ledger.translate import translated

QUERY_SECONDS: Final = 10.0
AT_ONCE: Final = 8
"""Chaincodes of one channel that are asked about at the same time."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A committed definition with its approvals, the package of the own approval, and the peers that have it."""

    committed: CommittedDefinition
    package_id: str | None
    installed_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelInventory:
    """Everything about one channel at one moment; ``height`` counts blocks."""

    config: ChannelConfig
    config_block: int
    height: int
    peers: tuple[str, ...]
    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class _Approved:
    """An entry of the cache: the definition as listed, with approvals, and the own package."""

    listed: CommittedDefinition
    committed: CommittedDefinition
    package_id: str | None


class Inventory:
    """Looks at whole channels."""

    def __init__(self, peers: OwnPeers, reader: ChannelReader) -> None:
        self._peers = peers
        self._reader = reader
        self._configs: dict[str, tuple[str, ChannelConfig]] = {}
        self._settled: dict[tuple[str, str], _Approved] = {}

    def forget(self) -> None:
        """Ask about every approval again."""
        self._settled.clear()

    async def joined(self, channel: str) -> bool:
        """Whether any own peer has joined; raises TransientError when one that might have does not answer."""
        for peer in self._peers.all:
            if channel in peer.joined:
                return True
        with translated(f"asking own peers about channel {channel}", reason=Reason.PEER_UNREACHABLE):
            found = await fetch_joined(self._peers.all)
            if any(isinstance(channels, frozenset) and channel in channels for channels in found):
                return True
            for failure in found:
                if isinstance(failure, FabricError):
                    raise failure
        return False

    async def look(self, channel: str) -> ChannelInventory:
        """Everything about a channel; raises TransientError or TerminalError."""
        view = await self._reader.current(channel)
        config = await self._config(channel, view.config_hash)
        with translated(f"reading the chaincodes of channel {channel}", reason=Reason.CHANNEL_NOT_FOUND):
            height, approved = await self._peers.ask(channel, lambda peer: self._read(peer, channel))
        joined = tuple(each for each in self._peers.all if channel in each.joined)
        packages = await asyncio.gather(*(_packages(each) for each in joined))
        return ChannelInventory(
            config=config,
            config_block=view.config_block,
            height=height,
            peers=tuple(each.name for each in joined),
            holdings=tuple(
                Holding(
                    found.committed,
                    found.package_id,
                    tuple(each.name for each, has in zip(joined, packages, strict=True) if found.package_id in has),
                )
                for found in approved
            ),
        )

    async def _read(self, peer: OwnPeer, channel: str) -> tuple[int, Sequence[_Approved]]:
        """Height and committed chaincodes, all from one peer, so that they fit together; raises FabricError."""
        info, listed = await asyncio.gather(
            peer.system.chain_info(channel, timeout_seconds=QUERY_SECONDS),
            peer.lifecycle.query_committed_all(channel, timeout_seconds=QUERY_SECONDS),
        )
        limit = asyncio.Semaphore(AT_ONCE)
        return info.height, await asyncio.gather(*(self._approved(peer, channel, one, limit) for one in listed))

    async def _config(self, channel: str, config_hash: str) -> ChannelConfig:
        """The configuration decoded once for as long as it is in force."""
        known_hash, known = self._configs.get(channel, ("", None))
        if known is None or known_hash != config_hash:
            known = await self._reader.config(channel)
            self._configs[channel] = config_hash, known
        return known

    async def _approved(
        self, peer: OwnPeer, channel: str, listed: CommittedDefinition, limit: asyncio.Semaphore
    ) -> _Approved:
        """Who approved a committed definition; asked again until everybody has, the own organization with a package."""
        key = channel, listed.definition.name
        known = self._settled.get(key)
        if known is not None and known.listed == listed:
            return known
        async with limit:
            name, sequence = listed.definition.name, listed.definition.sequence
            committed, (own, _) = await asyncio.gather(
                peer.lifecycle.query_committed(channel, name, timeout_seconds=QUERY_SECONDS),
                fetch_own_approval(self._peers, channel, name, sequence),
            )
        found = _Approved(listed, committed or listed, own.package_id if own is not None else None)
        if committed is not None and all(committed.approvals.values()) and found.package_id is not None:
            self._settled[key] = found
        else:
            self._settled.pop(key, None)
        return found


async def _packages(peer: OwnPeer) -> frozenset[str]:
    """IDs of what is installed on a peer; none for one that does not answer now."""
    try:
        installed = await peer.lifecycle.query_installed(timeout_seconds=QUERY_SECONDS)
    except FabricError:
        return frozenset()
    return frozenset(chaincode.package_id for chaincode in installed)
