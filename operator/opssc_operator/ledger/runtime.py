"""Asking chaincode servers, and own peers beside all other work, whether committed chaincodes run.

Owns the questions under way and the latest answers. Nothing that is asked reaches the orderer.
"""

from __future__ import annotations

import asyncio
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
    pause_after,
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
    """What was seen so many times, and from when on (loop seconds) it is asked again: by itself, and by a resync."""

    seen: RuntimeSeen
    times: int
    due: float
    due_by_resync: float


class RuntimeLooks:
    """The latest answers by chaincode."""

    def __init__(self, peers: OwnPeers) -> None:
        self._peers = peers
        self._answers: dict[Runtime, _Answer] = {}
        self._asking: dict[Runtime, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    def look(self, runtime: Runtime, changed: Callable[[], None]) -> RuntimeSeen | None:
        """What is known now; asks when nothing is, or when a server was not reached for a while.

        ``changed`` is called when the answer is another one than what was known.
        """
        known, now = self._answers.get(runtime), asyncio.get_running_loop().time()
        if (known is None or now >= known.due) and runtime not in self._asking:
            task = self._asking[runtime] = asyncio.create_task(
                self._ask(runtime, changed), name=f"asking for the server of {runtime.chaincode}"
            )
            task.add_done_callback(lambda _: self._asking.pop(runtime, None))
        if known is None:
            return None
        return replace(known.seen, again_seconds=max(known.due - now, LOOK_AGAIN_SECONDS))

    def forget(self) -> None:
        """Ask anew where that holds nobody up, showing what was known until then."""
        self._answers = {
            runtime: replace(known, due=min(known.due, known.due_by_resync)) for runtime, known in self._answers.items()
        }

    async def close(self) -> None:
        """Give up what is being asked."""
        asking = tuple(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, runtime: Runtime, changed: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        seen = RuntimeSeen(runtime.package_id, runtime.server, await _ask_server(runtime.server))
        started = loop.time()
        if seen.may_ask_peers:
            seen = replace(seen, reaches=await self._ask_peers(runtime))
        before = self._answers.get(runtime)
        times = 1 if before is None or before.seen != seen else before.times + 1
        pause = pause_after(seen, loop.time() - started, times)
        due_by_resync = loop.time() + (0.0 if pause == float("inf") else pause)
        # Another package of the same chaincode is history.
        self._answers = {
            known: answer
            for known, answer in self._answers.items()
            if (known.channel, known.chaincode) != (runtime.channel, runtime.chaincode)
        }
        self._answers[runtime] = _Answer(seen, times, loop.time() + pause, due_by_resync)
        if before is None or before.seen != seen:
            changed()

    async def _ask_peers(self, runtime: Runtime) -> tuple[PeerReach, ...]:
        asked = [peer for peer in self._peers.all if peer.name in runtime.peers]
        return tuple(await asyncio.gather(*(self._ask_peer(peer, runtime) for peer in asked)))

    async def _ask_peer(self, peer: OwnPeer, runtime: Runtime) -> PeerReach:
        async with self._room:
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


async def _ask_server(server: ServerAddress | None) -> str | None:
    """What the server itself says it runs; None when it cannot be asked from here, which says nothing of the peers."""
    if server is None or not server.asked:
        return None
    try:
        return await fetch_registered_id(server.address, timeout_seconds=REGISTER_SECONDS)
    except FabricError:
        return None
