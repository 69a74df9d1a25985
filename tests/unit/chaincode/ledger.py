"""A world state with Fabric's read sets and MVCC for the contract's tests. It models the peer, not the contract.

Rules (fabric: core/ledger/kvledger/txmgmt): a read gives the committed value, never the transaction's own write; a
transaction is invalid when a key it read, or a key of a range it read, was written since. No gRPC, nothing suspends.
"""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar

from opssc_chaincode.contract import OpsscChaincode
from opssc_chaincode.model import Facts, FactsPage
from opssc_chaincode.shim import KeyModification, KeyValue, Page, Response

_T = TypeVar("_T")
_Version = tuple[int, int]
_State = Mapping[str, tuple[bytes, _Version]]


def finish(call: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that never waits for anything."""
    try:
        call.send(None)
    except StopIteration as done:
        result: _T = done.value
        return result
    raise AssertionError("the contract waited for something else than the ledger")


@dataclass
class Simulation:
    """One transaction: a `Stub` before, its read and write set after."""

    state: _State
    transaction_id: str
    creator: bytes
    args: Sequence[bytes]
    timestamp: datetime
    channel: str = "ops-channel"
    is_init: bool = False
    response: Response = field(default_factory=lambda: Response(500, "did not run"))
    reads: dict[str, _Version | None] = field(default_factory=dict)
    ranges: dict[tuple[str, str], tuple[tuple[str, _Version], ...]] = field(default_factory=dict)
    writes: dict[str, bytes | None] = field(default_factory=dict)
    events: list[tuple[str, bytes]] = field(default_factory=list)
    paged: bool = False

    async def get_state(self, key: str) -> bytes | None:
        value, version = self.state.get(key, (None, None))
        self.reads[key] = version
        return value

    async def put_state(self, key: str, value: bytes) -> None:
        assert not self.paged, "Fabric refuses writes after a paged query"
        self.writes[key] = value

    async def delete_state(self, key: str) -> None:
        self.writes[key] = None

    async def get_state_by_range(self, start: str, end: str) -> tuple[KeyValue, ...]:
        self.ranges[start, end] = _versions(self.state, start, end)
        return tuple(KeyValue(key, self.state[key][0]) for key, _ in self.ranges[start, end])

    async def get_state_page(self, start: str, end: str, *, page_size: int, bookmark: str = "") -> Page:
        self.paged = True
        found = _versions(self.state, max(start, bookmark), end)
        items = tuple(KeyValue(key, self.state[key][0]) for key, _ in found[:page_size])
        return Page(items, found[page_size][0] if len(found) > page_size else "")

    async def get_history(self, key: str) -> tuple[KeyModification, ...]:
        raise AssertionError(f"the contract has no need for the history of {key}")

    def set_event(self, name: str, payload: bytes) -> None:
        self.events.append((name, payload))

    @property
    def ok(self) -> bool:
        """Whether a peer endorses it."""
        return self.response.status < 400

    @property
    def code(self) -> str:
        """The refusal's code, empty when endorsed."""
        return "" if self.ok else self.response.message.partition(":")[0]


class Ledger:
    """A channel's state under the contract; `now` is every endorser's clock."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.state: dict[str, tuple[bytes, _Version]] = {}
        self.height = 1
        self._count = 0
        self._contract = OpsscChaincode(lambda: self.now)

    def simulate(self, creator: bytes, *args: str | bytes, at: datetime | None = None) -> Simulation:
        """Endorse a transaction on the committed state, whose client's clock says `at`."""
        self._count += 1
        transaction = Simulation(
            state=dict(self.state),
            transaction_id=sha256(str(self._count).encode()).hexdigest(),
            creator=creator,
            args=[arg.encode() if isinstance(arg, str) else arg for arg in args],
            timestamp=at or self.now,
        )
        transaction.response = finish(self._contract.invoke(transaction))
        return transaction

    def commit(self, *block: Simulation) -> list[bool]:
        """Commit a block of endorsed transactions in order, and say which were valid."""
        verdicts = [self._apply(position, transaction) for position, transaction in enumerate(block)]
        self.height += 1
        return verdicts

    def submit(self, creator: bytes, *args: str | bytes, at: datetime | None = None) -> Simulation:
        """Endorse, and commit in a block of its own if endorsed."""
        transaction = self.simulate(creator, *args, at=at)
        if transaction.ok:
            assert self.commit(transaction) == [True]
        return transaction

    def facts(self, creator: str, proposal_id: str) -> Facts:
        """Read a proposal as any client would."""
        answer = self.simulate(b"", "GetProposal", creator, proposal_id)
        assert answer.ok, answer.response.message
        return Facts.parse(answer.response.payload)

    def page(self, wanted: str = "{}", size: int = 100, bookmark: str = "") -> FactsPage:
        """Read a page of proposals as any client would."""
        answer = self.simulate(b"", "ListProposals", wanted, str(size), bookmark)
        assert answer.ok, answer.response.message
        return FactsPage.from_state(answer.response.payload)

    def _apply(self, position: int, transaction: Simulation) -> bool:
        assert transaction.ok, "a client sends no refused transaction"
        current = {key: self.state.get(key, (None, None))[1] for key in transaction.reads}
        ranges = {(start, end): _versions(self.state, start, end) for start, end in transaction.ranges}
        if current != transaction.reads or ranges != transaction.ranges:
            return False
        for key, value in transaction.writes.items():
            self.state.pop(key, None)
            if value is not None:
                self.state[key] = (value, (self.height, position))
        return True


def _versions(state: _State, start: str, end: str) -> tuple[tuple[str, _Version], ...]:
    return tuple((key, state[key][1]) for key in sorted(state) if start <= key < end)
