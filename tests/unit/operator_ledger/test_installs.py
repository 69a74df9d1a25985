"""Installs on one peer: one at a time, and none that a reconcile waits for without end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from fabric_admin.errors import ChaincodeError, FabricError, TransportError
from opssc_operator.api.conditions import Reason
from opssc_operator.errors import PartialError
from opssc_operator.ledger import installs as module
from opssc_operator.ledger.installs import Installs

if TYPE_CHECKING:
    from fabric_admin.lifecycle import Lifecycle

PACKAGE_ID = "basic:" + "00" * 32


class Peer:
    """Takes packages when it is told to, and says what it is told to."""

    def __init__(self) -> None:
        self.free, self.calls = asyncio.Event(), 0
        self.failure: FabricError | None = None

    async def install(self, package: bytes, *, timeout_seconds: float) -> str:
        del package, timeout_seconds
        self.calls += 1
        await self.free.wait()
        if self.failure is not None:
            raise self.failure
        return PACKAGE_ID


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def installs(peer: Peer) -> Installs:
    return Installs("peer0", cast("Lifecycle", peer))


def nobody() -> None:
    raise AssertionError("an install that was waited for wakes nobody")


async def test_an_install_that_takes_long_goes_on_by_itself_once_and_wakes_when_it_ends(
    peer: Peer, installs: Installs
) -> None:
    # Given
    woken = asyncio.Event()

    # When
    first = await installs.install(b"package", PACKAGE_ID, woken.set)
    second = await installs.install(b"package", PACKAGE_ID, woken.set)

    # Then
    assert (first, second, peer.calls, installs.running(PACKAGE_ID)) == (False, False, 1, True)
    peer.free.set()
    await asyncio.wait_for(woken.wait(), 10.0)
    assert not installs.running(PACKAGE_ID)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        pytest.param(ChaincodeError(500, "docker build is disabled"), Reason.EXTERNAL_BUILDER_MISSING, id="no-builder"),
        pytest.param(ChaincodeError(500, "no space left on device"), Reason.INSTALL_FAILED, id="disk"),
        pytest.param(TransportError("peer0:7051", "refused"), Reason.PEER_UNREACHABLE, id="gone"),
    ],
)
async def test_failures_in_a_row_are_counted_until_one_install_succeeds(
    peer: Peer, installs: Installs, failure: FabricError, reason: Reason
) -> None:
    # Given
    peer.free.set()
    peer.failure = failure

    # When
    for _ in range(2):
        with pytest.raises(PartialError, match="peer0") as failed:
            await installs.install(b"package", PACKAGE_ID, nobody)
        assert failed.value.reason == reason

    # Then
    setback = installs.setback(PACKAGE_ID)
    assert setback is not None
    assert (setback.reason, setback.attempts) == (reason, 2)
    assert setback.due > asyncio.get_running_loop().time()
    peer.failure = None
    assert await installs.install(b"package", PACKAGE_ID, nobody)
    assert installs.setback(PACKAGE_ID) is None


async def test_already_installed_is_success(peer: Peer, installs: Installs) -> None:
    peer.free.set()
    peer.failure = ChaincodeError(500, f"{module.ALREADY_INSTALLED} (package ID '{PACKAGE_ID}')")
    assert await installs.install(b"package", PACKAGE_ID, nobody)


async def test_closing_leaves_nothing_running(installs: Installs) -> None:
    await installs.install(b"package", PACKAGE_ID, nobody)
    await installs.close()
    assert not installs.running(PACKAGE_ID)
