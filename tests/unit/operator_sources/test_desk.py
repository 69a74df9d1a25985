"""What the desk does beside fetching: nothing ends unnoticed, and one build at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from opssc_chaincode.model import ArchivePackage, GitPackage
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.verdict import Verdict
from opssc_operator.sources.cache import PackageCache
from opssc_operator.sources.desk import FetchDesk
from opssc_operator.sources.failures import FetchError, Unavailable, Unusable, WrongContent

if TYPE_CHECKING:
    from pathlib import Path

    from opssc_operator.sources.reach import Reach

ARCHIVE = ArchivePackage(label="a", sha256="0" * 64, urls=("https://files.example.com/a",))
DEADLINE = 10.0


def commit(digit: str) -> GitPackage:
    return GitPackage(label=digit, repository="https://git.example.com/a", commit=digit * 40, language="node")


async def test_a_fetch_that_ends_as_nobody_expected_is_told_and_tried_again(tmp_path: Path) -> None:
    # Given
    desk, woken = FetchDesk(PackageCache(tmp_path)), asyncio.Event()

    async def load() -> Reach:
        raise LookupError("a defect")

    # When
    first = await desk.obtain(ARCHIVE, load, "somebody", woken.set)
    async with asyncio.timeout(DEADLINE):
        await woken.wait()
    told = await desk.obtain(ARCHIVE, load, "somebody", woken.set)

    # Then
    assert isinstance(first, Verdict)
    assert first.reason is Reason.PACKAGE_PENDING
    assert isinstance(told, Verdict)
    assert (told.status, told.reason) == ("Unknown", Reason.DOWNLOAD_FAILED)
    assert "LookupError" in told.message
    await desk.close()


@pytest.mark.parametrize(
    ("failure", "status", "reason"),
    [
        pytest.param(Unavailable("no server has it"), "Unknown", Reason.DOWNLOAD_FAILED, id="not-now"),
        pytest.param(WrongContent("another hash"), "False", Reason.PACKAGE_ID_MISMATCH, id="other-bytes"),
        pytest.param(Unusable("no package"), "False", Reason.PACKAGE_INVALID, id="no-package"),
    ],
)
async def test_why_there_is_no_package_is_told_under_a_reason_of_its_own(
    tmp_path: Path, failure: FetchError, status: str, reason: Reason
) -> None:
    # Given
    desk, woken = FetchDesk(PackageCache(tmp_path)), asyncio.Event()

    async def load() -> Reach:
        raise failure

    # When
    await desk.obtain(ARCHIVE, load, "somebody", woken.set)
    async with asyncio.timeout(DEADLINE):
        await woken.wait()
    told = await desk.obtain(ARCHIVE, load, "somebody", woken.set)
    await desk.close()

    # Then
    assert isinstance(told, Verdict)
    assert (told.status, told.reason) == (status, reason)
    assert failure.message in told.message


async def test_one_commit_is_built_at_a_time_and_downloads_go_on_beside_it(tmp_path: Path) -> None:
    # Given
    desk, started, download = FetchDesk(PackageCache(tmp_path)), list[str](), asyncio.Event()
    for_ever = asyncio.Event()

    async def ask(source: ArchivePackage | GitPackage) -> None:
        async def load() -> Reach:
            started.append(source.label)
            if source is ARCHIVE:
                download.set()
            await for_ever.wait()
            raise AssertionError

        await desk.obtain(source, load, "somebody", lambda: None)

    # When
    for source in (commit("1"), commit("2"), ARCHIVE):
        await ask(source)
    async with asyncio.timeout(DEADLINE):
        await download.wait()
    await desk.close()

    # Then
    assert started == ["1", "a"]
