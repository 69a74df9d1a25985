"""The port between a chaincode and its peer: one transaction's view of the ledger. No I/O here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

OK = 200
ERROR = 500


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key of the state with its committed value."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a range; `bookmark` is the key the next page starts at, empty after the last."""

    items: tuple[KeyValue, ...]
    bookmark: str


@dataclass(frozen=True, slots=True)
class KeyModification:
    """One committed write of a key; `timestamp` is what the writing client claimed."""

    transaction_id: str
    value: bytes
    timestamp: datetime
    is_delete: bool


@dataclass(frozen=True, slots=True)
class Response:
    """What a chaincode answers: peers endorse below status 400 and refuse from there on."""

    status: int = OK
    message: str = ""
    payload: bytes = b""


class Stub(Protocol):
    """One transaction as its chaincode sees it.

    There is no read-your-writes: a read gives the committed value. Requests of one transaction are made one after
    the other; transactions run side by side. Every method that asks the peer raises StateError when the peer
    refuses and StreamClosedError when the stream ends.
    """

    @property
    def transaction_id(self) -> str:
        """Hex transaction id."""

    @property
    def channel(self) -> str:
        """Name of the channel."""

    @property
    def timestamp(self) -> datetime:
        """Time that the client put into the transaction's header, in UTC."""

    @property
    def creator(self) -> bytes:
        """The client's SerializedIdentity, as bytes."""

    @property
    def args(self) -> Sequence[bytes]:
        """All arguments; by convention the first names the function."""

    @property
    def is_init(self) -> bool:
        """Whether this is the initialisation that the chaincode's definition requires."""

    async def get_state(self, key: str) -> bytes | None:
        """Read the committed value of a key; None when it has none."""

    async def put_state(self, key: str, value: bytes) -> None:
        """Write a non-empty value, visible once the transaction is committed."""

    async def delete_state(self, key: str) -> None:
        """Delete a key once the transaction is committed."""

    async def get_state_by_range(self, start: str, end: str) -> tuple[KeyValue, ...]:
        """Read all of a range, start inclusive, end exclusive; the range is part of what the transaction read."""

    async def get_state_page(self, start: str, end: str, *, page_size: int, bookmark: str = "") -> Page:
        """Read one page of a range; the peer refuses writes afterwards."""

    async def get_history(self, key: str) -> tuple[KeyModification, ...]:
        """Read the committed writes of a key, newest first."""

    def set_event(self, name: str, payload: bytes) -> None:
        """Set the transaction's one event; a later call replaces it."""


class Chaincode(Protocol):
    """What the server runs: one call per transaction."""

    async def invoke(self, stub: Stub) -> Response:
        """Carry out one transaction, initialisation included."""
