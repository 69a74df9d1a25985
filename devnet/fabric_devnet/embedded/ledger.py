"""One channel's ledger on one peer: its blocks, its state and its channel config, advanced block by block.

Kept in memory for the life of the network, so that a stopped peer finds it again. Fetching blocks and answering clients
is done elsewhere.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2 as kvrwset
from fabric_protos.peer import transaction_pb2

from fabric_admin.channelconfig import ChannelConfig
from fabric_devnet.embedded.blockstore import BlockStore, CommitStatus
from fabric_devnet.embedded.channelconfigs import read_config
from fabric_devnet.embedded.collections import Definitions
from fabric_devnet.embedded.errors import BadBlock
from fabric_devnet.embedded.expiry import Expiry
from fabric_devnet.embedded.judgement import Before, judge, set_metadata
from fabric_devnet.embedded.simulator import Simulator
from fabric_devnet.embedded.snapshotfiles import LedgerSnapshot
from fabric_devnet.embedded.statedb import StateDB, Update, VersionedValue, key_hash
from fabric_devnet.embedded.transaction import transaction_id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric_protos.common import ledger_pb2

    from fabric_devnet.embedded.statedb import Snapshot, TransactionUpdates
    from fabric_devnet.embedded.transaction import CollectionAccess, EndorserTransaction
    from fabric_devnet.embedded.transient import TransientStore

# By position in the block: pb(KVRWSet) by namespace and collection.
PrivateSets = dict[int, dict[tuple[str, str], bytes]]

logger = logging.getLogger(__name__)


class Ledger:
    """A channel as one peer of one organization knows it.

    Lookups raise NotInLedger with Fabric's text. Blocks handed out are shared: never change them.
    """

    def __init__(self, config: ChannelConfig, msp_id: str, transient: TransientStore, blocks: BlockStore) -> None:
        """Begin empty; made by `create` and `restore`."""
        self._config = config
        self._config_block: int = blocks.height - 1 if blocks.height else 0
        self._msp_id = msp_id
        self._transient = transient
        self._store = blocks
        self._commit_hash = b""
        self._listeners: list[Callable[[common_pb2.Block], None]] = []
        self._expiry = Expiry()
        self._private: dict[int, PrivateSets] = {}
        self.state = StateDB()
        self._definitions = Definitions(self.snapshot())

    @classmethod
    def create(cls, genesis: common_pb2.Block, *, msp_id: str, transient: TransientStore) -> Self:
        """Start from a genesis block; raises BadBlock, or InvalidInput for a config that makes no sense."""
        if genesis.header.number:
            raise BadBlock(f"expected block number=0, received block number={genesis.header.number}")
        ledger = cls(read_config(genesis), msp_id, transient, BlockStore())
        ledger._add_genesis(genesis)
        return ledger

    @classmethod
    def restore(cls, snapshot: LedgerSnapshot, *, msp_id: str, transient: TransientStore) -> Self:
        """Start from a snapshot, without the blocks before it; raises InvalidInput for a config without sense."""
        config = ChannelConfig.from_config(snapshot.config, snapshot.channel_id)
        ledger = cls(config, msp_id, transient, BlockStore.after(snapshot))
        ledger._commit_hash = snapshot.commit_hash
        ledger.state.load(snapshot.public, snapshot.hashed, snapshot.last_block_number)
        ledger._expiry.resume(ledger.definitions(), snapshot.hashed)
        return ledger

    def export(self) -> LedgerSnapshot:
        """Return the whole state as of the last block."""
        public, hashed = self.state.dump()
        info = self.chain_info()
        return LedgerSnapshot(
            channel_id=self.channel_id,
            last_block_number=self.height - 1,
            last_block_hash=info.currentBlockHash,
            previous_block_hash=info.previousBlockHash,
            commit_hash=self._commit_hash,
            config=self._config.config,
            transaction_ids=self._store.transaction_ids,
            public=public,
            hashed=hashed,
        )

    @property
    def channel_id(self) -> str:
        """The channel's name."""
        return self._config.channel_id

    @property
    def height(self) -> int:
        """The number of committed blocks."""
        return self._store.height

    @property
    def config(self) -> ChannelConfig:
        """The channel's current config."""
        return self._config

    @property
    def config_block(self) -> common_pb2.Block:
        """The block the current config came in; raises NotInLedger when it came with a snapshot."""
        return self._store.block(self._config_block)

    @property
    def blocks(self) -> BlockStore:
        """The chain, for lookups and streams."""
        return self._store

    def chain_info(self) -> ledger_pb2.BlockchainInfo:
        """Describe the chain as `qscc` GetChainInfo does."""
        return self._store.chain_info()

    def block(self, number: int) -> common_pb2.Block:
        """Return a block by number (2**64-1: the last one)."""
        return self._store.block(number)

    def block_by_hash(self, header_hash: bytes) -> common_pb2.Block:
        """Return a block by its header hash."""
        return self._store.block_by_hash(header_hash)

    def block_by_tx_id(self, transaction_id: str) -> common_pb2.Block:
        """Return the block that holds a transaction first."""
        return self._store.block_by_tx_id(transaction_id)

    def transaction(self, transaction_id: str) -> transaction_pb2.ProcessedTransaction:
        """Return a transaction's envelope with its validation code."""
        envelope, code = self._store.transaction(transaction_id)
        return transaction_pb2.ProcessedTransaction(transactionEnvelope=envelope, validationCode=code)

    def has_transaction(self, transaction_id: str) -> bool:
        """Tell whether the transaction ID occurs in any block, valid or not."""
        return self._store.has_transaction(transaction_id)

    def commit_status(self, transaction_id: str) -> CommitStatus | None:
        """Return how a transaction ended, None while it is not committed."""
        return self._store.commit_status(transaction_id)

    async def wait_for_transaction(self, transaction_id: str) -> CommitStatus:
        """Return how a transaction ended, as soon as it is committed."""
        return await self._store.wait_for_transaction(transaction_id)

    async def wait_for_height(self, height: int) -> None:
        """Return once this many blocks are committed."""
        await self._store.wait_for_height(height)

    def snapshot(self) -> Snapshot:
        """Freeze the committed state as it is now."""
        return self.state.snapshot()

    def get_state(self, namespace: str, key: str) -> bytes | None:
        """Read a committed public value without any trace."""
        found = self.snapshot().get(namespace, key)
        return found.value if found else None

    def simulator(self, transaction_id: str) -> Simulator:
        """Begin a simulation on the committed state as it is now."""
        return Simulator(self.snapshot(), transaction_id)

    def private_sets(self, number: int) -> PrivateSets:
        """Return the private writes of a block that this peer holds, by position of the transaction and collection."""
        return self._private.get(number, {})

    def definitions(self) -> Definitions:
        """Read the committed chaincode definitions and collections as they are now."""
        if self._definitions.height != self.state.height:
            self._definitions = Definitions(self.snapshot())
        return self._definitions

    def on_commit(self, listener: Callable[[common_pb2.Block], None]) -> None:
        """Call `listener` with every block after it is committed."""
        self._listeners.append(listener)

    def append(self, block: common_pb2.Block) -> common_pb2.Block:
        """Validate and commit the next block and return it as stored, with codes and commit hash.

        Raises BadBlock when it does not continue the chain or its config cannot be applied; nothing is changed then.
        """
        judgement = judge(block, self._before())
        self._store.append(judgement.stored, judgement.verdict.transactions)
        definitions = self.definitions()
        # Shared with other peers, to each of which its own private values are added.
        applied = [(transaction, replace(update, private={})) for transaction, update in judgement.verdict.applied]
        for transaction, update in applied:
            self._add_private(definitions, transaction, update)
            self._expiry.schedule(definitions, update)
        self.state.apply(block.header.number, [update for _, update in applied])
        self.state.apply(block.header.number, [self._expiry.take(block.header.number, self.snapshot())])
        self._commit_hash = judgement.commit_hash
        if judgement.config is not None:
            self._config, self._config_block = judgement.config, block.header.number
        logger.debug("channel %s: committed block %d", self.channel_id, block.header.number)
        for listener in self._listeners:
            listener(judgement.stored)
        return judgement.stored

    def _before(self) -> Before:
        return Before(
            config=self._config,
            snapshot=self.snapshot(),
            has_transaction=self.has_transaction,
            last_hash=self._store.last_hash,
            commit_hash=self._commit_hash,
            whole=self._store.whole,
        )

    def _add_genesis(self, genesis: common_pb2.Block) -> None:
        stored = common_pb2.Block()
        stored.CopyFrom(genesis)
        set_metadata(stored, common_pb2.BlockMetadataIndex.TRANSACTIONS_FILTER, bytes(len(genesis.data.data)))
        self._store.append(stored, [(transaction_id_of(data), 0) for data in genesis.data.data])
        self.state.apply(0, ())

    def _add_private(
        self, definitions: Definitions, transaction: EndorserTransaction, update: TransactionUpdates
    ) -> None:
        for namespace in transaction.namespaces:
            for collection in namespace.collections:
                if self._msp_id in (definitions.members(namespace.name, collection.name) or ()):
                    self._add_collection(transaction.transaction_id, namespace.name, collection, update)

    def _add_collection(
        self, transaction_id: str, namespace: str, collection: CollectionAccess, update: TransactionUpdates
    ) -> None:
        content = self._transient.get(
            self.channel_id, transaction_id, namespace, collection.name, collection.private_digest
        )
        if content is None:
            return  # nobody gave it to us: the hashes are committed, the values stay unknown
        sets = self._private.setdefault(update.version.block_number, {})
        sets.setdefault(update.version.transaction_number, {})[namespace, collection.name] = content
        purged = {write.key_hash for write in collection.hashed.hashed_writes if write.is_purge}
        changes = update.private.setdefault((namespace, collection.name), [])
        for write in kvrwset.KVRWSet.FromString(content).writes:
            value = None if write.is_delete else VersionedValue(write.value, update.version)
            changes.append(Update(write.key, value, purge=key_hash(write.key) in purged))
