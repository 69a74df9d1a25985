"""What the watch last said: every object of our kinds, parsed once, with the indexes reconcilers need.

Reconcilers read the cluster from here and never list the API server. Fed by `feed`; one event loop, no locks.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from opssc_operator.api.chaincode_proposal import ChaincodeProposal
from opssc_operator.api.channel import FabricChannel
from opssc_operator.api.channel_proposal import ChannelProposal
from opssc_operator.api.charter_proposal import CharterProposal
from opssc_operator.api.group import PROPOSAL_KINDS, Kind
from opssc_operator.api.metadata import ObjectMeta
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.proposal import ProposalObject
from opssc_operator.api.refs import ProposalRef
from opssc_operator.api.vote import Vote
from opssc_operator.reconcile.keys import UNKNOWN_CREATOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONGEST_MESSAGE: Final = 1024
_SHARED_LENGTH: Final = 128


class Change(Enum):
    """What is new about an object; `STATUS` alone means that somebody else wrote its status."""

    NOTHING = auto()
    STATUS = auto()
    CONTENT = auto()


@dataclass(frozen=True, slots=True)
class Invalid:
    """An object that passed its CRD and not its model: kept, so that its condition can say InvalidSpec.

    `ref` is the proposal it would be about; None for an organization.
    """

    kind: Kind
    metadata: ObjectMeta
    status: Mapping[str, Any]
    ref: ProposalRef | None
    message: str


Known = FabricOrganization | ProposalObject | Vote | FabricChannel | Invalid
"""An object in the store."""

_MODELS: Final[Mapping[Kind, type[FabricOrganization | ProposalObject | Vote | FabricChannel]]] = {
    Kind.FABRIC_ORGANIZATION: FabricOrganization,
    Kind.CHAINCODE_PROPOSAL: ChaincodeProposal,
    Kind.CHANNEL_PROPOSAL: ChannelProposal,
    Kind.CHARTER_PROPOSAL: CharterProposal,
    Kind.VOTE: Vote,
    Kind.FABRIC_CHANNEL: FabricChannel,
}
_Name = tuple[str, str]


class ObjectStore:
    """All objects of our kinds by kind, namespace and name, and by the proposal they are about."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[_Name, Known]] = {kind: {} for kind in Kind}
        self._awaited: dict[tuple[Kind, _Name], asyncio.Event] = {}
        self._by_ref: defaultdict[tuple[str, ProposalRef], set[tuple[Kind, _Name]]] = defaultdict(set)

    def put(self, kind: Kind, body: Mapping[str, Any]) -> Change:
        """Takes over the object as the API server returned it; what is older than the known state is left out.

        Resource versions are compared as numbers, as Kubernetes promises since 1.35 and etcd always kept.
        """
        metadata = body["metadata"]
        name = metadata["namespace"], metadata["name"]
        old = self._objects[kind].get(name)
        # The watch tells of every write of our own again; reading it twice is most of what an event costs.
        if old is not None and 0 < _number(metadata["resourceVersion"]) <= _number(old.metadata.resource_version):
            return Change.NOTHING
        new = parse(kind, share_texts(body))
        self._forget(kind, name)
        self._objects[kind][name] = new
        if (kind, name) in self._awaited:
            self._awaited.pop((kind, name)).set()
        ref = stated_ref(new)
        if ref is not None:
            self._by_ref[new.metadata.namespace, ref].add((kind, name))
        return _compare(old, new)

    def remove(self, kind: Kind, namespace: str, name: str, uid: str) -> Known | None:
        """Drops the object with this `uid` and says what it was; None when another or none stands there."""
        known = self.get(kind, namespace, name)
        if known is None or known.metadata.uid != uid:
            return None
        self._forget(kind, (namespace, name))
        return known

    def get(self, kind: Kind, namespace: str, name: str) -> Known | None:
        """The object of this name, parsed or `Invalid`."""
        return self._objects[kind].get((namespace, name))

    async def wait_for(self, kind: Kind, namespace: str, name: str, *, timeout_seconds: float) -> bool:
        """Wait until the watch has told of an object, as after creating it; False when it has not in time."""
        if self.get(kind, namespace, name) is not None:
            return True
        told = self._awaited.setdefault((kind, (namespace, name)), asyncio.Event())
        try:
            async with asyncio.timeout(timeout_seconds):
                await told.wait()
        except TimeoutError:
            return False
        return True

    def organization(self, namespace: str) -> FabricOrganization | None:
        """The organization the namespace belongs to: the oldest one that is valid."""
        return next(iter(self.organizations(namespace)), None)

    def organizations(self, namespace: str) -> tuple[FabricOrganization, ...]:
        """All valid organizations of the namespace, oldest first; all but the first are too many."""
        found = (
            known for known in self._of(Kind.FABRIC_ORGANIZATION, namespace) if isinstance(known, FabricOrganization)
        )
        return tuple(sorted(found, key=_age))

    def proposals(self, namespace: str, ref: ProposalRef) -> tuple[ProposalObject, ...]:
        """Manifests and mirror of a proposal, of whatever kind, oldest first."""
        return tuple(known for known in self._about(namespace, ref) if isinstance(known, ProposalObject))

    def votes(self, namespace: str, ref: ProposalRef) -> tuple[Vote, ...]:
        """Votes on a proposal, oldest first."""
        return tuple(known for known in self._about(namespace, ref) if isinstance(known, Vote))

    def invalid(self, namespace: str, ref: ProposalRef) -> tuple[Invalid, ...]:
        """Objects about a proposal that cannot be read, oldest first."""
        return tuple(known for known in self._about(namespace, ref) if isinstance(known, Invalid))

    def proposals_all(self, namespace: str) -> tuple[ProposalObject, ...]:
        """Every proposal object of the namespace, oldest first."""
        found = (
            known for kind in PROPOSAL_KINDS for known in self._of(kind, namespace) if isinstance(known, ProposalObject)
        )
        return tuple(sorted(found, key=_age))

    def channels(self, namespace: str) -> tuple[FabricChannel, ...]:
        """Every readable FabricChannel of the namespace, oldest first."""
        found = (known for known in self._of(Kind.FABRIC_CHANNEL, namespace) if isinstance(known, FabricChannel))
        return tuple(sorted(found, key=_age))

    def ref_of(self, known: Known) -> ProposalRef | None:
        """The proposal an object is about, with "?" as creator while we are nobody yet; None for all other kinds."""
        ref = stated_ref(known)
        if ref is None or ref.creator != UNKNOWN_CREATOR:
            return ref
        organization = self.organization(known.metadata.namespace)
        return ref if organization is None else ProposalRef(organization.spec.msp_id, ref.id)

    def everything(self, namespace: str) -> Iterator[Known]:
        """Every object of the namespace, in no order."""
        return (known for kind in Kind for known in self._of(kind, namespace))

    def count(self, kind: Kind) -> int:
        """How many objects of `kind` there are."""
        return len(self._objects[kind])

    def _of(self, kind: Kind, namespace: str) -> Iterator[Known]:
        return (known for (place, _), known in self._objects[kind].items() if place == namespace)

    def _about(self, namespace: str, ref: ProposalRef) -> list[Known]:
        names = set(self._by_ref.get((namespace, ref), ()))
        organization = self.organization(namespace)
        if organization is not None and organization.spec.msp_id == ref.creator:
            names |= self._by_ref.get((namespace, ProposalRef(UNKNOWN_CREATOR, ref.id)), set())
        return sorted((self._objects[kind][name] for kind, name in names), key=_age)

    def _forget(self, kind: Kind, name: _Name) -> None:
        known = self._objects[kind].pop(name, None)
        ref = None if known is None else stated_ref(known)
        if known is not None and ref is not None:
            names = self._by_ref[known.metadata.namespace, ref]
            names.discard((kind, name))
            if not names:
                del self._by_ref[known.metadata.namespace, ref]


def share_texts(value: Any) -> Any:
    """The same JSON with every short text kept once in the process: most are alike from object to object."""
    match value:
        case str():
            return sys.intern(value) if len(value) <= _SHARED_LENGTH else value
        case dict():
            return {sys.intern(name): share_texts(part) for name, part in value.items()}
        case list():
            return [share_texts(part) for part in value]
        case _:
            return value


def parse(kind: Kind, body: Mapping[str, Any]) -> Known:
    """The object of `body`; `Invalid` when its model refuses it.

    Raises:
        ValidationError: not even its metadata can be read, which no API server sends.
    """
    try:
        return _MODELS[kind].model_validate(body)
    except ValidationError as error:
        metadata = ObjectMeta.model_validate(body.get("metadata"))
        return Invalid(kind, metadata, body.get("status") or {}, _guess_ref(kind, metadata, body), _explain(error))


def stated_ref(known: Known) -> ProposalRef | None:
    """The proposal as the object itself states it, with "?" where it leaves its creator to the namespace."""
    match known:
        case ProposalObject():
            return known.ref(UNKNOWN_CREATOR)
        case Vote():
            return known.spec.proposal.ref
        case Invalid():
            return known.ref
        case FabricOrganization() | FabricChannel():
            return None


def _guess_ref(kind: Kind, metadata: ObjectMeta, body: Mapping[str, Any]) -> ProposalRef | None:
    if kind in {Kind.FABRIC_ORGANIZATION, Kind.FABRIC_CHANNEL}:
        return None
    spec = body.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    source = spec.get("proposal") if kind is Kind.VOTE else spec
    source = source if isinstance(source, dict) else {}
    creator, proposal_id = source.get("creator"), source.get("id" if kind is Kind.VOTE else "proposalID")
    return ProposalRef(
        creator if isinstance(creator, str) and creator else UNKNOWN_CREATOR,
        proposal_id if isinstance(proposal_id, str) and proposal_id else metadata.name,
    )


def _explain(error: ValidationError) -> str:
    problems = (f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in error.errors())
    return "; ".join(problems)[:_LONGEST_MESSAGE]


def _age(known: Known) -> tuple[str, str, str]:
    created = known.metadata.creation_timestamp
    return created.isoformat() if created else "", known.metadata.name, known.metadata.uid


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0


def _compare(old: Known | None, new: Known) -> Change:
    if old is None or _content(old) != _content(new):
        return Change.CONTENT
    return Change.NOTHING if old.status == new.status else Change.STATUS


def _content(known: Known) -> tuple[object, ...]:
    metadata = known.metadata.model_copy(update={"resource_version": "", "generation": 0})
    return metadata, known.message if isinstance(known, Invalid) else known.spec
