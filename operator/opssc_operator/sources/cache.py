"""Fetched packages on disk, by what decides their bytes, checked when they are read; the oldest go first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

MAX_CACHE_BYTES: Final = 1024 * 1024 * 1024
_SUFFIX: Final = ".package"
_PARTIAL: Final = ".partial"


class PackageCache:
    """A folder of packages; what somebody changed there is forgotten, never used. All methods block briefly."""

    def __init__(self, folder: Path, *, limit: int = MAX_CACHE_BYTES) -> None:
        self._folder = folder
        self._limit = limit

    def get(self, key: str) -> bytes | None:
        """The package kept under a key (hex), or None."""
        for path in sorted(self._folder.glob(f"{key}-*{_SUFFIX}")):
            with contextlib.suppress(FileNotFoundError):
                data = path.read_bytes()
                if path.name == _name(key, data):
                    os.utime(path)
                    return data
                path.unlink()
        return None

    def put(self, key: str, data: bytes) -> None:
        """Keep a package, and drop what was used longest ago when there is too much."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(self._folder / _name(key, data))
        for partial in self._folder.glob(f"{key}{_PARTIAL}*"):
            partial.unlink(missing_ok=True)
        self._trim()

    def partial(self, key: str) -> Path:
        """Beginning of the names under which downloads of a key may be kept until one is whole."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._trim()
        return self._folder / f"{key}{_PARTIAL}"

    def _trim(self) -> None:
        found = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found)[:-1]:
            if total <= self._limit:
                return
            path.unlink(missing_ok=True)
            total -= size


def _name(key: str, data: bytes) -> str:
    return f"{key}-{hashlib.sha256(data).hexdigest()}{_SUFFIX}"
