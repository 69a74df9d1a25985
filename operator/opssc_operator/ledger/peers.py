"""The organization's own peers: connections, what each has joined and installed, and installing.

Owns one gRPC connection per peer. Knows nothing of Kubernetes and decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from fabric_admin.deliver import Deliver
from fabric_admin.errors import ChaincodeError, FabricError, TransportError
from fabric_admin.gateway import Gateway
from fabric_admin.identity import SigningIdentity
from fabric_admin.lifecycle import Lifecycle
from fabric_admin.system import System
from fabric_admin.transport import Connection, Endpoint
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import PeerState
from opssc_operator.errors import TransientError
from opssc_operator.ledger.translate import explain, reason_of

ALREADY_INSTALLED: Final = "chaincode already successfully installed"
QUERY_SECONDS: Final = 10.0
INSTALL_SECONDS: Final = 300.0
CHANNEL_RETRY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where one own peer listens and how it was found (``explicit``)."""

    name: str
    endpoint: Endpoint
    source: str = "explicit"


class _WatchedConnection(Connection):
    """A connection that tells when a call on it got no answer, whoever made the call."""

    __slots__ = ("_lost",)

    def __init__(self, endpoint: Endpoint, lost: Callable[[], None]) -> None:
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
        except TransportError:
            self._lost()
            raise


@dataclass(slots=True)
class OwnPeer:
    """One own peer with every client this operator needs on it, and what it was last seen to have."""

    address: PeerAddress
    admin: SigningIdentity
    client: SigningIdentity
    joined: frozenset[str] = frozenset()
    packages: set[str] = field(default_factory=set)
    problems: dict[str, tuple[Reason, str]] = field(default_factory=dict)
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

    @property
    def name(self) -> str:
        """The peer's name in the FabricOrganization."""
        return self.address.name

    def __post_init__(self) -> None:
        """Make the clients once; they hold nothing but the connection and an identity."""
        self.connection = _WatchedConnection(self.address.endpoint, self._lose)
        self.lifecycle = Lifecycle(self.connection, self.admin)
        self.system = System(self.connection, self.client)
        self.admin_gateway = Gateway(self.connection, self.admin)
        self.client_gateway = Gateway(self.connection, self.client)
        self.deliver = Deliver(self.connection, self.client)

    def _lose(self) -> None:
        """A call got no answer: others are asked until this peer says again what it has joined."""
        self.joined = frozenset()

    def forget(self) -> None:
        """Drop what was seen, so that the next look asks the peer again."""
        self.joined = frozenset()
        self.packages.clear()

    async def fetch_channels(self) -> frozenset[str]:
        """Ask the peer which channels it has joined; raises FabricError."""
        self.joined = frozenset(await self.system.channels(timeout_seconds=QUERY_SECONDS))
        return self.joined

    async def look(self) -> None:
        """Ask for the joined channels; a peer that does not answer has joined none for now."""
        try:
            await self.fetch_channels()
        except FabricError:
            self.joined = frozenset()

    async def observe(self, channel: str, package_id: str | None) -> PeerState:
        """What the peer has of one channel and one package; an unreachable peer is an answer, not an error."""
        try:
            on_channel = channel in self.joined or channel in await self.fetch_channels()
            installed = package_id is not None and on_channel and await self._has(package_id)
        except FabricError as exc:
            return PeerState(
                self.name, reachable=False, problem=explain(exc), problem_reason=reason_of(exc, Reason.PEER_UNREACHABLE)
            )
        reason, problem = self.problems.get(package_id or "", (None, ""))
        return PeerState(
            self.name,
            reachable=True,
            on_channel=on_channel,
            installed=installed,
            problem="" if installed else problem,
            problem_reason=None if installed else reason,
        )

    async def _has(self, package_id: str) -> bool:
        if package_id not in self.packages:
            installed = await self.lifecycle.query_installed(timeout_seconds=QUERY_SECONDS)
            self.packages = {chaincode.package_id for chaincode in installed}
        return package_id in self.packages

    async def install(self, package: bytes, package_id: str) -> None:
        """Install a package; already installed is success. Raises TransientError with the peer's own words."""
        try:
            shown = await self.lifecycle.install(package, timeout_seconds=INSTALL_SECONDS)
        except ChaincodeError as exc:
            if ALREADY_INSTALLED not in exc.message:
                self.problems[package_id] = (install_reason(exc.message), explain(exc))
                raise TransientError(f"installing {package_id} on peer {self.name}: {explain(exc)}") from exc
            shown = package_id
        except FabricError as exc:
            self.problems[package_id] = (reason_of(exc, Reason.INSTALL_FAILED), explain(exc))
            raise TransientError(f"installing {package_id} on peer {self.name}: {explain(exc)}") from exc
        self.problems.pop(package_id, None)
        self.packages.add(shown)


def install_reason(message: str) -> Reason:
    """Tell a peer without a builder for the package type from any other failed install."""
    missing = ("docker build is disabled", "docker build failed", "Unknown chaincodeType")
    return Reason.EXTERNAL_BUILDER_MISSING if any(text in message for text in missing) else Reason.INSTALL_FAILED


class OwnPeers:
    """All own peers, in the order of the FabricOrganization."""

    def __init__(self, addresses: Iterable[PeerAddress], admin: SigningIdentity, client: SigningIdentity) -> None:
        self.all: tuple[OwnPeer, ...] = tuple(OwnPeer(address, admin, client) for address in addresses)

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(peer.connection.close() for peer in self.all))

    def forget(self) -> None:
        """Drop everything seen, on every peer."""
        for peer in self.all:
            peer.forget()

    def get(self, name: str) -> OwnPeer:
        """The peer of this name; raises KeyError."""
        return next(peer for peer in self.all if peer.name == name)

    async def on(self, channel: str) -> OwnPeer:
        """The first own peer that has joined a channel; raises TransientError when none that answers has."""
        for _ in range(2):
            for peer in self.all:
                if channel in peer.joined:
                    return peer
            await asyncio.gather(*(peer.look() for peer in self.all))
        raise TransientError(
            f"no own peer that answers has joined channel {channel}; join one, or correct the channel's name",
            CHANNEL_RETRY_SECONDS,
            reason=Reason.CHANNEL_NOT_FOUND,
        )

    async def observe(self, channel: str, package_id: str | None) -> tuple[PeerState, ...]:
        """What every peer has of one channel and one package, asked in parallel."""
        states: Sequence[PeerState] = await asyncio.gather(*(p.observe(channel, package_id) for p in self.all))
        return tuple(states)
