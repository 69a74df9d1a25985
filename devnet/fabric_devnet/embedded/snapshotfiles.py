"""A ledger's state in files, named as a Fabric peer names them; what is inside the data files is this network's own.

One JSON line per record with base64 values. Reading checks the recorded hash of every file.
Source for names and metadata: core/ledger/kvledger/snapshot.go.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fabric_protos.common import configtx_pb2
from google.protobuf.message import DecodeError

from fabric_devnet.embedded.errors import LedgerError
from fabric_devnet.embedded.statedb import Update, Version, VersionedValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

SIGNABLE: Final = "_snapshot_signable_metadata.json"
ADDITIONAL: Final = "_snapshot_additional_metadata.json"
_PUBLIC: Final = "public_state"
_HASHES: Final = "private_state_hashes"
_TRANSACTIONS: Final = "txids"
# Where a Fabric peer keeps the channel's config among its state.
_CONFIG_KEY: Final = "resourcesconfigtx.CHANNEL_CONFIG_KEY"


class BadSnapshot(LedgerError):
    """A directory that holds no snapshot, or a damaged one."""


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """A channel as of its block `last_block_number`: everything a peer needs to go on from there."""

    channel_id: str
    last_block_number: int
    last_block_hash: bytes
    previous_block_hash: bytes
    commit_hash: bytes
    config: configtx_pb2.Config
    transaction_ids: tuple[str, ...]
    public: Mapping[str, list[Update[str]]] = field(default_factory=dict)
    hashed: Mapping[tuple[str, str], list[Update[bytes]]] = field(default_factory=dict)

    def write(self, directory: Path) -> None:
        """Write all files into a new directory; raises OSError."""
        directory.mkdir(parents=True)
        public = [
            {"namespace": "", "key": _CONFIG_KEY, **_value(VersionedValue(_config_bytes(self.config), Version(0, 0)))}
        ]
        public += [
            {"namespace": namespace, "key": each.key, **_value(each.value)}
            for namespace, updates in sorted(self.public.items())
            for each in updates
        ]
        hashes = [
            {"namespace": namespace, "collection": collection, "key": _text(each.key), **_value(each.value)}
            for (namespace, collection), updates in sorted(self.hashed.items())
            for each in updates
        ]
        records: dict[str, list[Any]] = {_PUBLIC: public, _TRANSACTIONS: sorted(self.transaction_ids)}
        if hashes:
            records[_HASHES] = hashes
        digests: dict[str, str] = {}
        for name, content in records.items():
            digests.update(_write_records(directory, name, content))
        self._write_metadata(directory, digests)

    def _write_metadata(self, directory: Path, digests: Mapping[str, str]) -> None:
        signable = {
            "channel_name": self.channel_id,
            "last_block_number": self.last_block_number,
            "last_block_hash": self.last_block_hash.hex(),
            "previous_block_hash": self.previous_block_hash.hex(),
            "snapshot_files_raw_hashes": dict(sorted(digests.items())),
            "state_db_type": "goleveldb",
        }
        text = json.dumps(signable, indent=4)
        (directory / SIGNABLE).write_text(text, encoding="utf-8")
        additional = {
            "snapshot_hash": hashlib.sha256(text.encode()).hexdigest(),
            "last_block_commit_hash": self.commit_hash.hex(),
        }
        (directory / ADDITIONAL).write_text(json.dumps(additional, indent=4), encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> LedgerSnapshot:
        """Read a snapshot; raises BadSnapshot."""
        try:
            return cls._read(directory)
        except (OSError, ValueError, KeyError, TypeError, DecodeError) as exc:
            raise BadSnapshot(f"snapshot in {directory} cannot be read: {exc}") from exc

    @classmethod
    def _read(cls, directory: Path) -> LedgerSnapshot:
        text = (directory / SIGNABLE).read_bytes()
        additional = json.loads((directory / ADDITIONAL).read_bytes())
        if hashlib.sha256(text).hexdigest() != additional["snapshot_hash"]:
            raise BadSnapshot(f"snapshot in {directory}: the metadata do not have the recorded hash")
        signable = json.loads(text)
        digests = signable["snapshot_files_raw_hashes"]
        public: dict[str, list[Update[str]]] = {}
        config = b""
        for record in _read_records(directory, _PUBLIC, digests):
            if record["namespace"] == "" and record["key"] == _CONFIG_KEY:
                config = base64.b64decode(record["value"])
            else:
                public.setdefault(record["namespace"], []).append(Update(record["key"], _versioned(record)))
        hashed: dict[tuple[str, str], list[Update[bytes]]] = {}
        if f"{_HASHES}.data" in digests:
            for record in _read_records(directory, _HASHES, digests):
                place = hashed.setdefault((record["namespace"], record["collection"]), [])
                place.append(Update(base64.b64decode(record["key"]), _versioned(record)))
        return cls(
            channel_id=signable["channel_name"],
            last_block_number=int(signable["last_block_number"]),
            last_block_hash=bytes.fromhex(signable["last_block_hash"]),
            previous_block_hash=bytes.fromhex(signable["previous_block_hash"]),
            commit_hash=bytes.fromhex(additional["last_block_commit_hash"]),
            config=configtx_pb2.Config.FromString(config),
            transaction_ids=tuple(_read_records(directory, _TRANSACTIONS, digests)),
            public=public,
            hashed=hashed,
        )


def _write_records(directory: Path, name: str, records: list[Any]) -> Iterator[tuple[str, str]]:
    """Write a data file and its count; yields each file's name and SHA-256."""
    contents = {
        f"{name}.data": "".join(json.dumps(record) + "\n" for record in records),
        f"{name}.metadata": json.dumps({"records": len(records)}),
    }
    for file, content in contents.items():
        (directory / file).write_text(content, encoding="utf-8")
        yield file, hashlib.sha256(content.encode()).hexdigest()


def _read_records(directory: Path, name: str, digests: Mapping[str, str]) -> Iterable[Any]:
    content = (directory / f"{name}.data").read_bytes()
    if hashlib.sha256(content).hexdigest() != digests[f"{name}.data"]:
        raise BadSnapshot(f"snapshot in {directory}: {name}.data does not have the recorded hash")
    return [json.loads(line) for line in content.splitlines()]


def _value(value: VersionedValue | None) -> dict[str, Any]:
    if value is None:
        raise BadSnapshot("a deleted key is no part of a snapshot")
    return {
        "value": _text(value.value),
        "block": value.version.block_number,
        "transaction": value.version.transaction_number,
        "metadata": {name: _text(content) for name, content in sorted(value.metadata.items())},
    }


def _versioned(record: Mapping[str, Any]) -> VersionedValue:
    version = Version(int(record["block"]), int(record["transaction"]))
    metadata = {name: base64.b64decode(content) for name, content in record["metadata"].items()}
    return VersionedValue(base64.b64decode(record["value"]), version, metadata)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _config_bytes(config: configtx_pb2.Config) -> bytes:
    return config.SerializeToString(deterministic=True)
