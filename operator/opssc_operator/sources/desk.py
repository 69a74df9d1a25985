"""Where packages are asked for: at once what is known, and everything slow in tasks beside the reconciles."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from fabric_admin.package import package_id
from opssc_chaincode.model import ArchivePackage, GitPackage
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.content import BuiltPackage
from opssc_operator.domain.verdict import Verdict, no, unknown
from opssc_operator.sources import archive, git
from opssc_operator.sources.cache import PackageCache
from opssc_operator.sources.failures import FetchError, Unavailable, Unusable, WrongContent
from opssc_operator.sources.reach import Reach

logger = logging.getLogger(__name__)

AT_ONCE: Final = 2
"""Packages fetched at a time; of those from a repository one, which may take hundreds of MiB while it is built."""
FIRST_RETRY_SECONDS: Final = 5.0
LAST_RETRY_SECONDS: Final = 300.0

Source = ArchivePackage | GitPackage
Wake = Callable[[], None]
LoadReach = Callable[[], Awaitable[Reach | Verdict]]


@dataclass(slots=True)
class _Job:
    """One source being fetched, or waiting to be tried again."""

    verdict: Verdict
    wakes: dict[object, Wake] = field(default_factory=dict)
    failures: int = 0
    task: asyncio.Task[None] | None = None
    retry_at: float = 0.0


class FetchDesk:
    """Fetches each source once, whoever asks for it; trust is judged by who asks, before asking here."""

    def __init__(self, cache: PackageCache) -> None:
        self._cache = cache
        self._jobs: dict[str, _Job] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._build = asyncio.Lock()

    async def obtain(self, source: Source, load_reach: LoadReach, asker: object, wake: Wake) -> BuiltPackage | Verdict:
        """The package, or why there is none yet; ``wake`` is called once for each ``asker`` when that changes.

        ``load_reach`` is called when something has to be fetched.
        """
        key = key_of(source)
        job = self._jobs.get(key)
        if job is None:
            data = await asyncio.to_thread(self._cache.get, key)
            if data is not None:
                return BuiltPackage(data, package_id(source.label, data))
            job = self._jobs.setdefault(key, _Job(_pending("waiting for other downloads")))
        job.wakes[asker] = wake
        now = asyncio.get_running_loop().time()
        if job.task is None and now >= job.retry_at:
            job.task = asyncio.create_task(self._run(key, source, load_reach, job), name=f"fetching {source.label}")
            job.task.add_done_callback(lambda task: self._ended(job, task))
        return job.verdict

    async def close(self) -> None:
        """Stop everything that is under way; what was downloaded so far is kept."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: str, source: Source, load_reach: LoadReach, job: _Job) -> None:
        try:
            # A build that waits for another one takes no slot of a download.
            async with self._build if isinstance(source, GitPackage) else nullcontext(), self._slots:
                reach = await load_reach()
                if isinstance(reach, Verdict):
                    self._fail(job, reach)
                    return
                data = await self._fetch(key, source, reach, lambda text: self._report(job, text))
                await asyncio.to_thread(self._cache.put, key, data)
        except FetchError as exc:
            logger.info("a package could not be fetched", extra={"label": source.label, "error": exc.message})
            self._fail(job, _verdict(exc), final=isinstance(exc, Unusable))
        except OSError as exc:
            self._fail(job, _verdict(Unavailable(f"the cache cannot be written: {exc.strerror}")))
        else:
            logger.info("fetched a package", extra={"label": source.label})
            self._jobs.pop(key, None)
            self._wake(job)

    def _ended(self, job: _Job, task: asyncio.Task[None]) -> None:
        """Whatever ended a task, the job goes on; what nobody expected is logged whole and tried again."""
        job.task = None
        exc = None if task.cancelled() else task.exception()
        if exc is not None:
            logger.error("fetching a package failed in a way nobody expected", exc_info=exc)
            self._fail(job, _verdict(Unavailable(f"fetching failed with {type(exc).__name__}; see the operator's log")))

    async def _fetch(self, key: str, source: Source, reach: Reach, progress: Callable[[str], None]) -> bytes:
        if isinstance(source, ArchivePackage):
            return await archive.download(source, reach, self._cache.partial(key), progress)
        return await git.build(source, reach, progress)

    def _fail(self, job: _Job, verdict: Verdict, *, final: bool = False) -> None:
        """Say why, and let whoever asked ask again after a while; content that never changes is not fetched again."""
        loop = asyncio.get_running_loop()
        seconds = min(FIRST_RETRY_SECONDS * 2**job.failures, LAST_RETRY_SECONDS)
        job.failures += 1
        if final:
            job.retry_at = math.inf
            self._tell(job, verdict)
            return
        job.retry_at = loop.time() + seconds
        loop.call_later(seconds, self._wake, job)
        self._tell(job, verdict)

    def _report(self, job: _Job, text: str) -> None:
        """Tell of progress, but not over a failure: trying again is no news before it succeeds."""
        if job.failures == 0:
            self._tell(job, _pending(text))

    def _tell(self, job: _Job, verdict: Verdict) -> None:
        if verdict != job.verdict:
            job.verdict = verdict
            self._wake(job)

    def _wake(self, job: _Job) -> None:
        for wake in tuple(job.wakes.values()):
            wake()


def key_of(source: Source) -> str:
    """What stands for a source in the cache: hex SHA-256 of all that decides its bytes."""
    if isinstance(source, ArchivePackage):
        decides: object = {"label": source.label, "sha256": source.sha256, "urls": source.urls}
    else:
        decides = git.fingerprint(source)
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _pending(text: str) -> Verdict:
    return unknown(Reason.PACKAGE_PENDING, text)


def _verdict(exc: FetchError) -> Verdict:
    match exc:
        case WrongContent():
            return no(Reason.PACKAGE_ID_MISMATCH, exc.message)
        case Unusable():
            return no(Reason.PACKAGE_INVALID, exc.message)
        case _:
            return unknown(Reason.DOWNLOAD_FAILED, f"{exc.message}; it is tried again")
