"""One chaincode call in progress: its simulation, its open queries, and what its collections allow.

Source: fabric core/chaincode/transaction_context.go, query_response_generator.go, handler.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_shim_pb2

from fabric_devnet.embedded.collections import Definitions, implicit_owner
from fabric_devnet.embedded.errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fabric_devnet.embedded.proposals import UnpackedProposal
    from fabric_devnet.embedded.simulator import Simulator

BATCH: Final = 100
TOTAL_QUERY_LIMIT: Final = 100_000


@dataclass(slots=True)
class OpenQuery:
    """An open iterator over serialized results; at most `remaining` more are given out."""

    results: Iterator[bytes]
    remaining: int = TOTAL_QUERY_LIMIT
    pending: list[bytes] = field(default_factory=list)

    def next_batch(self) -> tuple[list[bytes], bool]:
        """Take up to one batch, and tell whether there is more; one result is read ahead, as Fabric does."""
        wanted = BATCH + 1 - len(self.pending)
        taken = list(islice(self.results, min(wanted, self.remaining)))
        self.remaining -= len(taken)
        batch = self.pending + taken
        if len(batch) > BATCH:
            self.pending = batch[BATCH:]
            return batch[:BATCH], True
        self.pending = []
        return batch, False


@dataclass(slots=True)
class TransactionContext:
    """A call of `chaincode` (the namespace it writes) within one transaction."""

    channel_id: str
    transaction_id: str
    chaincode: str
    proposal: UnpackedProposal
    simulator: Simulator
    is_init: bool = False
    busy: bool = False
    queries: dict[str, OpenQuery] = field(default_factory=dict)
    _opened: int = 0

    def open_query(self, results: Iterator[bytes]) -> chaincode_shim_pb2.QueryResponse:
        """Keep an iterator open and give out its first batch."""
        self._opened += 1
        query_id = f"{self.transaction_id}-{self._opened}"
        self.queries[query_id] = OpenQuery(results)
        return self.continue_query(query_id)

    def continue_query(self, query_id: str) -> chaincode_shim_pb2.QueryResponse:
        """Give out the next batch of an open query; raises SimulationError when it is not open."""
        query = self.queries.get(query_id)
        if query is None:
            raise SimulationError("query iterator not found")
        batch, more = query.next_batch()
        if not more:
            del self.queries[query_id]
        results = [chaincode_shim_pb2.QueryResultBytes(resultBytes=result) for result in batch]
        return chaincode_shim_pb2.QueryResponse(results=results, has_more=more, id=query_id)

    def close_query(self, query_id: str) -> chaincode_shim_pb2.QueryResponse:
        """Forget an open query."""
        self.queries.pop(query_id, None)
        return chaincode_shim_pb2.QueryResponse(has_more=False, id=query_id)

    def check_read(self, collection: str) -> None:
        """Refuse reading a collection that does not exist or is for its members only; raises SimulationError."""
        self._check_access(collection, "member_only_read", "read")

    def check_write(self, collection: str) -> None:
        """Refuse writing a collection that does not exist or is for its members only; raises SimulationError."""
        self._check_access(collection, "member_only_write", "write")

    def check_exists(self, collection: str) -> None:
        """Refuse a collection that does not exist; raises SimulationError."""
        if self.is_init:
            raise SimulationError("private data APIs are not allowed in chaincode Init()")
        if Definitions(self.simulator.snapshot).members(self.chaincode, collection) is None:
            raise SimulationError(f"collection {self.channel_id}/{self.chaincode}/{collection} could not be found")

    def _check_access(self, collection: str, flag: str, verb: str) -> None:
        self.check_exists(collection)
        definitions = Definitions(self.simulator.snapshot)
        config = None if implicit_owner(collection) else definitions.collection(self.chaincode, collection)
        if config is None or not getattr(config, flag):
            return
        creator = identities_pb2.SerializedIdentity.FromString(self.proposal.creator).mspid
        if creator not in (definitions.members(self.chaincode, collection) or ()):
            raise SimulationError(
                f"tx creator does not have {verb} access permission on privatedata in "
                f"chaincodeName:{self.chaincode} collectionName: {collection}"
            )
