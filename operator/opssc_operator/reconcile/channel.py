"""Keeps one FabricChannel for every channel that own peers have joined, and says in it what they show."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from opssc_chaincode.model import ChaincodeContent, Facts
from opssc_chaincode.tally import derive
from opssc_operator.api.channel import ChaincodeOrigin, FabricChannel, FabricChannelStatus, channel_object_name
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.channels.admission import shown_membership
from opssc_operator.domain.channelstatus import (
    ChannelObserved,
    CommittedChaincode,
    channel_conditions,
    channel_status,
    failing_conditions,
    keep_height,
    refusing_conditions,
    removed_conditions,
    shut_out_conditions,
)
from opssc_operator.domain.consenterexpiry import earliest_ends, find_ends
from opssc_operator.domain.content import ContentError, build_definition
from opssc_operator.domain.deployment import is_same
from opssc_operator.domain.joining import outside_message
from opssc_operator.domain.leaving import left_in
from opssc_operator.errors import OperatorError, TerminalError, TransientError
from opssc_operator.kube.client import KubeClient
from opssc_operator.ledger.admission import endpoints_of
from opssc_operator.ledger.inventory import Holding
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.consentergauge import ConsenterGauge
from opssc_operator.reconcile.keys import Key
from opssc_operator.reconcile.kinds.grounds import is_true
from opssc_operator.reconcile.leaving import has_left, is_refused_on
from opssc_operator.reconcile.mirrors import owned_metadata
from opssc_operator.reconcile.runner import Result
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.sessions import Sessions
from opssc_operator.reconcile.status import standing_verdicts, write_status
from opssc_operator.reconcile.store import ObjectStore

logger = logging.getLogger(__name__)

MAX_FOLLOWED: Final = 64
"""Block streams beyond which another channel is only looked at by resyncs."""
LEAVING_SECONDS: Final = 5.0
"""How soon, at first, to look whether a removal that was accepted has been carried out: own peers are not shown it."""
REMOVED_SECONDS: Final = 60.0
"""How soon to look whether an organization that is refused is let in again, which no event may tell it."""
SOONEST_SECONDS: Final = 1.0
"""How soon at the earliest to clear up for a channel whose retention is about to end."""
SHOWN_SECONDS: Final = 1.0
"""How soon the watch tells of an object just made; after that, its telling starts another run."""


@dataclass(frozen=True, slots=True)
class _Objects:
    """The operator's own object of a channel, and those that others made for it."""

    own: FabricChannel | None
    others: tuple[FabricChannel, ...]


@dataclass(slots=True)
class ChannelReconciler:
    """Shows channels; one key per channel, whether its object exists yet or not."""

    kube: KubeClient
    store: ObjectStore
    sessions: Sessions
    servers: ServerBook
    ends: ConsenterGauge = field(default_factory=ConsenterGauge)

    async def reconcile(self, key: Key) -> Result:
        """Make, write or remove the object of one channel."""
        channel = key.name
        objects = self._objects(key.namespace, channel)
        for other in objects.others:
            message = f"only the operator makes FabricChannels; delete this one ({channel_object_name(channel)} is its)"
            status = FabricChannelStatus(observed_generation=other.metadata.generation)
            await write_status(self.kube, Kind.FABRIC_CHANNEL, other, status, refusing_conditions(message))
        organization, session = self.store.organization(key.namespace), self.sessions.get(key.namespace)
        if organization is None or session is None:
            self.ends.show(key, {})
            return Result()
        try:
            if not await session.inventory.joined(channel):
                self.ends.show(key, {})
                await self._remove(objects.own)
                return Result()
            if session.following < MAX_FOLLOWED:
                session.follow_channel(channel)
            anew = self.sessions.take_anew(key)
            observed = await _observe(organization, session, channel)
        except OperatorError as exc:
            refused = await is_refused_on(channel, exc, session)
            if objects.own is None or not refused or not session.is_removed(channel):
                await self._tell_failure(objects.own, exc)
                raise
            self.ends.show(key, {})
            await self._tell_removed(objects.own, session.msp_id)
            self._clear_up(organization)
            return Result(_again(objects.own, organization, session))
        session.note_read(channel)
        session.note_shown(channel, shown_membership(observed.config, session.msp_id))
        if anew or session.is_shut_out(channel) or session.is_removed(channel):
            await _knock(observed, session)
        self.ends.show(key, earliest_ends(observed.ends))
        own = objects.own or await self._create(organization, channel)
        if own is not None:
            await self._show(own, organization, session, observed, anew=anew)
        return Result(None if own is None else _again(own, organization, session))

    async def _show(
        self,
        own: FabricChannel,
        organization: FabricOrganization,
        session: OrganizationSession,
        observed: ChannelObserved,
        *,
        anew: bool,
    ) -> None:
        """Write what the own peers show, and whether the orderers still let this organization read it."""
        channel = own.spec.channel
        status = channel_status(observed, generation=own.metadata.generation)
        if not anew:
            status = keep_height(status, own.status)
        conditions = channel_conditions(observed)
        if session.is_refused(channel):
            conditions = removed_conditions(outside_message(channel, session.msp_id))
            self._clear_up(organization)
        elif session.is_shut_out(channel):
            conditions = shut_out_conditions(conditions, channel)
        await write_status(self.kube, Kind.FABRIC_CHANNEL, own, status, conditions)

    def _clear_up(self, organization: FabricOrganization) -> None:
        """Have servers and mirrors looked at that nothing else leads to, where no proposal is worked on any more."""
        namespace = organization.metadata.namespace
        if not has_left(organization, self.store, self.sessions.get(namespace)):
            return
        self.servers.wake_all(namespace)
        if any(known.metadata.mirrored for known in self.store.proposals_all(namespace)):
            self.sessions.enqueue_all(namespace)

    def _objects(self, namespace: str, channel: str) -> _Objects:
        name = channel_object_name(channel)
        found = [known for known in self.store.channels(namespace) if known.spec.channel == channel]
        own = next((known for known in found if known.metadata.mirrored and known.metadata.name == name), None)
        return _Objects(own, tuple(known for known in found if known is not own))

    async def _create(self, organization: FabricOrganization, channel: str) -> FabricChannel | None:
        """Make the object; None when the watch does not tell of it in time, or somebody else's stands in its place."""
        namespace, name = organization.metadata.namespace, channel_object_name(channel)
        if self.store.get(Kind.FABRIC_CHANNEL, namespace, name) is not None:
            return None
        metadata = owned_metadata(organization, name)
        try:
            await self.kube.apply(Kind.FABRIC_CHANNEL, {"metadata": metadata, "spec": {"channel": channel}})
        except TerminalError as exc:
            logger.warning("a channel cannot be shown", extra={"channel": channel, "cause": exc.message})
            return None
        await self.store.wait_for(Kind.FABRIC_CHANNEL, namespace, name, timeout_seconds=SHOWN_SECONDS)
        return self._objects(namespace, channel).own

    async def _remove(self, own: FabricChannel | None) -> None:
        if own is not None and not own.metadata.deleting:
            metadata = own.metadata
            await self.kube.delete(Kind.FABRIC_CHANNEL, metadata.namespace, metadata.name, metadata.uid)

    async def _tell_failure(self, own: FabricChannel | None, failure: OperatorError) -> None:
        """Keep what stands, and say that it may be old."""
        if own is None:
            return
        text = failure.reason if isinstance(failure, TransientError | TerminalError) else ""
        reason = Reason(text) if text in set(Reason) else Reason.PEER_UNREACHABLE
        message, standing = f"not up to date: {failure.message}", standing_verdicts(own.status)
        verdicts = failing_conditions(reason, message, standing)
        await write_status(self.kube, Kind.FABRIC_CHANNEL, own, _standing(own), verdicts)

    async def _tell_removed(self, own: FabricChannel, msp_id: str) -> None:
        """Keep what stands, and say that this organization is not a member any more."""
        verdicts = removed_conditions(outside_message(own.spec.channel, msp_id))
        await write_status(self.kube, Kind.FABRIC_CHANNEL, own, _standing(own), verdicts)


def _again(own: FabricChannel, organization: FabricOrganization, session: OrganizationSession) -> float | None:
    """How soon to ask the orderers again, where they refuse this organization or may do so soon."""
    channel, retention = own.spec.channel, organization.spec.mirror.retention
    shut_out, removed = session.is_shut_out(channel), session.is_removed(channel)
    if removed and not shut_out:
        # It may lack a signature for ever, and what others report of it is news.
        return min(max(session.removals.waited(channel) / 2.0, LEAVING_SECONDS), REMOVED_SECONDS)
    session.removals.end(channel)
    if not shut_out:
        return None
    left = left_in(own, datetime.now(UTC), retention)
    if not removed or left == 0.0:
        return REMOVED_SECONDS
    # The condition may have been written just now.
    seconds = retention.total_seconds() if left is None else left
    return min(max(seconds, SOONEST_SECONDS), REMOVED_SECONDS)


def _standing(own: FabricChannel) -> FabricChannelStatus:
    """The status as it stands, as one that speaks of the object as it is."""
    try:
        standing = FabricChannelStatus.model_validate({**own.status, "conditions": []})
    except ValidationError:
        standing = FabricChannelStatus(observed_generation=own.metadata.generation)
    return standing.model_copy(update={"observed_generation": own.metadata.generation})


async def _observe(organization: FabricOrganization, session: OrganizationSession, channel: str) -> ChannelObserved:
    inventory = await session.inventory.look(channel)
    governance = organization.spec.governance
    chaincodes = []
    for holding in inventory.holdings:
        is_contract = (channel, holding.committed.definition.name) == (governance.channel, governance.chaincode)
        origin, proposal = await _origin(session, channel, holding, is_contract=is_contract)
        chaincodes.append(
            CommittedChaincode(
                definition=holding.committed.definition,
                approvals=frozenset(msp_id for msp_id, done in holding.committed.approvals.items() if done),
                package_id=holding.package_id,
                installed_on=holding.installed_on,
                origin=origin,
                proposal=proposal,
            )
        )
    return ChannelObserved(
        config=inventory.config,
        ends=find_ends(inventory.config),
        config_block=inventory.config_block,
        height=inventory.height,
        peers=inventory.peers,
        chaincodes=tuple(chaincodes),
        governance_channel=governance.channel,
        governing=await _governing(session, governance.channel),
        now=datetime.now(UTC),
    )


async def _knock(observed: ChannelObserved, session: OrganizationSession) -> None:
    """Note whether the channel's orderers still let this organization read."""
    channel = observed.config.channel_id
    refused = await session.admissions.is_refused(channel, endpoints_of(observed.config))
    if refused is not None:
        session.note_refused(channel, refused=refused)


async def _governing(session: OrganizationSession, channel: str) -> frozenset[str] | None:
    """Members of the governance channel; None while no own peer shows it."""
    try:
        return frozenset((await session.reader.current(channel)).members)
    except OperatorError:
        return None


async def _origin(
    session: OrganizationSession, channel: str, holding: Holding, *, is_contract: bool
) -> tuple[ChaincodeOrigin | None, ProposalRef | None]:
    """Which accepted proposal, true by the own peer, asks for exactly this definition."""
    definition = holding.committed.definition
    slot = (channel, definition.name, definition.sequence)
    for outline in sorted(session.view.outlines(), key=lambda known: known.ref):
        if outline.slot != slot:
            continue
        facts = await session.view.get(outline.ref)
        if facts is not None and await _accounts_for(session, facts, holding):
            return ChaincodeOrigin.PROPOSAL, outline.ref
    if is_contract:
        return ChaincodeOrigin.GOVERNANCE, None
    return (ChaincodeOrigin.FOREIGN if session.view.loaded else None), None


async def _accounts_for(session: OrganizationSession, facts: Facts, holding: Holding) -> bool:
    content = facts.proposal.content
    if not isinstance(content, ChaincodeContent) or not derive(facts, facts.proposal.created_time).accepted:
        return False
    try:
        definition = build_definition(content)
    except ContentError:
        return False
    if not is_same(definition, holding.committed.definition):
        return False
    return await is_true(session, facts.proposal)
