"""Reconciles the chaincode server of one package: decide from all claims on it, then make or remove its objects.

An object is only ever written or deleted when it carries the operator's own labels for this very package.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.claims import chaincodes_of, may_claim
from opssc_operator.domain.servers import (
    AskPeers,
    Keep,
    Remove,
    Run,
    ServerDecision,
    Wish,
    decide_server,
    image_refusal,
)
from opssc_operator.domain.serverset import (
    Owner,
    ServerPlan,
    address_refusal,
    build_deployment,
    build_network_policy,
    build_service,
    build_service_account,
    is_own,
    package_of,
    servers_namespace,
)
from opssc_operator.errors import AccessDenied, TerminalError
from opssc_operator.kube.objects import DEPLOYMENTS, NETWORK_POLICIES, SERVICE_ACCOUNTS, SERVICES, ObjectClient
from opssc_operator.kube.resources import Resource
from opssc_operator.ledger.references import is_referenced
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.keys import Key, proposal_key
from opssc_operator.reconcile.leaving import left_by
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.runner import Result
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.serversecrets import ServerSecrets
from opssc_operator.reconcile.servershelf import Shelf, Shelves
from opssc_operator.reconcile.serverwatch import ServerWatches
from opssc_operator.reconcile.sessions import Sessions
from opssc_operator.reconcile.store import ObjectStore

logger = logging.getLogger(__name__)

ASK_SECONDS: Final = 5.0
"""How long a server waits for proposals that may claim it and that cannot be looked at."""
LOOK_AGAIN_SECONDS: Final = 10.0
"""How soon to look again whether a peer still uses a package, which no event tells."""
REFUSED_SECONDS: Final = 60.0
"""How soon to try again what somebody has to make possible: a Role, a quota, a name that is taken."""
IN_THE_WAY: Final = "ObjectInTheWay"
ADDRESS_REFUSED: Final = "AddressRefused"
REMOVAL_ORDER: Final = (SERVICES, NETWORK_POLICIES, SERVICE_ACCOUNTS, DEPLOYMENTS)
"""The Deployment goes last: while it is there, an interrupted removal is found again."""

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ServerReconciler:
    """Works on servers, one key per package."""

    store: ObjectStore
    sessions: Sessions
    queue: WorkQueue
    objects: ObjectClient
    secrets: ServerSecrets
    shelves: Shelves
    book: ServerBook
    watches: ServerWatches
    clock: Callable[[], datetime]
    _asked: dict[Key, float] = field(default_factory=dict)
    """Since when (loop time) a server waits for proposals that nobody has looked at yet."""

    async def reconcile(self, key: Key) -> Result:
        """Bring the server of one package to what all claims on it say."""
        organization, session = self.store.organization(key.namespace), self.sessions.ready(key.namespace)
        if organization is None:
            return Result()
        try:
            return await (self._leave(key, organization) if session is None else self._keep(key, organization, session))
        except TerminalError as exc:
            refusal = exc.message
        except AccessDenied as exc:
            # Only who asked for a server is told; the watches try again, and wake this when they may look.
            refusal = exc.message
        self.book.set_problem(key.namespace, key.name, refusal)
        return Result(REFUSED_SECONDS)

    async def _keep(self, key: Key, organization: FabricOrganization, session: OrganizationSession) -> Result:
        """Decide from what proposals say; raises TerminalError, TransientError."""
        place = servers_namespace(key.namespace, organization.spec.chaincode_servers)
        asked = any(claim.wish is Wish.RUN for claim in self.book.claims(key.namespace, key.name))
        await self.watches.ensure(key.namespace, place, asked=asked)
        unknown = self._ask_unknown(key, session)
        if not unknown:
            self._asked.pop(key, None)
        elif not self._waited(key):
            return Result(ASK_SECONDS)
        if organization.spec.suspend:
            return Result()
        decision, again = await self._decide(key, organization, session)
        match decision:
            case Run():
                again = await self._run(key, organization, decision)
            case Remove() if unknown:
                # Something that cannot be looked at keeps nothing away that is asked for, and loses nothing.
                again = LOOK_AGAIN_SECONDS
            case Remove():
                await self._remove(key, organization)
        return Result(again)

    def _waited(self, key: Key) -> bool:
        """Whether proposals that cannot be looked at have kept this server waiting long enough."""
        now = asyncio.get_running_loop().time()
        return now - self._asked.setdefault(key, now) >= ASK_SECONDS

    def _ask_unknown(self, key: Key, session: OrganizationSession) -> bool:
        """Ask for proposals nobody has looked at since the start, and that may claim the server; whether there are any.

        Until then what is known of the server is not enough to change or remove anything.
        """
        outlines = [outline for outline in session.view.outlines() if outline.accepted]
        chaincodes = chaincodes_of(key.name, outlines, self.book.claims(key.namespace, key.name))
        unknown = {
            proposal_key(key.namespace, str(outline.ref))
            for outline in outlines
            if not self.book.noted(key.namespace, str(outline.ref))
            and may_claim(outline, chaincodes, chooses=self._chooses(key.namespace, outline.ref))
        }
        if unknown:
            self.book.await_notes(key, unknown)
        return bool(unknown)

    def _chooses(self, namespace: str, ref: ProposalRef) -> bool:
        """Whether a Vote here names a package of the organization's own for a proposal."""
        votes = self.store.votes(namespace, ref)
        return any(vote.spec.local is not None and vote.spec.local.package is not None for vote in votes)

    async def _leave(self, key: Key, organization: FabricOrganization) -> Result:
        """Remove what an organization that left the consortium for good has no use for on the channels it is still in.

        Nobody knows what proposals say, so what any of those channels uses stays.
        """
        session = self.sessions.get(key.namespace)
        left = left_by(organization, self.store, session)
        if session is None or organization.spec.suspend or organization.spec.governance.channel not in left:
            return Result(LOOK_AGAIN_SECONDS)
        place = servers_namespace(key.namespace, organization.spec.chaincode_servers)
        await self.watches.ensure(key.namespace, place, asked=False)
        if not await is_referenced(session.peers, key.name, left):
            await self._remove(key, organization)
        return Result(LOOK_AGAIN_SECONDS)

    async def _decide(
        self, key: Key, organization: FabricOrganization, session: OrganizationSession
    ) -> tuple[ServerDecision, float | None]:
        left = left_by(organization, self.store, session)
        claims = [claim for claim in self.book.claims(key.namespace, key.name) if claim.slot[0] not in left]
        decision = decide_server(claims)
        if not isinstance(decision, AskPeers):
            return decision, None
        if not self.shelves.of(key.namespace).of_package(key.name):
            return Keep(), None
        referenced = await is_referenced(session.peers, key.name, left)
        return decide_server(claims, referenced=referenced), LOOK_AGAIN_SECONDS if referenced else None

    async def _run(self, key: Key, organization: FabricOrganization, wanted: Run) -> float | None:
        refusal = image_refusal(wanted.served.image_name, organization.spec.trust)
        if refusal:
            raise TerminalError(Reason.UNTRUSTED_SOURCE, refusal)
        plan = plan_of(organization, wanted)
        refusal = address_refusal(wanted.served, plan.namespace, plan.grants) if wanted.served.tls else ""
        if refusal:
            raise TerminalError(ADDRESS_REFUSED, refusal)
        shelf = self.shelves.of(key.namespace)
        again = None
        await self._apply(shelf, plan, SERVICES, build_service(plan))
        if wanted.served.tls:
            held = await self.secrets.ensure(plan, self.clock())
            again, plan = held.renew_seconds, replace(plan, certificate=held.fingerprint)
        await self._apply(shelf, plan, SERVICE_ACCOUNTS, build_service_account(plan))
        await self._apply(shelf, plan, NETWORK_POLICIES, build_network_policy(plan))
        await self._apply(shelf, plan, DEPLOYMENTS, build_deployment(plan))
        self.book.set_problem(key.namespace, key.name, "")
        return again

    async def _apply(self, shelf: Shelf, plan: ServerPlan, resource: Resource, manifest: Manifest) -> None:
        if shelf.stands(resource, manifest):
            return
        name = str(manifest["metadata"]["name"])
        # What the watch has not told of may be there: younger than its latest event, or somebody else's.
        known = shelf.get(resource, name) or await self.objects.get(resource, plan.namespace, name)
        if known is not None:
            check_own(resource, known, plan)
        uid = None if known is None else str(known["metadata"]["uid"])
        answer = await self.objects.apply(resource, manifest, uid)
        shelf.applied(resource, manifest, answer)
        logger.info("applied", extra={"resource": resource.plural, "object": name, "namespace": plan.namespace})

    async def _remove(self, key: Key, organization: FabricOrganization) -> None:
        shelf = self.shelves.of(key.namespace)
        standing = shelf.of_package(key.name)
        if standing:
            place = servers_namespace(key.namespace, organization.spec.chaincode_servers)
            await self.secrets.remove(key.namespace, place, key.name)
        for resource, body in sorted(standing, key=lambda item: REMOVAL_ORDER.index(item[0])):
            metadata = body["metadata"]
            if is_own(body, key.namespace):
                await self.objects.delete(resource, metadata["namespace"], metadata["name"], metadata["uid"])
                logger.info("removed", extra={"resource": resource.plural, "object": metadata["name"]})
        self.book.set_problem(key.namespace, key.name, "")


def plan_of(organization: FabricOrganization, wanted: Run) -> ServerPlan:
    """What the objects of a server are made of before it has a certificate."""
    metadata, spec = organization.metadata, organization.spec
    owner = Owner(metadata.namespace, metadata.name, metadata.uid)
    return ServerPlan(
        wanted.served, wanted.settings, spec.chaincode_servers, owner, peer_namespaces=spec.peers.namespaces
    )


def check_own(resource: Resource, known: Manifest, plan: ServerPlan) -> None:
    """Refuse to touch an object made by others or for another package; raises TerminalError."""
    name = known["metadata"]["name"]
    where = f"{resource.plural} {plan.namespace}/{name}"
    if not is_own(known, plan.owner.namespace):
        raise TerminalError(IN_THE_WAY, f"{where} was made by somebody else and is in the way; rename or delete it")
    other = package_of(known)
    if other != plan.served.package_id:
        raise TerminalError(
            IN_THE_WAY,
            f"{where} still serves package {other} of the same label; it is taken over once that is replaced",
        )
