"""Asking chaincode servers, and own peers beside all other work, whether committed chaincodes run.

Owns the questions under way and the latest answers. Nothing that is asked reaches the orderer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from fabric_admin.chaincodeserver import fetch_registered_id
from fabric_admin.endorser import Endorser
from fabric_admin.errors import ChaincodeError, DeadlineExceeded, FabricError
from opssc_operator.domain.runtime import (
    ASK_SECONDS,
    LOOK_AGAIN_SECONDS,
    PeerReach,
    Reached,
    RuntimeSeen,
    ServerAddress,
    pauses_after,
    read_refusal,
)
from opssc_operator.ledger.peers import OwnPeer, OwnPeers

QUESTION: Final = (b"org.hyperledger.fabric:GetMetadata",)
"""What every chaincode of the contract API answers without touching its state; others know no such function."""
REGISTER_SECONDS: Final = 5.0
AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Runtime:
    """A committed chaincode and the package that runs it on the named own peers, with its server if it names one."""

    channel: str
    chaincode: str
    package_id: str
    peers: tuple[str, ...]
    server: ServerAddress | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was seen so many times, and from when on (clock seconds) who is asked again: anybody, and own peers."""

    seen: RuntimeSeen
    times: int
    due: float
    peers_due: float


class RuntimeLooks:
    """The latest answers by chaincode."""

    def __init__(self, peers: OwnPeers, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._peers = peers
        self._clock = clock
        self._answers: dict[Runtime, _Answer] = {}
        self._asking: dict[Runtime, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._doors = asyncio.Semaphore(AT_ONCE)

    def look(self, runtime: Runtime, changed: Callable[[], None]) -> RuntimeSeen | None:
        """What is known now; asks when nothing is, or when a server was not reached for a while.

        ``changed`` is called when the answer is another one than what was known.
        """
        known, now = self._answers.get(runtime), self._clock()
        if (known is None or now >= known.due) and runtime not in self._asking:
            task = self._asking[runtime] = asyncio.create_task(
                self._ask(runtime, changed), name=f"asking for the server of {runtime.chaincode}"
            )
            task.add_done_callback(lambda _: self._asking.pop(runtime, None))
        if known is None:
            return None
        return replace(known.seen, again_seconds=max(known.due - now, LOOK_AGAIN_SECONDS))

    def forget(self) -> None:
        """Ask those anew that are not asked again by themselves, showing what was known until then."""
        self._answers = {
            runtime: replace(known, due=0.0, peers_due=0.0) if math.isinf(known.due) else known
            for runtime, known in self._answers.items()
        }

    async def close(self) -> None:
        """Give up what is being asked."""
        asking = tuple(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, runtime: Runtime, changed: Callable[[], None]) -> None:
        seen = RuntimeSeen(runtime.package_id, runtime.server, await self._ask_server(runtime.server))
        before = self._answers.get(runtime)
        spared = before is not None and self._clock() < before.peers_due and seen.registers is None
        if before is not None and spared:
            seen = replace(seen, reaches=before.seen.reaches)
        elif seen.may_ask_peers:
            seen = replace(seen, reaches=await self._ask_peers(runtime))
        times = 1 if before is None or before.seen != seen else before.times + 1
        pauses, now = pauses_after(seen, times), self._clock()
        peers_due = before.peers_due if before is not None and spared else now + pauses.peers
        # Another package of the same chaincode is history.
        self._answers = {
            known: answer
            for known, answer in self._answers.items()
            if (known.channel, known.chaincode) != (runtime.channel, runtime.chaincode)
        }
        self._answers[runtime] = _Answer(seen, times, now + pauses.anybody, peers_due)
        if before is None or before.seen != seen:
            changed()

    async def _ask_peers(self, runtime: Runtime) -> tuple[PeerReach, ...]:
        asked = [peer for peer in self._peers.all if peer.name in runtime.peers]
        return tuple(await asyncio.gather(*(self._ask_peer(peer, runtime) for peer in asked)))

    async def _ask_peer(self, peer: OwnPeer, runtime: Runtime) -> PeerReach:
        async with self._room:
            started = self._clock()
            answer = await _question(peer, runtime)
            return replace(answer, seconds=self._clock() - started)

    async def _ask_server(self, server: ServerAddress | None) -> str | None:
        """What the server itself says it runs; None when it cannot be asked from here: that says nothing of peers."""
        if server is None or not server.asked:
            return None
        async with self._doors:
            try:
                return await fetch_registered_id(server.address, timeout_seconds=REGISTER_SECONDS)
            except FabricError:
                return None


async def _question(peer: OwnPeer, runtime: Runtime) -> PeerReach:
    endorser = Endorser(peer.connection, peer.client)
    try:
        await endorser.call(runtime.chaincode, QUESTION, channel=runtime.channel, timeout_seconds=ASK_SECONDS)
    except ChaincodeError as exc:
        return read_refusal(peer.name, exc.message)
    except DeadlineExceeded:
        return PeerReach(peer.name, Reached.SILENT)
    except FabricError:
        return PeerReach(peer.name, Reached.UNKNOWN)
    return PeerReach(peer.name, Reached.YES)
