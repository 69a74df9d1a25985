"""Validates a block for one peer: a code per transaction, and the state updates of the valid ones.

Order as in Fabric: each transaction by itself (structure, creator, identifier, ledger duplicate, endorsements), then
duplicates inside the block, then versions and phantoms in block order. Nothing is written here.
Source: core/committer/txvalidator/v20/validator.go.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_protos.common import common_pb2

from fabric_admin.policy import SignedData
from fabric_devnet.embedded.endorsement import EndorsementCheck
from fabric_devnet.embedded.mvcc import BlockState
from fabric_devnet.embedded.sharedchecks import shared_checks
from fabric_devnet.embedded.transaction import (
    Code,
    InvalidTransaction,
    parse_endorser_transaction,
    parse_message,
    transaction_id_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_devnet.embedded.statedb import Snapshot, TransactionUpdates
    from fabric_devnet.embedded.transaction import EndorserTransaction, SignedMessage

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A block's outcome: transaction ID ("" if none) and code by position, valid transactions with their updates."""

    transactions: tuple[tuple[str, int], ...]
    applied: tuple[tuple[EndorserTransaction, TransactionUpdates], ...]
    has_config: bool = False

    @property
    def filter(self) -> bytes:
        """The codes as block metadata TRANSACTIONS_FILTER carries them, one byte each."""
        return bytes(code for _, code in self.transactions)


@dataclass(slots=True)
class _Candidate:
    transaction_id: str
    code: int
    transaction: EndorserTransaction | None = None


@dataclass(frozen=True, slots=True)
class Validator:
    """What a block is judged by: channel config, the state before it, and the transactions already in the ledger."""

    config: ChannelConfig
    snapshot: Snapshot
    has_transaction: Callable[[str], bool]

    def validate(self, block: common_pb2.Block) -> Verdict:
        """Judge every transaction of the block."""
        endorsements = EndorsementCheck(self.config, self.snapshot)
        candidates = [self._judge(data, endorsements) for data in block.data.data]
        _mark_duplicates(candidates)
        state = BlockState(self.snapshot, block.header.number)
        applied = []
        for position, candidate in enumerate(candidates):
            if candidate.code != Code.VALID or candidate.transaction is None:
                continue
            candidate.code = state.check(candidate.transaction)
            if candidate.code == Code.VALID:
                applied.append((candidate.transaction, state.apply(position, candidate.transaction)))
        has_config = any(c.code == Code.VALID and c.transaction is None for c in candidates)
        return Verdict(tuple((c.transaction_id, c.code) for c in candidates), tuple(applied), has_config)

    def _judge(self, data: bytes, endorsements: EndorsementCheck) -> _Candidate:
        transaction_id = transaction_id_of(data)
        try:
            message = parse_message(data)
            self._check_creator(message)
            return _Candidate(transaction_id, Code.VALID, self._judge_content(message, endorsements))
        except InvalidTransaction as exc:
            logger.info("transaction %s on channel %s is invalid: %s", transaction_id, self.config.channel_id, exc)
            return _Candidate(transaction_id, exc.code)

    def _judge_content(self, message: SignedMessage, endorsements: EndorsementCheck) -> EndorserTransaction | None:
        kind = message.channel_header.type
        if kind == common_pb2.HeaderType.CONFIG:
            if not message.payload.data:
                raise InvalidTransaction(Code.INVALID_CONFIG_TRANSACTION, "nil config data")
            return None
        if kind != common_pb2.HeaderType.ENDORSER_TRANSACTION:
            raise InvalidTransaction(Code.UNSUPPORTED_TX_PAYLOAD, f"header type {kind} is not processed")
        transaction = parse_endorser_transaction(message)
        channel_id = message.channel_header.channel_id
        if channel_id != self.config.channel_id:
            raise InvalidTransaction(Code.TARGET_CHAIN_NOT_FOUND, f"channel {channel_id} is not this one")
        if self.has_transaction(transaction.transaction_id):
            raise InvalidTransaction(Code.DUPLICATE_TXID, "the ledger has it already")
        endorsements.check(transaction)
        return transaction

    def _check_creator(self, message: SignedMessage) -> None:
        envelope = message.envelope
        signed = SignedData(envelope.payload, message.signature_header.creator, envelope.signature)
        problem = shared_checks(self.config).creator(signed)
        if problem is not None:
            raise InvalidTransaction(Code.BAD_CREATOR_SIGNATURE, problem)


def _mark_duplicates(candidates: list[_Candidate]) -> None:
    """Flag later occurrences of an identifier among the transactions that are valid by themselves."""
    seen = set()
    for candidate in candidates:
        if candidate.code != Code.VALID or candidate.transaction is None:
            continue
        if candidate.transaction_id in seen:
            candidate.code = Code.DUPLICATE_TXID
        seen.add(candidate.transaction_id)
