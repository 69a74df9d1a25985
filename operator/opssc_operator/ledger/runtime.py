"""Asking own peers, beside all other work, whether they reach the servers of committed chaincodes.

Owns the questions under way and the latest answers. Nothing that is asked reaches the orderer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fabric_admin.endorser import Endorser
from fabric_admin.errors import ChaincodeError, FabricError
from opssc_operator.domain.runtime import LOOK_AGAIN_SECONDS, PeerReach, Reached, judge_reach, read_refusal
from opssc_operator.ledger.peers import OwnPeer, OwnPeers

QUESTION: Final = (b"org.hyperledger.fabric:GetMetadata",)
"""What every chaincode of the contract API answers without touching its state; others know no such function."""
ASK_SECONDS: Final = 15.0
AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Runtime:
    """A committed chaincode and the package that runs it on the named own peers."""

    channel: str
    chaincode: str
    package_id: str
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    reaches: tuple[PeerReach, ...]
    at: float


class RuntimeLooks:
    """The latest answers by chaincode."""

    def __init__(self, peers: OwnPeers) -> None:
        self._peers = peers
        self._answers: dict[Runtime, _Answer] = {}
        self._asking: dict[Runtime, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    def look(self, runtime: Runtime, changed: Callable[[], None]) -> tuple[PeerReach, ...]:
        """What is known now; asks when nothing is, or when a server was not reached for a while.

        ``changed`` is called when the answer is another one than what was known.
        """
        known = self._answers.get(runtime)
        if (known is None or self._is_worn(known)) and runtime not in self._asking:
            task = self._asking[runtime] = asyncio.create_task(
                self._ask_all(runtime, changed), name=f"asking for the server of {runtime.chaincode}"
            )
            task.add_done_callback(lambda _: self._asking.pop(runtime, None))
        return () if known is None else known.reaches

    def forget(self) -> None:
        """Ask anew, showing what was known until then."""
        self._answers = {runtime: _Answer(known.reaches, float("-inf")) for runtime, known in self._answers.items()}

    async def close(self) -> None:
        """Give up what is being asked."""
        asking = tuple(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    @staticmethod
    def _is_worn(known: _Answer) -> bool:
        verdict = judge_reach(known.reaches)
        patience = float("inf") if verdict is not None and verdict.holds else LOOK_AGAIN_SECONDS
        age = asyncio.get_running_loop().time() - known.at
        return age == float("inf") or age >= patience

    async def _ask_all(self, runtime: Runtime, changed: Callable[[], None]) -> None:
        asked = [peer for peer in self._peers.all if peer.name in runtime.peers]
        reaches = tuple(await asyncio.gather(*(self._ask(peer, runtime) for peer in asked)))
        before = self._answers.get(runtime)
        # Another package of the same chaincode is history.
        self._answers = {
            known: answer
            for known, answer in self._answers.items()
            if (known.channel, known.chaincode) != (runtime.channel, runtime.chaincode)
        }
        self._answers[runtime] = _Answer(reaches, asyncio.get_running_loop().time())
        if before is None or before.reaches != reaches:
            changed()

    async def _ask(self, peer: OwnPeer, runtime: Runtime) -> PeerReach:
        async with self._room:
            endorser = Endorser(peer.connection, peer.client)
            try:
                await endorser.call(runtime.chaincode, QUESTION, channel=runtime.channel, timeout_seconds=ASK_SECONDS)
            except ChaincodeError as exc:
                return read_refusal(peer.name, exc.message)
            except FabricError:
                return PeerReach(peer.name, Reached.UNKNOWN)
        return PeerReach(peer.name, Reached.YES)
