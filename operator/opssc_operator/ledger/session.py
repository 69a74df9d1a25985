"""Everything one organization holds open towards Fabric: connections, block streams and what was read through them.

Owns their life cycle. A session never changes: other identities, peers or channels mean another session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from fabric_protos.common import common_pb2
from fabric_protos.peer import events_pb2

from fabric_admin.identity import SigningIdentity
from fabric_admin.transport import Endpoint
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.membership import ShownMembership, is_removed
from opssc_operator.ledger.admission import Admissions
from opssc_operator.ledger.channels import ChannelReader
from opssc_operator.ledger.charters import Charters
from opssc_operator.ledger.config_blocks import ConfigBlocks
from opssc_operator.ledger.contract import OpsContract
from opssc_operator.ledger.deployments import Deployments
from opssc_operator.ledger.history import ConfigHistory
from opssc_operator.ledger.initializations import Initializations
from opssc_operator.ledger.inventory import Inventory
from opssc_operator.ledger.new_channels import NewChannels
from opssc_operator.ledger.orderer_chains import OrdererChains
from opssc_operator.ledger.own_looks import OwnLooks
from opssc_operator.ledger.own_orderers import OrdererAccess, OwnOrderers
from opssc_operator.ledger.package_servers import PackageServers
from opssc_operator.ledger.peers import OwnPeers, PeerAddress
from opssc_operator.ledger.removals import Removals
from opssc_operator.ledger.runtime import RuntimeLooks
from opssc_operator.ledger.streams import Streams, filtered_blocks, follow, full_blocks
from opssc_operator.ledger.view import LedgerView

CONFIG_TYPES: Final = frozenset({common_pb2.HeaderType.CONFIG})


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Who the organization is and where its peers and orderers are; equal settings mean the session can stay.

    ``fingerprint`` stands for the identities, whose keys cannot be compared.
    """

    namespace: str
    msp_id: str
    governance_channel: str
    contract_name: str
    peers: tuple[PeerAddress, ...]
    fingerprint: str
    admin: SigningIdentity = field(compare=False)
    client: SigningIdentity = field(compare=False)
    orderers: tuple[Endpoint, ...] = ()
    own_orderers: tuple[OrdererAccess, ...] = ()


@dataclass(frozen=True, slots=True)
class Wakers:
    """Whom blocks wake: one proposal, or everything carried out on a channel; a lost stream wakes the organization."""

    proposal: Callable[[ProposalRef], None]
    channel: Callable[[str], None]
    interrupted: Callable[[], None]


class OrganizationSession:
    """Connections, caches and streams of one organization."""

    def __init__(self, settings: SessionSettings, wakers: Wakers) -> None:
        self.settings = settings
        self.peers = OwnPeers(settings.peers, settings.admin, settings.client, wakers.interrupted)
        self.orderers = OwnOrderers(settings.own_orderers)
        self.reader = ChannelReader(
            self.peers,
            ConfigHistory(settings.orderers, settings.client),
            OrdererChains(self.orderers.endpoints, settings.client, settings.governance_channel),
        )
        self.config_blocks = ConfigBlocks(self.reader)
        self.admissions = Admissions(settings.msp_id, settings.orderers, settings.client)
        self.new_channels = NewChannels(self.peers, self.orderers, settings.client)
        self.own_looks = OwnLooks(self.new_channels.see_all, wakers.proposal)
        self.inventory = Inventory(self.peers, self.reader)
        self.deployments = Deployments(settings.msp_id, self.peers, wakers.channel)
        self.initializations = Initializations(settings.msp_id, self.peers)
        self.contract = OpsContract(settings.msp_id, self.peers, settings.governance_channel, settings.contract_name)
        self.package_servers = PackageServers(self.peers)
        self.runtimes = RuntimeLooks(self.peers)
        self.view = LedgerView(self.contract, settings.msp_id)
        self.charters = Charters(settings.governance_channel, self.view, self.reader, self.locate)
        self.removals = Removals()
        self.latest_block = 0
        self._unread: set[str] = set()
        """Channels that own peers are in without showing them to their own organization."""
        self._refused: dict[str, bool] = {}
        """By channel: whether its orderers let this organization read no more, as they said last."""
        self._shown: dict[str, ShownMembership] = {}
        """By channel: what own peers showed last of the own membership."""
        self._recalled: dict[str, int] = {}
        """By channel that a FabricChannel said before to be left: the sequence of the configuration it showed."""
        self._refuted: set[ProposalRef] = set()
        """Proposals to remove this organization that say what is not so, whatever was voted on them."""
        self._known: dict[str, tuple[bool, bool]] = {}
        """By channel: whether it was last told to refuse this organization, and to have removed it."""
        self._wakers = wakers
        self._streams = Streams(wakers.interrupted)

    @property
    def msp_id(self) -> str:
        """The own MSP ID."""
        return self.settings.msp_id

    @property
    def following(self) -> int:
        """How many block streams there are."""
        return len(self._streams)

    def follow_governance(self) -> None:
        """Start the stream of the governance channel, once; needs the contract to be committed."""
        channel = self.settings.governance_channel
        self._streams.ensure(
            f"ops/{channel}",
            lambda: follow(
                channel,
                full_blocks(self.peers, channel),
                number_of=lambda block: int(block.header.number),
                take=self._take_governance,
                resumed=self.catch_up,
                interrupted=self._wakers.interrupted,
            ),
        )

    def follow_channel(self, channel: str) -> None:
        """Start the filtered stream of a channel where something is being carried out, once."""
        self._streams.ensure(
            channel,
            lambda: follow(
                channel,
                filtered_blocks(self.peers, channel),
                number_of=lambda block: int(block.number),
                take=self._take_filtered,
                resumed=lambda: self._look_again(channel),
                interrupted=self._wakers.interrupted,
            ),
        )

    def _take_governance(self, block: common_pb2.Block) -> None:
        news = self.view.take(block)
        self.latest_block = max(self.latest_block, news.number)
        if news.is_config:
            self.reader.forget(self.settings.governance_channel)
        for ref in news.changed:
            self._wakers.proposal(ref)

    def _take_filtered(self, block: events_pb2.FilteredBlock) -> None:
        if any(transaction.type in CONFIG_TYPES for transaction in block.filtered_transactions):
            self.reader.forget(block.channel_id)
        self._wakers.channel(block.channel_id)

    async def catch_up(self) -> None:
        """Read all facts anew and wake the proposals that have news; raises TransientError.

        Whatever a stream did not tell is noticed here, so that a silent stream costs time and nothing else.
        """
        self.reader.forget(self.settings.governance_channel)
        for ref in await self.view.load():
            self._wakers.proposal(ref)
        for channel in [channel for channel, refused in self._refused.items() if refused]:
            # Proposals say whether who is refused was removed.
            self._note_standing(channel)
            self._wakers.channel(channel)

    async def _look_again(self, channel: str) -> None:
        """What a gap in a filtered stream hid may be another configuration."""
        self.reader.forget(channel)
        self._wakers.channel(channel)

    async def locate(self, transaction_ids: Iterable[str]) -> None:
        """Learn where contract transactions stand on the ledger; raises TransientError."""
        channel = self.settings.governance_channel
        for transaction_id in sorted(set(transaction_ids) - self.view.positions.keys()):
            self.view.learn_positions(await self.reader.block_of(channel, transaction_id))

    def wake(self, ref: ProposalRef) -> None:
        """Have a proposal looked at anew."""
        self._wakers.proposal(ref)

    def wake_channel(self, channel: str) -> None:
        """Have a channel looked at anew, such as one that an own peer has just joined."""
        self._wakers.channel(channel)

    def note_unread(self, channel: str) -> None:
        """Note that own peers are in a channel and do not take this organization for a member, yet or any more.

        Streams of its blocks, which would be refused again and again, end.
        """
        self._unread.add(channel)
        self._streams.end(channel)
        if channel == self.settings.governance_channel:
            self._streams.end(f"ops/{channel}")

    def note_read(self, channel: str) -> None:
        """Note that an own peer shows a channel; when that is news, everything about the channel is looked at anew."""
        if channel not in self._unread:
            return
        self._unread.discard(channel)
        self.reader.forget(channel)
        self._wakers.channel(channel)
        self._wake_about(channel)

    def is_shut_out(self, channel: str) -> bool:
        """Whether orderers or own peers were last found to refuse this organization, for whatever reason.

        Orderers also refuse members while a channel is in maintenance mode.
        """
        return self._refused.get(channel, False) or channel in self._unread

    def is_removed(self, channel: str) -> bool:
        """Whether an accepted proposal takes this organization out of a channel, or a FabricChannel said so before."""
        outlines = (known for known in self.view.outlines() if known.accepted and known.ref not in self._refuted)
        changes = (known.membership for known in outlines if known.membership is not None)
        about = (change for change in changes if change.channel == channel)
        return is_removed(about, self._shown.get(channel), self._recalled.get(channel))

    def is_refused(self, channel: str) -> bool:
        """Whether orderers of a channel let this organization read no more because it was removed.

        While they were not heard, what the FabricChannel said before counts.
        """
        return self._refused.get(channel, channel in self._recalled) and self.is_removed(channel)

    def recall_removal(self, channel: str, sequence: int) -> None:
        """Take over what a FabricChannel has said beside a configuration: removed, until an orderer says otherwise."""
        if channel not in self._refused:
            self._recalled[channel] = sequence
            self._note_standing(channel)

    def note_refused(self, channel: str, *, refused: bool) -> None:
        """Note what orderers say; when it is news, everything about the channel is looked at anew."""
        self._refused[channel] = refused
        if not refused:
            self._recalled.pop(channel, None)
        self._note_standing(channel)

    def note_shown(self, channel: str, shown: ShownMembership) -> None:
        """Note what own peers show of the own membership; when it is news, the channel is looked at anew."""
        self._shown[channel] = shown
        self._note_standing(channel)

    def note_truth(self, ref: ProposalRef, *, refuted: bool) -> None:
        """Note whether a proposal was found to say what is not so: it removes nobody then."""
        if refuted is (ref in self._refuted):
            return
        self._refuted ^= {ref}
        for channel in tuple(self._known):
            self._note_standing(channel)

    def _note_standing(self, channel: str) -> None:
        standing = self._refused.get(channel, False), self.is_refused(channel)
        if standing != self._known.get(channel, (False, False)):
            self._known[channel] = standing
            self._wake_about(channel)

    def _wake_about(self, channel: str) -> None:
        """Have the organization looked at anew, and all proposals that would change something on a channel."""
        self._wakers.interrupted()
        for outline in self.view.outlines():
            if outline.slot is not None and outline.slot[0] == channel:
                self._wakers.proposal(outline.ref)

    def forget(self) -> None:
        """Look at everything anew, as a resync does."""
        self.runtimes.forget()
        self.peers.forget()
        self.reader.forget()
        self.inventory.forget()
        self.own_looks.forget()

    async def close(self) -> None:
        """Stop the streams and close the connections, whatever became of the streams before."""
        try:
            asked = (self.runtimes.close(), self.package_servers.close(), self.own_looks.close())
            await asyncio.gather(self._streams.close(), *asked)
        finally:
            await self.peers.close()
