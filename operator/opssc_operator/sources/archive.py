"""Downloading one archive: several URLs in turn, continued where a connection broke, checked by its hash."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fabric_admin.errors import PackageError
from fabric_admin.package import MAX_PACKAGE_BYTES, parse
from opssc_chaincode.model import ArchivePackage
from opssc_operator.api.trust import host_of
from opssc_operator.sources.failures import FetchError, Unavailable, Unusable, WrongContent
from opssc_operator.sources.http import Request, read_bounded, send
from opssc_operator.sources.reach import Reach

ATTEMPTS: Final = 3
"""Continuations of one broken download before the next URL is asked."""
_OK, _PARTIAL, _RANGE_REFUSED = 200, 206, 416
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-")


async def download(
    source: ArchivePackage,
    reach: Reach,
    partial: Path,
    progress: Callable[[str], None],
    *,
    limit: int = MAX_PACKAGE_BYTES,
) -> bytes:
    """The archive's bytes, whose hash and label are those asked for; raises FetchError.

    What came of each URL is kept between calls beside ``partial``, so that a download goes on after a restart, and
    never on what another server sent; what is wrong is dropped.
    """
    problems: list[FetchError] = []
    for url in (url for url in source.urls if reach.allows_archive(url)):
        progress(f"downloading from {host_of(url)}")
        try:
            own = partial.with_name(f"{partial.name}-{hashlib.sha256(url.encode()).hexdigest()[:16]}")
            await _download(url, reach, own, limit)
            return await asyncio.to_thread(_check, source, own, host_of(url))
        except FetchError as exc:
            problems.append(exc)
    raise _worst(problems)


def _worst(problems: list[FetchError]) -> FetchError:
    """What to say when no URL gave it: the same, whichever failed first."""
    for kind in (Unusable, WrongContent):
        for problem in problems:
            if isinstance(problem, kind):
                return problem
    return Unavailable("; ".join(problem.message for problem in problems) or "no URL may be asked")


async def _download(url: str, reach: Reach, partial: Path, limit: int) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        before = _size(partial)
        try:
            await _continue(url, reach, partial, limit)
        except Unavailable:
            if attempt == ATTEMPTS or _size(partial) <= before:
                raise
        else:
            return


async def _continue(url: str, reach: Reach, partial: Path, limit: int) -> None:
    start = _size(partial)
    headers = {"Range": f"bytes={start}-"} if start else {}
    async with send(Request(url, reach, reach.allows_archive, headers=headers)) as response:
        if response.status == _RANGE_REFUSED and start:
            # There is no more than what is here already.
            return
        if response.status not in {_OK, _PARTIAL}:
            raise Unavailable(f"{host_of(url)} answers {response.status} {response.reason}")
        begins = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        goes_on = response.status == _PARTIAL and begins is not None and int(begins[1]) == start
        if response.status == _PARTIAL and not goes_on:
            raise Unavailable(f"{host_of(url)} sends another part of the file than was asked for")
        try:
            with partial.open("ab" if goes_on else "wb") as file:
                async for chunk in read_bounded(response, limit - (start if goes_on else 0)):
                    file.write(chunk)
        except OSError as exc:
            if isinstance(exc, ConnectionError):
                raise
            raise Unavailable(f"the cache cannot be written: {exc.strerror}") from exc


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.is_file() else 0


def _check(source: ArchivePackage, partial: Path, host: str) -> bytes:
    data = partial.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        partial.unlink()
        raise WrongContent(f"{host} serves a file with SHA-256 {found}, not the one that was asked for")
    try:
        parsed = parse(data, unambiguous=True)
    except PackageError as exc:
        raise Unusable(f"the archive is no chaincode package: {exc}") from exc
    if parsed.label != source.label:
        raise WrongContent(f"the label inside the archive is {parsed.label}, not {source.label}; disagree")
    return data
