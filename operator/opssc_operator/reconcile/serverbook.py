"""What proposals claim of chaincode servers, and what stands in a server's way. Wakes whom a change concerns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from opssc_chaincode.model import CcaasPackage, ChaincodeContent, UnchangedPackage
from opssc_operator.api.chaincode_proposal import ChaincodeProposal
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.servers import ServerSettings
from opssc_operator.api.vote import Vote
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.servers import Claim, ServerLook, Wish
from opssc_operator.reconcile.keys import Key, proposal_key, server_key
from opssc_operator.reconcile.objects import find_objects
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.store import ObjectStore

_Place = tuple[str, str]
"""Namespace of an organization, and a package ID."""

NO_PACKAGE: Final = ""
"""A run for no package: it begins the watches, which wake the server of every package that they show."""


class ServerBook:
    """The claims of all proposals this process has looked at; what it has not looked at yet is not known."""

    def __init__(self, queue: WorkQueue, store: ObjectStore, shelves: Shelves) -> None:
        self._queue = queue
        self._store = store
        self._shelves = shelves
        self._claims: dict[Key, Claim] = {}
        self._noted: set[Key] = set()
        self._awaited: dict[Key, set[Key]] = {}
        self._by_package: defaultdict[_Place, set[Key]] = defaultdict(set)
        self._problems: dict[_Place, str] = {}
        self._seen: dict[str, tuple[str, int]] = {}

    def note(self, key: Key, claim: Claim | None, organization: FabricOrganization) -> None:
        """Take over what an accepted proposal claims now; None when it has nothing to claim."""
        self._note_organization(organization)
        before = self._claims.get(key)
        self._note_first(key)
        if claim == before:
            return
        for gone in (before,) if before is not None else ():
            self._by_package[key.namespace, gone.package_id].discard(key)
            self._claims.pop(key)
        if claim is not None:
            self._claims[key] = claim
            self._by_package[key.namespace, claim.package_id].add(key)
        for package_id in {found.package_id for found in (before, claim) if found is not None}:
            self._queue.add(server_key(key.namespace, package_id))
        if claim is not None and claim.committed and (before is None or not before.committed):
            self._wake_replaced(key, claim)

    def noted(self, namespace: str, ref: str) -> bool:
        """Whether this process knows what the proposal ``ref`` ("creator/id") claims."""
        return proposal_key(namespace, ref) in self._noted

    def await_notes(self, server: Key, proposals: Collection[Key]) -> None:
        """Have these proposals looked at, and the server once all of them were."""
        self._awaited[server] = set(proposals)
        for key in sorted(proposals):
            self._queue.add(key)

    def claims(self, namespace: str, package_id: str) -> tuple[Claim, ...]:
        """All claims on the server of one package."""
        return tuple(self._claims[key] for key in sorted(self._by_package.get((namespace, package_id), ())))

    def problem(self, namespace: str, package_id: str) -> str:
        """Why a server could not be made; empty when nothing is known to stand in its way."""
        return self._problems.get((namespace, package_id), "")

    def set_problem(self, namespace: str, package_id: str, problem: str) -> None:
        """Note why a server could not be made, or that it could (an empty text)."""
        place = namespace, package_id
        if self.problem(namespace, package_id) == problem:
            return
        self._problems[place] = problem
        self.wake_claimants(namespace, package_id)

    def wake_claimants(self, namespace: str, package_id: str) -> None:
        """Let the proposals that claim a server look at it again."""
        for key in sorted(self._by_package.get((namespace, package_id), ())):
            self._queue.add(key)

    def wake_servers(self, namespace: str) -> None:
        """Let every server of a namespace be looked at again."""
        claimed = {package_id for place, package_id in self._by_package if place == namespace}
        for package_id in sorted(claimed | self._shelves.of(namespace).packages()):
            self._queue.add(server_key(namespace, package_id))

    def wake_all(self, namespace: str) -> None:
        """Have every server looked at, also those that were not listed yet and that no proposal leads to any more."""
        self._queue.add(server_key(namespace, NO_PACKAGE))
        self.wake_servers(namespace)

    def look(
        self, namespace: str, observed: ProposalObserved, content: ChaincodeContent | None, package_id: str | None
    ) -> ServerLook | None:
        """The server of an accepted proposal, as far as this organization's objects and watches tell of it.

        ``content`` has the package this organization installs. None when the peers' own builder runs it, or for none.
        """
        if package_id is None or content is None:
            return None
        source = content.package.source
        if not isinstance(source, CcaasPackage | UnchangedPackage):
            return None
        conflicting = observed.manifest is not None and bool(observed.manifest.conflicts)
        objects = find_objects(self._store, namespace, observed.ref, observed.ledger_kind)
        manifest = objects.manifest if isinstance(objects.manifest, ChaincodeProposal) else None
        stated = None if manifest is None or conflicting or manifest.metadata.deleting else manifest
        wish, settings, said = read_wish(stated, objects.votes, keeps_package=isinstance(source, UnchangedPackage))
        return ServerLook(
            wish=wish,
            said=said,
            settings=settings,
            problem=self.problem(namespace, package_id),
            deployment=self._shelves.of(namespace).deployment(package_id),
        )

    def _note_first(self, key: Key) -> None:
        if key in self._noted:
            return
        self._noted.add(key)
        for server, missing in tuple(self._awaited.items()):
            missing.discard(key)
            if not missing:
                self._awaited.pop(server)
                self._queue.add(server)

    def _note_organization(self, organization: FabricOrganization) -> None:
        metadata = organization.metadata
        seen = metadata.uid, metadata.generation
        if self._seen.get(metadata.namespace) != seen:
            self._seen[metadata.namespace] = seen
            self.wake_servers(metadata.namespace)

    def _wake_replaced(self, key: Key, claim: Claim) -> None:
        """Let proposals of lower sequences see that they were replaced: no block tells them once they are Ready."""
        channel, name, sequence = claim.slot
        for other, known in self._claims.items():
            same = other.namespace == key.namespace and known.slot[:2] == (channel, name)
            if same and known.current and known.slot[2] < sequence:
                self._queue.add(other)


def read_wish(
    manifest: ChaincodeProposal | None, votes: Sequence[Vote], *, keeps_package: bool
) -> tuple[Wish, ServerSettings, tuple[str, ...]]:
    """What the objects of a proposal say about its server: the oldest Vote's local choice, else the manifest.

    With a proposal that keeps the package, a manifest that says nothing keeps the server too.
    """
    local = votes[0].spec.local if votes else None
    if local is not None and local.server is not None:
        return _wish_of(local.server), local.server, _age(votes[0])
    if manifest is None:
        return Wish.UNSAID, ServerSettings(), ()
    if manifest.spec.server is None:
        return (Wish.UNSAID if keeps_package else Wish.DEFAULT), ServerSettings(), _age(manifest)
    return _wish_of(manifest.spec.server), manifest.spec.server, _age(manifest)


def _wish_of(settings: ServerSettings) -> Wish:
    return Wish.RUN if settings.deploy else Wish.STOP


def _age(known: ChaincodeProposal | Vote) -> tuple[str, ...]:
    created = known.metadata.creation_timestamp
    return (created.isoformat() if created else "", known.metadata.name)
