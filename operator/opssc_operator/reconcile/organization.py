"""Reconciles a FabricOrganization: identities, peers, and the governance contract with its bootstrap."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from fabric_admin.errors import FabricError, IdentityError
from fabric_admin.transport import Endpoint
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import (
    FabricOrganization,
    FabricOrganizationStatus,
    GovernanceStatus,
    IdentityStatus,
    PeerStatus,
)
from opssc_operator.domain.joining import outside_message
from opssc_operator.domain.organization import NOT_LOOKED, PeerLook, Reach, judge_peers, reach_of, summarize
from opssc_operator.domain.verdict import Verdict, no, yes
from opssc_operator.errors import AccessDenied, OperatorError, TerminalError, TransientError
from opssc_operator.kube.client import KubeClient
from opssc_operator.ledger.peers import OwnPeer, PeerAddress
from opssc_operator.ledger.session import OrganizationSession, SessionSettings
from opssc_operator.ledger.translate import explain, reason_of
from opssc_operator.reconcile.governance import Governance, GovernanceLook
from opssc_operator.reconcile.identities import LoadedIdentities, load_identities, load_orderer_accesses, load_tls_roots
from opssc_operator.reconcile.joining import Joining, explain_unread, join_governance
from opssc_operator.reconcile.keys import Key
from opssc_operator.reconcile.leaving import is_refusal, recall_removals
from opssc_operator.reconcile.locating import locate_peers
from opssc_operator.reconcile.runner import Result
from opssc_operator.reconcile.sessions import Sessions
from opssc_operator.reconcile.status import write_status
from opssc_operator.reconcile.store import Invalid, ObjectStore
from opssc_operator.reconcile.surroundings import Surroundings

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 30.0
"""How long a look at a healthy organization holds; what its proposals change meanwhile is only counted."""
RETRY_SECONDS: Final = 3.0
"""How soon an organization that is not ready is looked at again: what a person fixes heals within seconds."""


@dataclass(slots=True)
class _Look:
    """What one reconcile found so far; anything not reached stays as it is here."""

    identity: Verdict = NOT_LOOKED
    peers: Verdict = NOT_LOOKED
    governance: Verdict = NOT_LOOKED
    identities: tuple[IdentityStatus, ...] = ()
    peer_looks: tuple[PeerLook, ...] = ()
    governance_status: GovernanceStatus | None = None
    requeue_seconds: float | None = None

    @property
    def healthy(self) -> bool:
        """Whether nothing stands in the organization's way."""
        return self.identity.holds and self.peers.holds and self.governance.holds


@dataclass(frozen=True, slots=True)
class _Looked:
    """The last look at a namespace's organization: at which generation of which object, and when (loop time)."""

    uid: str
    generation: int
    at: float
    look: _Look


class OrganizationReconciler:
    """Keeps the session of a namespace's organization, and says in status what stands in its way."""

    def __init__(self, kube: KubeClient, store: ObjectStore, sessions: Sessions, surroundings: Surroundings) -> None:
        self._kube = kube
        self._store = store
        self._sessions = sessions
        self._surroundings = surroundings
        self._governance = Governance()
        self._resynced: dict[str, float] = {}
        self._looked: dict[str, _Looked] = {}
        self._reach: dict[str, Reach] = {}

    async def reconcile(self, key: Key) -> Result:
        """Look at everything the organization stands on, and start or stop working on its proposals."""
        known = self._store.get(Kind.FABRIC_ORGANIZATION, key.namespace, key.name)
        chosen = self._store.organization(key.namespace)
        if chosen is None:
            await self._surroundings.drop(key.namespace)
            await self._stop(key.namespace)
        if known is None or isinstance(known, Invalid):
            if isinstance(known, Invalid):
                await self._write_refusal(known, no(Reason.INVALID_SPEC, known.message))
            return Result()
        if not isinstance(known, FabricOrganization):
            raise TypeError(f"{key} is a {type(known).__name__}")
        if chosen is not None and chosen.metadata.uid != known.metadata.uid:
            message = f"the namespace belongs to FabricOrganization {chosen.metadata.name}; delete one of them"
            await self._write_refusal(known, no(Reason.DUPLICATE_ORGANIZATION, message))
            return Result()
        standing = self._standing(known)
        if standing is not None:
            await self._recount(known, *standing)
            age = asyncio.get_running_loop().time() - self._looked[key.namespace].at
            return Result(max(RETRY_SECONDS, (standing[0].requeue_seconds or RETRY_SECONDS) - age))
        # Others' approvals of the contract are blocks of its channel, and may come while this very look goes on.
        self._sessions.watch_channel(key, known.spec.governance.channel)
        started = asyncio.get_running_loop().time()
        # A look that fails half way must not leave the last one standing.
        self._looked.pop(key.namespace, None)
        look = await self._look(known)
        if look.governance.holds:
            self._sessions.watch_channel(key, None)
        await self._write(known, look)
        self._looked[key.namespace] = _Looked(known.metadata.uid, known.metadata.generation, started, look)
        return Result(look.requeue_seconds)

    def _standing(self, known: FabricOrganization) -> tuple[_Look, OrganizationSession] | None:
        """The last look and its session, while they hold; None when everything is to be looked at anew."""
        namespace = known.metadata.namespace
        last, session = self._looked.get(namespace), self._sessions.ready(namespace)
        doubted = self._sessions.take_doubt(namespace)
        if doubted or last is None or session is None or not last.look.healthy:
            return None
        age = asyncio.get_running_loop().time() - last.at
        # A second less, because a resync is due that much before its time.
        if age >= min(LOOK_SECONDS, known.spec.resync_period.total_seconds() - 1.0):
            return None
        same = (last.uid, last.generation) == (known.metadata.uid, known.metadata.generation)
        return (last.look, session) if same else None

    async def _recount(self, known: FabricOrganization, look: _Look, session: OrganizationSession) -> None:
        """Write what the session's blocks have changed since the last look."""
        if look.governance_status is not None and look.governance_status.contract_version is not None:
            found = self._governance.count(known.spec, session, look.governance_status.contract_version)
            look.governance, look.governance_status = found.verdict, found.status
        await self._write(known, look)

    async def _stop(self, namespace: str) -> None:
        await self._sessions.drop(namespace)
        self._sessions.set_ready(namespace, ready=False)

    async def _look(self, organization: FabricOrganization) -> _Look:
        look = _Look(requeue_seconds=RETRY_SECONDS)
        namespace = organization.metadata.namespace
        try:
            identities = await load_identities(self._kube, organization)
            look.identity = yes(Reason.IDENTITY_VALID, f"acting as {organization.spec.msp_id}")
            look.identities = identities.statuses
            addresses, notes = await self._find_peers(organization)
            session = await self._open(organization, await self._settings(organization, identities, addresses))
        except AccessDenied as exc:
            # Whoever granted less may do so for a moment: what is open works on with the keys it has.
            look.identity = no(Reason.SECRET_NOT_FOUND, exc.message)
            if self._sessions.get(namespace) is None:
                self._sessions.set_ready(namespace, ready=False)
            return look
        except (TerminalError, IdentityError) as exc:
            reason = Reason(exc.reason) if isinstance(exc, TerminalError) else Reason.IDENTITY_INVALID
            if look.identity.holds:
                look.peers = no(reason, str(exc))
            else:
                look.identity = no(reason, str(exc))
            await self._stop(namespace)
            return look
        due = self._resync_due(organization)
        if due:
            session.forget()
        look.peer_looks = await _look_at_peers(session)
        joining = await join_governance(organization, session)
        if joining.is_news:
            look.peer_looks = await _look_at_peers(session)
        look.peers = judge_peers(look.peer_looks, (*notes, *joining.notes))
        joined = frozenset(channel for peer in look.peer_looks for channel in peer.channels)
        self._sessions.show_channels(namespace, joined, anew=due)
        if any(peer.reachable for peer in look.peer_looks):
            await self._look_at_governance(organization, session, look, joining, resync=due)
        else:
            look.governance = no(Reason.GOVERNANCE_UNAVAILABLE, "no own peer answers")
            self._sessions.set_ready(namespace, ready=False)
        reach = reach_of(look.peer_looks)
        if reach - self._reach.get(namespace, reach):
            # A peer that is back, or has joined a channel, tells no proposal of it.
            self._sessions.enqueue_all(namespace)
        self._reach[namespace] = reach
        if look.governance.holds and look.peers.holds:
            look.requeue_seconds = organization.spec.resync_period.total_seconds()
        return look

    async def _open(self, organization: FabricOrganization, settings: SessionSettings) -> OrganizationSession:
        """The session for these settings, which knows from its start what the channels' objects said before."""
        namespace = organization.metadata.namespace
        before = self._sessions.get(namespace)
        session = await self._sessions.ensure(settings)
        if session is not before:
            recall_removals(self._store.channels(namespace), session)
        return session

    async def _find_peers(self, organization: FabricOrganization) -> tuple[tuple[PeerAddress, ...], tuple[str, ...]]:
        """The own peers, listed or found, and what keeps others from being used; raises TerminalError, AccessDenied."""
        peers, namespace = organization.spec.peers, organization.metadata.namespace
        if peers.explicit is None:
            return await locate_peers(self._kube, organization, await self._surroundings.find(organization))
        await self._surroundings.drop(namespace)
        addresses = [
            PeerAddress(
                peer.name,
                Endpoint(
                    peer.address,
                    await load_tls_roots(self._kube, namespace, peer.tls_ca, f"peer {peer.name}"),
                    server_name=peer.server_name,
                ),
            )
            for peer in peers.explicit
        ]
        return tuple(addresses), ()

    async def _settings(
        self, organization: FabricOrganization, identities: LoadedIdentities, addresses: tuple[PeerAddress, ...]
    ) -> SessionSettings:
        spec, namespace = organization.spec, organization.metadata.namespace
        return SessionSettings(
            namespace=namespace,
            msp_id=spec.msp_id,
            governance_channel=spec.governance.channel,
            contract_name=spec.governance.chaincode,
            peers=addresses,
            fingerprint=identities.fingerprint,
            admin=identities.admin,
            client=identities.client,
            orderers=tuple(
                [
                    Endpoint(
                        orderer.address,
                        await load_tls_roots(self._kube, namespace, orderer.tls_ca, f"orderer {orderer.address}"),
                        server_name=orderer.server_name,
                    )
                    for orderer in spec.orderers
                ]
            ),
            own_orderers=await load_orderer_accesses(self._kube, organization),
        )

    def _resync_due(self, organization: FabricOrganization) -> bool:
        """Whether to look at everything anew, which is once per resync period: what no event told is noticed then."""
        namespace, now = organization.metadata.namespace, asyncio.get_running_loop().time()
        last = self._resynced.setdefault(namespace, now)
        if now - last + 1.0 < organization.spec.resync_period.total_seconds():
            return False
        self._resynced[namespace] = now
        return True

    async def _look_at_governance(
        self,
        organization: FabricOrganization,
        session: OrganizationSession,
        look: _Look,
        joining: Joining,
        *,
        resync: bool,
    ) -> None:
        namespace = organization.metadata.namespace
        if joining.blocks:
            look.governance, look.requeue_seconds = joining.decision.verdict, joining.decision.requeue_seconds
            self._sessions.set_ready(namespace, ready=False)
            return
        channel = organization.spec.governance.channel
        if session.is_refused(channel):
            look.governance = no(Reason.NOT_A_MEMBER, outside_message(channel, session.msp_id))
            self._sessions.set_ready(namespace, ready=False)
            if resync:
                self._sessions.enqueue_all(namespace)
            return
        found: GovernanceLook
        ready = False
        try:
            found = await self._governance.look(organization.spec, session, resync=resync)
            if resync and found.verdict.holds:
                await session.catch_up()
        except OperatorError as exc:
            reason = Reason.GOVERNANCE_UNAVAILABLE
            if isinstance(exc, TransientError | TerminalError) and exc.reason in set(Reason):
                reason = Reason(exc.reason)
            look.governance = no(reason, exc.message)
            if reason is Reason.UNKNOWN_MSP:
                unread = await explain_unread(organization.spec, session)
                look.governance, look.requeue_seconds = unread.verdict, unread.requeue_seconds
                session.note_unread(organization.spec.governance.channel)
            # One query that failed says nothing about the contract: what is worked on goes on, or fails by itself.
            ready = (
                not is_refusal(exc) and isinstance(exc, TransientError) and self._sessions.ready(namespace) is session
            )
        else:
            look.governance, look.governance_status = found.verdict, found.status
            look.requeue_seconds = found.requeue_seconds or RETRY_SECONDS
            ready = found.verdict.holds
        self._sessions.set_ready(namespace, ready=ready)
        if resync:
            self._sessions.enqueue_all(namespace)

    async def _write(self, organization: FabricOrganization, look: _Look) -> None:
        verdicts = dict(summarize(look.identity, look.peers, look.governance))
        if organization.spec.suspend and verdicts[ConditionType.READY].holds:
            verdicts[ConditionType.READY] = yes(Reason.SUSPENDED, "suspended: nothing is sent or carried out")
        status = FabricOrganizationStatus(
            observed_generation=organization.metadata.generation,
            peers=tuple(_peer_status(peer) for peer in look.peer_looks),
            identities=look.identities,
            governance=_found_or_standing(look.governance_status, organization),
        )
        await write_status(self._kube, Kind.FABRIC_ORGANIZATION, organization, status, verdicts)

    async def _write_refusal(self, known: FabricOrganization | Invalid, verdict: Verdict) -> None:
        verdicts = {ConditionType.READY: verdict, ConditionType.STALLED: yes(verdict.reason, verdict.message)}
        status = FabricOrganizationStatus(observed_generation=known.metadata.generation)
        await write_status(self._kube, Kind.FABRIC_ORGANIZATION, known, status, verdicts)


def _found_or_standing(found: GovernanceStatus | None, organization: FabricOrganization) -> GovernanceStatus | None:
    """What was found, or what was said last of the same spec: a look that fails takes back no block and no version."""
    if found is not None and found != GovernanceStatus():
        return found
    if organization.status.get("observedGeneration") != organization.metadata.generation:
        return found
    try:
        return GovernanceStatus.model_validate(organization.status.get("governance") or {})
    except ValidationError:
        return found


async def _look_at_peers(session: OrganizationSession) -> tuple[PeerLook, ...]:
    return tuple(await asyncio.gather(*(_look_at_peer(peer) for peer in session.peers.all)))


async def _look_at_peer(peer: OwnPeer) -> PeerLook:
    address, source = peer.address.endpoint.address, peer.address.source
    try:
        channels = await peer.fetch_channels()
    except FabricError as exc:
        peer.forget()
        reason = reason_of(exc, Reason.PEER_UNREACHABLE)
        return PeerLook(peer.name, address, problem=explain(exc), problem_reason=reason, source=source)
    return PeerLook(peer.name, address, channels=tuple(sorted(channels)), source=source)


def _peer_status(look: PeerLook) -> PeerStatus:
    return PeerStatus(
        name=look.name,
        address=look.address,
        source=look.source,
        reachable=look.reachable,
        channels=look.channels,
        message=look.problem or None,
    )
