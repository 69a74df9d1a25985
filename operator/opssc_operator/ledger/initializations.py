"""The Init call of chaincodes that ask for one: whether it was made, by whom, and making it.

Owns what the own peers proved of it. Whose turn it is, is decided in ``domain.initialization``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from fabric_protos.common import common_pb2
from fabric_protos.peer import transaction_pb2

from fabric_admin.blocks import transactions
from fabric_admin.definition import Definition
from fabric_admin.errors import ChaincodeError, CommitFailed, FabricError, GatewayError
from opssc_chaincode.model.chaincode import Init
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.initialization import InitObserved
from opssc_operator.domain.runtime import START_UP_SECONDS
from opssc_operator.ledger.deployments import StepDone
from opssc_operator.ledger.peers import OwnPeers
from opssc_operator.ledger.translate import translated

INITIALIZED_KEY: Final = "\x00\U0010ffffinitialized"
"""Where a peer keeps the version a chaincode was initialized for (Fabric: core/chaincode/chaincode_support.go)."""
DONE_BEFORE: Final = "is already initialized but called as init"
PROBE_SECONDS: Final = 15.0
SUBMIT_SECONDS: Final = 60.0
CALL_AGAIN_SECONDS: Final = START_UP_SECONDS
"""How soon to call again after a call that took long to fail: peers may be waiting for a server."""
LONG_SECONDS: Final = 20.0
MADE_ELSEWHERE_SECONDS: Final = 5.0
"""How soon to call again what was refused as made by somebody else: own peers will show it."""

_Slot = tuple[str, str, int]
"""Channel, chaincode name and sequence."""


class Initializations:
    """Initialization of committed definitions, through the own peers."""

    def __init__(self, own_msp_id: str, peers: OwnPeers) -> None:
        self._own_msp_id = own_msp_id
        self._peers = peers
        self._proved: dict[_Slot, InitObserved] = {}
        self._needed_since: dict[_Slot, float] = {}
        self._not_before: dict[_Slot, float] = {}

    async def prove(self, channel: str, definition: Definition, reported: Sequence[tuple[str, str]]) -> bool:
        """Whether own peers showed that the Init call was made, which is never undone while the definition stands.

        ``reported`` are claims (MSP ID, transaction), which are checked until one holds. Raises TransientError.
        """
        slot = _slot(channel, definition)
        known = self._proved.get(slot)
        if reported and (known is None or not known.by):
            found = await self._prove(channel, definition, reported)
            if found is not None:
                self._remember(slot, found)
        return slot in self._proved

    def tell(self, channel: str, definition: Definition, shown: InitObserved) -> InitObserved:
        """What is known of the Init call; ``shown`` is what own peers say where nothing was proved before."""
        slot = _slot(channel, definition)
        return self._remember(slot, self._proved.get(slot, shown))

    def _remember(self, slot: _Slot, found: InitObserved) -> InitObserved:
        if found.initialized:
            self._proved[slot] = found
            self._needed_since.pop(slot, None)
            self._not_before.pop(slot, None)
            return found
        if found.initialized is None:
            return found
        now = asyncio.get_running_loop().time()
        waited = now - self._needed_since.setdefault(slot, now)
        pause = max(self._not_before.get(slot, now) - now, 0.0)
        return InitObserved(initialized=False, needed_seconds=waited, wait_seconds=pause)

    async def _prove(
        self, channel: str, definition: Definition, reported: Sequence[tuple[str, str]]
    ) -> InitObserved | None:
        """Check the reported calls on the own peer's ledger; the first that holds says who made it."""
        for msp_id, transaction_id in reported:
            with translated(f"reading the Init call of {definition.name} on channel {channel}"):
                system = (await self._peers.on(channel)).system
                try:
                    processed = await system.transaction(channel, transaction_id, timeout_seconds=PROBE_SECONDS)
                except ChaincodeError:
                    continue
            caller = initialized_by(processed, definition.name, definition.version)
            if caller == msp_id:
                return InitObserved(initialized=True, by=msp_id, transaction_id=transaction_id)
        return None

    async def call(self, channel: str, definition: Definition, init: Init, peer: str) -> StepDone:
        """Make the Init call; made before by somebody else is success. Raises TransientError or TerminalError."""
        gateway = self._peers.get(peer).patient_gateway
        arguments = [init.function.encode(), *(argument.encode() for argument in init.args)]
        doing = f"initializing {definition.name} on channel {channel}"
        started = asyncio.get_running_loop().time()
        with translated(doing, reason=Reason.INIT_FAILED):
            try:
                submitted = await gateway.submit(
                    channel, definition.name, arguments, is_init=True, timeout_seconds=SUBMIT_SECONDS
                )
            except FabricError as exc:
                if _was_made(exc):
                    self._pause(channel, definition, MADE_ELSEWHERE_SECONDS)
                    return StepDone()
                if asyncio.get_running_loop().time() - started >= LONG_SECONDS:
                    self._pause(channel, definition, CALL_AGAIN_SECONDS)
                raise
        self._proved[_slot(channel, definition)] = InitObserved(
            initialized=True, by=self._own_msp_id, transaction_id=submitted.transaction_id
        )
        return StepDone(submitted.transaction_id, submitted.block_number)

    def _pause(self, channel: str, definition: Definition, seconds: float) -> None:
        self._not_before[_slot(channel, definition)] = asyncio.get_running_loop().time() + seconds


def _was_made(exc: FabricError) -> bool:
    """Whether a call failed because somebody made it before, or in the same block: one key is read by both."""
    if isinstance(exc, CommitFailed):
        return exc.retryable
    return isinstance(exc, GatewayError | ChaincodeError) and DONE_BEFORE in str(exc)


def initialized_by(processed: transaction_pb2.ProcessedTransaction, chaincode: str, version: str) -> str | None:
    """MSP ID of whoever initialized this version by a transaction; None when it is invalid or anything else.

    Only the peer's own check writes the key: a chaincode may write it too, but then a peer believes it all the same.
    """
    block = common_pb2.Block()
    block.data.data.append(processed.transactionEnvelope.SerializeToString())
    # The place of the validation codes; a transaction alone has no block to stand in.
    block.metadata.metadata.extend([b"", b"", bytes([processed.validationCode & 0xFF])])
    for view in transactions(block):
        if view.valid and any(
            write.namespace == chaincode and write.key == INITIALIZED_KEY and write.value == version.encode()
            for write in view.writes
        ):
            return view.creator_msp_id
    return None


def _slot(channel: str, definition: Definition) -> _Slot:
    return channel, definition.name, definition.sequence
