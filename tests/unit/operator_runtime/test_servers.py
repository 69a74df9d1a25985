"""Reconciling chaincode servers after a restart: nothing is changed before all who may claim a server were asked."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.servers import ServerSettings
from opssc_operator.domain.claims import chaincodes_of, may_claim
from opssc_operator.domain.outline import Outline
from opssc_operator.domain.servers import Claim, Run, Served, Wish
from opssc_operator.domain.serverset import build_deployment
from opssc_operator.kube.objects import DEPLOYMENTS
from opssc_operator.reconcile.keys import Key, proposal_key, server_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servers import ASK_SECONDS, ServerReconciler, plan_of
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.serverwatch import ServerWatches
from opssc_operator.reconcile.store import ObjectStore

from .memoryobjects import MemoryObjects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Manifests

LABEL = "asset-0123456789ab"
PACKAGE_ID, OTHER_ID = f"{LABEL}:{'c' * 64}", f"other-0123456789ab:{'d' * 64}"
SERVED = Served(PACKAGE_ID, LABEL, "example.com/asset", f"sha256:{'ab' * 32}", 9999)
FEW, MANY = (ServerSettings(deploy=True, replicas=number) for number in (1, 3))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON_SECONDS = 5.0
SERVER = server_key("org1", PACKAGE_ID)


def outline(number: int, *, name: str = "asset", package_id: str | None = None) -> Outline:
    """An accepted proposal for sequence ``number`` as the ledger shows it."""
    return Outline(
        ref=ProposalRef("Org1MSP", f"{name}-{number}"),
        kind=LedgerKind.CHAINCODE,
        slot=("mychannel", name, number),
        accepted=True,
        ended=True,
        awaits_own_vote=False,
        deadline=NOW,
        skew=timedelta(),
        undecided=False,
        said=0,
        package_id=package_id,
    )


def key_of(known: Outline) -> Key:
    return proposal_key("org1", str(known.ref))


def claim(number: int, settings: ServerSettings = FEW) -> Claim:
    return Claim(PACKAGE_ID, ("mychannel", "asset", number), Wish.RUN, (f"2026-0{number}",), settings, SERVED)


@dataclass(slots=True)
class Ground:
    """A server reconciler that was just started, and what it stands on."""

    organization: FabricOrganization
    store: ObjectStore
    queue: WorkQueue
    objects: MemoryObjects
    book: ServerBook
    shelves: Shelves
    reconciler: ServerReconciler

    @classmethod
    @asynccontextmanager
    async def open(cls, manifests: Manifests, *outlines: Outline) -> AsyncIterator[Ground]:
        manifest = manifests.organization()
        manifest["spec"]["trust"] = {"imageRegistries": ["example.com"]}
        store, queue, objects, shelves = ObjectStore(), WorkQueue(), MemoryObjects(), Shelves()
        store.put(Kind.FABRIC_ORGANIZATION, manifest)
        organization = FabricOrganization.model_validate(manifest)
        client = cast("Any", objects)
        book = ServerBook(queue, store, shelves)
        watches = ServerWatches(client, shelves, book, queue)
        session = SimpleNamespace(
            view=SimpleNamespace(outlines=lambda: outlines),
            peers=SimpleNamespace(all=()),
            is_shut_out=lambda _: True,
            is_removed=lambda _: True,
        )
        sessions = cast("Any", SimpleNamespace(ready=lambda _: session))
        secrets = cast("Any", SimpleNamespace(remove=_no_secret))
        reconciler = ServerReconciler(
            store, sessions, queue, client, secrets, shelves, book, watches, clock=lambda: datetime.now(UTC)
        )
        yield cls(organization, store, queue, objects, book, shelves, reconciler)
        await watches.close()

    def note(self, known: Outline, found: Claim | None) -> None:
        self.book.note(key_of(known), found, self.organization)

    def run_before(self, settings: ServerSettings) -> None:
        """Let a Deployment stand that was made before the restart."""
        self.objects.put(DEPLOYMENTS, build_deployment(plan_of(self.organization, Run(SERVED, settings))))

    @property
    def replicas(self) -> list[int]:
        return [
            body["spec"]["replicas"] for (plural, _), body in self.objects.stored.items() if plural == "deployments"
        ]

    async def woken(self) -> set[Key]:
        keys = [await self.queue.get() for _ in range(self.queue.ready)]
        for key in keys:
            self.queue.done(key)
        return set(keys)


async def _no_secret(*_: object) -> None:
    """Servers without TLS have none."""


async def test_a_server_is_looked_at_again_once_its_proposal_has_nothing_to_claim(manifests: Manifests) -> None:
    known = outline(1, package_id=PACKAGE_ID)
    async with Ground.open(manifests, known) as ground:
        # Given
        waiting = await ground.reconciler.reconcile(SERVER)
        assert key_of(known) in await ground.woken()

        # When
        ground.note(known, None)

        # Then: by the note, and by itself where none ever comes
        assert SERVER in await ground.woken()
        assert waiting.requeue_after_seconds is not None


@pytest.mark.parametrize(
    ("known", "chosen"),
    [
        pytest.param(outline(1, package_id=OTHER_ID), {"type": "none"}, id="a-package-of-its-own"),
        pytest.param(outline(2), None, id="the-package-is-kept"),
    ],
)
async def test_a_server_stays_until_everybody_was_asked(
    manifests: Manifests, known: Outline, chosen: dict[str, Any] | None
) -> None:
    async with Ground.open(manifests, known) as ground:
        # Given: a server whose package nothing on the ledger names
        ground.run_before(MANY)
        if chosen is not None:
            vote = manifests.vote("vote", known.ref.creator, known.ref.id)
            vote["spec"]["local"] = {"package": chosen}
            ground.store.put(Kind.VOTE, vote)

        # When
        await ground.reconciler.reconcile(SERVER)
        unasked = ground.replicas
        ground.note(known, claim(known.slot[2] if known.slot else 0, MANY))
        await ground.reconciler.reconcile(SERVER)

        # Then
        assert (unasked, ground.replicas) == ([3], [3])


@pytest.mark.parametrize(
    ("known", "chooses", "expected"),
    [
        pytest.param(outline(2), False, True, id="same-chaincode"),
        pytest.param(outline(2, name="other"), False, False, id="another-chaincode"),
        pytest.param(outline(2, name="other"), True, True, id="another-chaincode-with-a-package-of-our-own"),
        pytest.param(replace(outline(2), kind=LedgerKind.CHARTER), True, False, id="no-chaincode"),
    ],
)
def test_who_may_claim_a_server(known: Outline, chooses: bool, expected: bool) -> None:
    chaincodes = chaincodes_of(PACKAGE_ID, [outline(1, package_id=PACKAGE_ID), known], ())

    assert may_claim(known, chaincodes, chooses=chooses) is expected


async def test_settings_wait_for_the_proposal_that_kept_the_package(manifests: Manifests) -> None:
    first, kept, foreign = outline(1, package_id=PACKAGE_ID), outline(2), outline(1, name="stuck")
    async with Ground.open(manifests, first, kept, foreign) as ground:
        # Given
        ground.run_before(MANY)
        ground.note(first, claim(1, FEW))

        # When
        await ground.reconciler.reconcile(SERVER)
        before = ground.replicas
        ground.note(kept, claim(2, MANY))
        await ground.reconciler.reconcile(SERVER)

        # Then: a proposal for another chaincode, which was not looked at either, stands in nobody's way
        assert (before, ground.replicas) == ([3], [3])
        assert ("services", LABEL) in ground.objects.stored


async def test_a_proposal_that_cannot_be_looked_at_keeps_nobody_s_server_away_and_costs_nobody_one(
    manifests: Manifests,
) -> None:
    async with Ground.open(manifests, outline(2)) as ground:
        # Given: two servers wait for a proposal that nobody can look at, for longer than they should
        ground.run_before(MANY)
        ground.reconciler._asked[SERVER] = asyncio.get_running_loop().time() - ASK_SECONDS

        # When: nobody asks for the server, then somebody does
        await ground.reconciler.reconcile(SERVER)
        unclaimed = ground.replicas
        ground.note(outline(1, package_id=PACKAGE_ID), claim(1, FEW))
        await ground.reconciler.reconcile(SERVER)

        # Then
        assert (unclaimed, ground.replicas) == ([3], [1])


async def test_what_changed_while_nobody_watched_is_told_to_who_claims_it(manifests: Manifests) -> None:
    known = outline(1, package_id=PACKAGE_ID)
    async with Ground.open(manifests, known) as ground:
        # Given
        ground.note(known, claim(1))
        await ground.reconciler.reconcile(SERVER)
        await ground.woken()

        # When
        [made] = [body for (plural, _), body in ground.objects.stored.items() if plural == "deployments"]
        ground.objects.put(DEPLOYMENTS, {**made, "status": {"readyReplicas": 1}})
        ground.objects.break_watches()

        # Then
        woken: set[Key] = set()
        async with asyncio.timeout(SOON_SECONDS):
            while key_of(known) not in woken:
                key = await ground.queue.get()
                ground.queue.done(key)
                woken.add(key)


async def test_no_server_is_made_for_the_address_of_another_service(manifests: Manifests) -> None:
    known = outline(1, package_id=PACKAGE_ID)
    async with Ground.open(manifests, known) as ground:
        # Given
        asked = replace(claim(1), served=replace(SERVED, tls=True, host="peer0.org1.svc"))
        ground.note(known, asked)

        # When
        await ground.reconciler.reconcile(SERVER)

        # Then
        assert "address peer0.org1.svc" in ground.book.problem("org1", PACKAGE_ID)
        assert ground.objects.stored == {}


def test_a_server_knows_where_peers_are_looked_for(manifests: Manifests) -> None:
    manifest = manifests.organization()
    manifest["spec"]["peers"] = {"namespaces": ["org1-peers"]}

    plan = plan_of(FabricOrganization.model_validate(manifest), Run(SERVED, FEW))

    assert plan.peer_namespaces == ("org1-peers",)
