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
from fabric_admin.endorser import Endorser
from fabric_admin.errors import ChaincodeError, CommitFailed, FabricError, GatewayError
from opssc_chaincode.model.chaincode import Init
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.initialization import InitObserved
from opssc_operator.ledger.deployments import StepDone
from opssc_operator.ledger.peers import OwnPeers
from opssc_operator.ledger.translate import explain, translated

INITIALIZED_KEY: Final = "\x00\U0010ffffinitialized"
"""Where a peer keeps the version a chaincode was initialized for (Fabric: core/chaincode/chaincode_support.go)."""
HARMLESS_CALL: Final = (b"org.hyperledger.fabric:GetMetadata",)
"""Read-only in every contract of Fabric's contract API, unknown to other chaincodes; nothing of it is submitted."""
NEEDS_INIT: Final = "has not been initialized for this version, must call as init first"
DONE_BEFORE: Final = "is already initialized but called as init"
BEFORE_INVOCATION: Final = ("make sure the chaincode ", "invalid invocation: ", "channel '")
"""How errors begin, or what they hold, that a peer makes before it knows whether Init is due."""
PROBE_SECONDS: Final = 15.0
SUBMIT_SECONDS: Final = 60.0

_Slot = tuple[str, str, int]
"""Channel, chaincode name and sequence."""


class Initializations:
    """Initialization of committed definitions, through the own peers."""

    def __init__(self, own_msp_id: str, peers: OwnPeers) -> None:
        self._own_msp_id = own_msp_id
        self._peers = peers
        self._proved: dict[_Slot, InitObserved] = {}
        self._needed_since: dict[_Slot, float] = {}

    async def observe(
        self, channel: str, definition: Definition, reported: Sequence[tuple[str, str]], holders: Sequence[str]
    ) -> InitObserved:
        """What the own peers prove; ``reported`` are claims (MSP ID, transaction), ``holders`` peers with the package.

        Initialization is never undone while the definition stands, so it is asked for until it is proved.
        """
        slot = _slot(channel, definition)
        known = self._proved.get(slot)
        if known is not None and (known.by or not reported):
            return known
        found = await self._prove(channel, definition, reported)
        if found is None:
            found = known or await self._ask(channel, definition, holders)
        return self._remember(slot, found)

    def _remember(self, slot: _Slot, found: InitObserved) -> InitObserved:
        if found.initialized:
            self._proved[slot] = found
            self._needed_since.pop(slot, None)
            return found
        if found.initialized is None:
            return found
        now = asyncio.get_running_loop().time()
        waited = now - self._needed_since.setdefault(slot, now)
        return InitObserved(initialized=False, needed_seconds=waited)

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

    async def _ask(self, channel: str, definition: Definition, holders: Sequence[str]) -> InitObserved:
        """Let an own peer say it: only the peer itself refuses a call because Init is due."""
        if not holders:
            return InitObserved(None, problem=f"no own peer runs {definition.name}, so none can tell of its Init call")
        peer = self._peers.get(holders[0])
        try:
            await Endorser(peer.connection, peer.client).call(
                definition.name, HARMLESS_CALL, channel=channel, timeout_seconds=PROBE_SECONDS
            )
        except ChaincodeError as exc:
            return judge_refusal(exc.message)
        except FabricError as exc:
            return InitObserved(None, problem=f"peer {peer.name}: {explain(exc)}")
        return InitObserved(initialized=True)

    async def call(self, channel: str, definition: Definition, init: Init, peer: str) -> StepDone:
        """Make the Init call; made before by somebody else is success. Raises TransientError or TerminalError."""
        gateway = self._peers.get(peer).admin_gateway
        arguments = [init.function.encode(), *(argument.encode() for argument in init.args)]
        doing = f"initializing {definition.name} on channel {channel}"
        with translated(doing, reason=Reason.INIT_FAILED):
            try:
                submitted = await gateway.submit(
                    channel, definition.name, arguments, is_init=True, timeout_seconds=SUBMIT_SECONDS
                )
            except (GatewayError, ChaincodeError) as exc:
                if DONE_BEFORE in str(exc):
                    return StepDone()
                raise
            except CommitFailed as exc:
                # Two calls in one block: the key that both read lets only one of them through.
                if exc.retryable:
                    return StepDone()
                raise
        self._proved[_slot(channel, definition)] = InitObserved(
            initialized=True, by=self._own_msp_id, transaction_id=submitted.transaction_id
        )
        return StepDone(submitted.transaction_id, submitted.block_number)


def judge_refusal(message: str) -> InitObserved:
    """What a peer's refusal of a call says: whoever reached the chaincode passed the peer's check for Init."""
    if NEEDS_INIT in message and "invalid invocation: " in message:
        return InitObserved(initialized=False)
    if any(text in message for text in BEFORE_INVOCATION):
        return InitObserved(None, problem=" ".join(message.split())[:200])
    return InitObserved(initialized=True)


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
