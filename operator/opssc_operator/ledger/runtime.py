"""Asking chaincode servers, and own peers beside all other work, whether committed chaincodes run.

Owns the questions under way and the latest answers. Nothing that is asked reaches the orderer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from fabric_admin.chaincodeserver import fetch_registered_id
from fabric_admin.errors import ChaincodeError, DeadlineExceeded, FabricError
from opssc_operator.domain.runtime import (
    LOOK_AGAIN_SECONDS,
    PeerReach,
    Reached,
    RuntimeSeen,
    learn,
    peer_pause,
    read_refusal,
    usual_pause,
)
from opssc_operator.domain.server_address import ServerAddress
from opssc_operator.ledger.peers import QUERY_SECONDS, OwnPeer, OwnPeers

QUESTION: Final = (b"org.hyperledger.fabric:GetMetadata",)
"""What every chaincode of the contract API answers without touching its state; others know no such function."""
REGISTER_SECONDS: Final = 5.0
ASK_SECONDS: Final = 15.0
AT_ONCE: Final = 4

_Slot = tuple[str, str]
"""Channel and chaincode name."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A committed definition and the package that runs it on the named own peers, with its server if it names one.

    ``init_due`` says that its Init call may not have been made yet.
    """

    channel: str
    chaincode: str
    sequence: int
    package_id: str
    peers: tuple[str, ...]
    server: ServerAddress | None = None
    init_due: bool = False

    @property
    def slot(self) -> _Slot:
        """The chaincode, of which one definition is committed at a time."""
        return self.channel, self.chaincode


@dataclass(frozen=True, slots=True)
class _PeerLook:
    """What a peer said so many times; ``due`` (clock seconds) is when it may be asked again, ``again`` when to."""

    reach: PeerReach
    times: int
    due: float
    again: float


@dataclass(slots=True)
class _Known:
    """The answers about one definition and package; times are clock seconds."""

    package_id: str
    sequence: int
    registers: str | None = None
    times: int = 0
    server_due: float = -math.inf
    peers: dict[str, _PeerLook] = field(default_factory=dict)
    told: bool = False
    asking: bool = False
    newest: Runtime | None = None
    """What was looked at last, also while another question was under way."""

    def seen(self, runtime: Runtime, now: float) -> RuntimeSeen:
        """What is known of the runtime's peers and server."""
        names = self._askable(runtime)
        reaches = [self.peers[name].reach for name in runtime.peers if name in self.peers]
        unasked = [PeerReach(name, Reached.UNKNOWN) for name in names if name not in self.peers]
        due = min((self.server_due, *(self.peers[name].again if name in self.peers else now for name in names)))
        again = None if due == math.inf else max(due - now, LOOK_AGAIN_SECONDS)
        return replace(self._server_seen(runtime), reaches=(*reaches, *unasked), again_seconds=again)

    def is_due(self, runtime: Runtime, now: float) -> bool:
        """Whether there is anything to ask."""
        return now >= self.server_due or bool(self.due_peers(runtime, now))

    def due_peers(self, runtime: Runtime, now: float) -> list[str]:
        """The peers to ask now."""
        return [name for name in self._askable(runtime) if name not in self.peers or now >= self.peers[name].due]

    def hear_server(self, runtime: Runtime, said: str | None, now: float) -> None:
        """Take over what the server said, None for nothing."""
        before = self.registers
        self.registers = learn(self.package_id, before, said)
        self.times = self.times + 1 if self.registers == before else 1
        if self.registers == self.package_id and before != self.package_id:
            # Whoever did not reach it before does not wait long for it now, except where it looks elsewhere.
            for name, look in self.peers.items():
                if look.reach.reached not in {Reached.YES, Reached.SILENT}:
                    self.peers[name] = replace(look, due=now, again=now)
        asked = runtime.server is not None and runtime.server.asked
        self.server_due = now + usual_pause(self.times) if asked else math.inf

    def hear_peer(self, reach: PeerReach, now: float) -> None:
        """Take over what a peer said."""
        before = self.peers.get(reach.peer)
        times = before.times + 1 if before is not None and before.reach == reach else 1
        due = now + peer_pause(reach, times)
        self.peers[reach.peer] = _PeerLook(reach, times, due, max(due, now + usual_pause(times)))

    def settle(self, runtime: Runtime) -> None:
        """Leave the server alone once every peer reaches it."""
        looks = [self.peers.get(name) for name in runtime.peers]
        if self._server_seen(runtime).may_ask_peers and all(_reaches(look) for look in looks):
            self.server_due = math.inf

    def _server_seen(self, runtime: Runtime) -> RuntimeSeen:
        """What is known without the peers."""
        return RuntimeSeen(self.package_id, runtime.server, self.registers, init_due=runtime.init_due)

    def _askable(self, runtime: Runtime) -> tuple[str, ...]:
        """The peers that may be asked."""
        seen = self._server_seen(runtime)
        if seen.may_ask_peers:
            return runtime.peers
        return runtime.peers[:1] if seen.may_ask_one else ()

    def forget(self) -> None:
        """Have those asked anew that are not asked again by themselves."""
        if math.isinf(self.server_due):
            self.server_due = -math.inf
        for name, look in self.peers.items():
            if math.isinf(look.due):
                self.peers[name] = replace(look, due=-math.inf, again=-math.inf)


def _reaches(look: _PeerLook | None) -> bool:
    return look is not None and look.reach.reached is Reached.YES


class RuntimeLooks:
    """The latest answers by chaincode."""

    def __init__(self, peers: OwnPeers, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._peers = peers
        self._clock = clock
        self._known: dict[_Slot, _Known] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._doors = asyncio.Semaphore(AT_ONCE)

    def look(self, runtime: Runtime, changed: Callable[[], None]) -> RuntimeSeen | None:
        """What is known now, None for nothing; asks whoever has not been asked for a while.

        ``changed`` is called when the answer is another one than what was known.
        """
        known, now = self._find(runtime), self._clock()
        known.newest = runtime
        if not known.asking and known.is_due(runtime, now):
            known.asking = True
            task = asyncio.create_task(
                self._ask(runtime, known, changed), name=f"asking for the server of {runtime.chaincode}"
            )
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        return known.seen(runtime, now) if known.told else None

    def forget(self) -> None:
        """Ask those anew that are not asked again by themselves, showing what was known until then."""
        for known in self._known.values():
            known.forget()

    async def close(self) -> None:
        """Give up what is being asked."""
        asking = tuple(self._asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _find(self, runtime: Runtime) -> _Known:
        """What is known of a package that runs a definition; another package of the same chaincode is history."""
        known = self._known.get(runtime.slot)
        if known is None or known.package_id != runtime.package_id:
            known = self._known[runtime.slot] = _Known(runtime.package_id, runtime.sequence)
        elif known.sequence != runtime.sequence:
            # The peers that gave no answer may still be waiting for the same server.
            silent = {name: look for name, look in known.peers.items() if look.reach.reached is Reached.SILENT}
            known = self._known[runtime.slot] = _Known(
                runtime.package_id, runtime.sequence, known.registers, peers=silent
            )
        return known

    async def _ask(self, runtime: Runtime, known: _Known, changed: Callable[[], None]) -> None:
        before = known.seen(runtime, self._clock()) if known.told else None
        try:
            await self._hear_server(runtime, known)
            due = known.due_peers(runtime, self._clock())
            await asyncio.gather(*(self._ask_peer(self._peers.get(name), runtime, known) for name in due))
        finally:
            known.asking = False
        known.settle(runtime)
        known.told = True
        now, newest = self._clock(), known.newest or runtime
        # Whoever looked meanwhile may have more to ask.
        if known.seen(runtime, now) != before or (newest != runtime and known.is_due(newest, now)):
            changed()

    async def _hear_server(self, runtime: Runtime, known: _Known) -> None:
        said = await self._ask_server(runtime.server)
        known.hear_server(runtime, said, self._clock())

    async def _ask_peer(self, peer: OwnPeer, runtime: Runtime, known: _Known) -> None:
        waited = self._room.locked()
        async with self._room:
            if waited:
                # What the server said before others were asked may be old by now.
                await self._hear_server(runtime, known)
            if peer.name not in known.due_peers(runtime, self._clock()):
                return
            started = self._clock()
            answer, answers = await _question(peer, runtime)
            # One that answers nothing at all was not held up by the question.
            held = self._clock() - started if answers else 0.0
            known.hear_peer(replace(answer, seconds=held), self._clock())

    async def _ask_server(self, server: ServerAddress | None) -> str | None:
        """What the server itself says it runs; None when it cannot be asked from here: that says nothing of peers."""
        if server is None or not server.asked:
            return None
        async with self._doors:
            try:
                return await fetch_registered_id(server.address, timeout_seconds=REGISTER_SECONDS)
            except FabricError:
                return None


async def _question(peer: OwnPeer, runtime: Runtime) -> tuple[PeerReach, bool]:
    """What a peer says of a chaincode, and whether it answers anything."""
    call = peer.patient_endorser.call(runtime.chaincode, QUESTION, channel=runtime.channel, timeout_seconds=ASK_SECONDS)
    try:
        await call
    except ChaincodeError as exc:
        return read_refusal(peer.name, exc.message), True
    except DeadlineExceeded:
        answers = await _answers(peer)
        return PeerReach(peer.name, Reached.SILENT if answers else Reached.UNKNOWN), answers
    except FabricError:
        return PeerReach(peer.name, Reached.UNKNOWN), True
    return PeerReach(peer.name, Reached.YES, initialized=True), True


async def _answers(peer: OwnPeer) -> bool:
    """Whether a peer that gave no answer for a chaincode gives others."""
    try:
        await peer.system.channels(timeout_seconds=QUERY_SECONDS)
    except FabricError:
        return False
    return True
