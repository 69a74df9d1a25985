"""The organization's own peers: connections, what each has joined and installed, and installing.

Owns one gRPC connection per peer. Knows nothing of Kubernetes and decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from fabric_admin.capabilities import Line
from fabric_admin.deliver import Deliver
from fabric_admin.endorser import Endorser
from fabric_admin.errors import FabricError, NotOffered, TransportError
from fabric_admin.gateway import Gateway
from fabric_admin.identity import SigningIdentity
from fabric_admin.lifecycle import Lifecycle
from fabric_admin.system import System
from fabric_admin.transport import Connection, Endpoint
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import PeerSource
from opssc_operator.domain.installation import PeerState
from opssc_operator.domain.releases import PeerRelease
from opssc_operator.errors import TransientError
from opssc_operator.ledger.installs import Installs
from opssc_operator.ledger.translate import explain, reason_of

QUERY_SECONDS: Final = 10.0
CHANNEL_RETRY_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 60.0
"""How long a peer that gave no answer is left alone, unless a look at the organization finds it back before."""


_AnswerT = TypeVar("_AnswerT")


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where one own peer listens and how it was found ."""

    name: str
    endpoint: Endpoint
    source: PeerSource = PeerSource.EXPLICIT


@dataclass(frozen=True, slots=True)
class Silence:
    """A peer gave no answer: why, and until when (loop time) reconciles do not ask it."""

    problem: str
    until: float


class _WatchedConnection(Connection):
    """A connection that tells when a call on it got no answer, whoever made the call."""

    __slots__ = ("_lost",)

    def __init__(self, endpoint: Endpoint, lost: Callable[[TransportError], None]) -> None:
        super().__init__(endpoint)
        self._lost = lost

    @contextmanager
    def refusals(self) -> Iterator[None]:
        with self._noting(), super().refusals():
            yield

    @contextmanager
    def gateway_errors(self) -> Iterator[None]:
        with self._noting(), super().gateway_errors():
            yield

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except TransportError as exc:
            self._lost(exc)
            raise


class _PatientConnection(Connection):
    """Another's connection, for calls that take long of themselves: getting no answer says nothing of the peer."""

    __slots__ = ()

    def __init__(self, connection: Connection) -> None:
        self.endpoint, self.channel = connection.endpoint, connection.channel


@dataclass(slots=True)
class OwnPeer:
    """One own peer with every client this operator needs on it, and what it was last seen to have."""

    address: PeerAddress
    admin: SigningIdentity
    client: SigningIdentity
    fell_silent: Callable[[], None] = field(default=lambda: None, repr=False)
    """Told once when the peer begins to give no answer."""
    joined: frozenset[str] = frozenset()
    packages: set[str] = field(default_factory=set)
    silence: Silence | None = None
    last_joined: frozenset[str] | None = None
    """Which channels it last said it has joined; None while it never said."""
    line: Line | None = None
    """Which releases of Fabric it was last seen to be of; None while it never said."""
    line_stands: bool = False
    """Whether it need not be asked for them again."""
    installs: Installs = field(init=False, repr=False)
    connection: Connection = field(init=False, repr=False)
    lifecycle: Lifecycle = field(init=False, repr=False)
    """Lifecycle calls as the organization's admin."""
    system: System = field(init=False, repr=False)
    """System chaincode queries as the organization's client."""
    admin_gateway: Gateway = field(init=False, repr=False)
    """Gateway calls as the organization's admin."""
    client_gateway: Gateway = field(init=False, repr=False)
    """Gateway calls as the organization's client."""
    deliver: Deliver = field(init=False, repr=False)
    """Block streams as the organization's client."""
    patient_endorser: Endorser = field(init=False, repr=False)
    """Questions to chaincodes as the organization's client; without an answer they do not make the peer silent."""
    patient_gateway: Gateway = field(init=False, repr=False)
    """Calls of chaincodes as the organization's admin; likewise."""
    patient_lifecycle: Lifecycle = field(init=False, repr=False)
    """Transfers of whole packages as the organization's admin; likewise."""

    @property
    def name(self) -> str:
        """The peer's name in the FabricOrganization."""
        return self.address.name

    def __post_init__(self) -> None:
        """Make the clients once; they hold nothing but the connection and an identity."""
        self.connection = _WatchedConnection(self.address.endpoint, self._lose)
        self.lifecycle = Lifecycle(self.connection, self.admin)
        self.installs = Installs(self.name, self.lifecycle)
        self.system = System(self.connection, self.client)
        self.admin_gateway = Gateway(self.connection, self.admin)
        self.client_gateway = Gateway(self.connection, self.client)
        self.deliver = Deliver(self.connection, self.client)
        patient = _PatientConnection(self.connection)
        self.patient_endorser = Endorser(patient, self.client)
        self.patient_gateway = Gateway(patient, self.admin)
        self.patient_lifecycle = Lifecycle(patient, self.admin)

    def _lose(self, exc: TransportError) -> None:
        """A call got no answer: others are asked until this peer says again what it has joined."""
        self.joined = frozenset()
        is_news = self.silence is None
        self.silence = Silence(explain(exc), self._now() + SILENCE_SECONDS)
        if is_news:
            self.fell_silent()

    def forget(self) -> None:
        """Drop what was seen, so that the next look asks the peer again."""
        self.joined = frozenset()
        self.packages.clear()
        self.line_stands = False

    async def fetch_channels(self) -> frozenset[str]:
        """Ask the peer which channels it has joined; raises FabricError."""
        self.joined = self.last_joined = frozenset(await self.system.channels(timeout_seconds=QUERY_SECONDS))
        if self.silence is not None:
            # While it was away, it may have lost packages or got what it lacked, another release among it.
            self.silence, self.line_stands = None, False
            self.packages.clear()
            self.installs.retry_now()
        return self.joined

    async def fetch_release(self, channel: str) -> PeerRelease:
        """Which releases the peer is of, or last said it was; the newest where it is not in the channel.

        What it offers there tells. As in ``observe``, no answer is an answer, and who just gave none is not asked.
        """
        if self.silence is not None and self._now() < self.silence.until:
            return self._release(channel, self.silence.problem)
        try:
            if channel in self.joined or channel in await self.fetch_channels():
                await self._read_line(channel)
        except FabricError as exc:
            return self._release(channel, explain(exc))
        return self._release(channel)

    def _release(self, channel: str, problem: str = "") -> PeerRelease:
        outside = self.last_joined is not None and channel not in self.last_joined
        return PeerRelease(self.name, Line.FABRIC_3 if outside else self.line, problem)

    async def _read_line(self, channel: str) -> None:
        if self.line_stands:
            return
        try:
            await self.lifecycle.query_approved_all(channel, timeout_seconds=QUERY_SECONDS)
            self.line = Line.FABRIC_3
        except NotOffered:
            self.line = Line.FABRIC_2_5
        self.line_stands = True

    async def look(self) -> None:
        """Ask for the joined channels; a peer that does not answer has joined none for now."""
        try:
            await self.fetch_channels()
        except FabricError:
            self.joined = frozenset()

    async def observe(self, channel: str, package_id: str | None) -> PeerState:
        """What the peer has of one channel and one package; an unreachable peer is an answer, not an error.

        A peer that just gave no answer is not asked: waiting for it would delay what the others can do.
        """
        if self.silence is not None and self._now() < self.silence.until:
            return self._unreachable(self.silence.problem, Reason.PEER_UNREACHABLE)
        try:
            on_channel = channel in self.joined or channel in await self.fetch_channels()
            installed = package_id is not None and on_channel and await self._has(package_id)
        except FabricError as exc:
            return self._unreachable(explain(exc), reason_of(exc, Reason.PEER_UNREACHABLE))
        setback = None if installed else self.installs.setback(package_id or "")
        return PeerState(
            self.name,
            reachable=True,
            on_channel=on_channel,
            installed=installed,
            problem="" if setback is None else setback.problem,
            problem_reason=None if setback is None else setback.reason,
            attempts=0 if setback is None else setback.attempts,
            wait_seconds=0.0 if setback is None else max(0.0, setback.due - self._now()),
            installing=self.installs.running(package_id or ""),
        )

    def _unreachable(self, problem: str, reason: Reason) -> PeerState:
        return PeerState(self.name, reachable=False, problem=problem, problem_reason=reason)

    async def _has(self, package_id: str) -> bool:
        if package_id not in self.packages:
            installed = await self.lifecycle.query_installed(timeout_seconds=QUERY_SECONDS)
            self.packages = {chaincode.package_id for chaincode in installed}
        return package_id in self.packages

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


class OwnPeers:
    """All own peers, in the order of the FabricOrganization."""

    def __init__(
        self,
        addresses: Iterable[PeerAddress],
        admin: SigningIdentity,
        client: SigningIdentity,
        fell_silent: Callable[[], None] = lambda: None,
    ) -> None:
        self.all: tuple[OwnPeer, ...] = tuple(OwnPeer(address, admin, client, fell_silent) for address in addresses)

    async def close(self) -> None:
        """Close every connection."""
        for peer in self.all:
            peer.fell_silent = lambda: None
        await asyncio.gather(*(peer.installs.close() for peer in self.all))
        await asyncio.gather(*(peer.connection.close() for peer in self.all))

    def forget(self) -> None:
        """Drop everything seen, on every peer."""
        for peer in self.all:
            peer.forget()

    async def fetch_releases(self, channel: str) -> tuple[PeerRelease, ...]:
        """Which releases every peer is of that may be in a channel, asked in parallel."""
        return tuple(await asyncio.gather(*(peer.fetch_release(channel) for peer in self.all)))

    def get(self, name: str) -> OwnPeer:
        """The peer of this name; raises KeyError."""
        return next(peer for peer in self.all if peer.name == name)

    def know(self, channel: str) -> bool:
        """Whether an own peer is known to have joined a channel; asks none."""
        return any(channel in peer.joined for peer in self.all)

    async def on(self, channel: str) -> OwnPeer:
        """The first own peer that has joined a channel; raises TransientError when none that answers has."""
        for asked in ([peer for peer in self.all if peer.silence is None], self.all, ()):
            for peer in self.all:
                if channel in peer.joined:
                    return peer
            # Whoever is silent would keep everybody waiting, so it is asked only when no other peer has the channel.
            await asyncio.gather(*(peer.look() for peer in asked))
        raise TransientError(
            f"no own peer that answers has joined channel {channel}; join one, or correct the channel's name",
            CHANNEL_RETRY_SECONDS,
            reason=Reason.CHANNEL_NOT_FOUND,
        )

    async def are_outside(self, channel: str) -> bool:
        """Whether all own peers answer, and none has joined a channel; one that gave no answer lately may have."""
        if any(channel in peer.joined or peer.silence is not None for peer in self.all):
            return False
        answers = await fetch_joined(self.all)
        return all(isinstance(answer, frozenset) and channel not in answer for answer in answers)

    async def ask(self, channel: str, question: Callable[[OwnPeer], Awaitable[_AnswerT]]) -> _AnswerT:
        """The first answer of an own peer that has joined a channel; raises the first FabricError when none has one.

        A peer that joined later or from a snapshot may lack what another one has. Raises TransientError as `on`.
        """
        first = await self.on(channel)
        failures: list[FabricError] = []
        for peer in (first, *(peer for peer in self.all if peer is not first and channel in peer.joined)):
            with _noted(failures):
                return await question(peer)
        raise failures[0]

    async def observe(self, channel: str, package_id: str | None) -> tuple[PeerState, ...]:
        """What every peer has of one channel and one package, asked in parallel."""
        states: Sequence[PeerState] = await asyncio.gather(*(p.observe(channel, package_id) for p in self.all))
        return tuple(states)


async def fetch_joined(peers: Iterable[OwnPeer]) -> tuple[frozenset[str] | FabricError, ...]:
    """Which channels each of the peers has joined, or why it does not say."""
    answers = await asyncio.gather(*(peer.fetch_channels() for peer in peers), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, FabricError):
            raise answer
    return tuple(answer for answer in answers if isinstance(answer, (frozenset, FabricError)))


@contextmanager
def _noted(failures: list[FabricError]) -> Iterator[None]:
    """Go on after a FabricError, which is kept."""
    try:
        yield
    except FabricError as exc:
        failures.append(exc)
