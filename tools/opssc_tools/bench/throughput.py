"""How many transactions a second a network endorses and commits, and which process is busy meanwhile."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from fabric_admin.errors import CommitFailed, FabricError
from fabric_admin.lifecycle import Definition
from fabric_admin.package import build_ccaas
from fabric_devnet.ports import free_ports
from fabric_devnet.together import together
from opssc_tools.bench.devnet import CHANNEL, Devnet
from opssc_tools.bench.figures import quantile
from opssc_tools.bench.processtree import usage_of
from opssc_tools.bench.receipts import Receipts, follow
from opssc_tools.environment.process import PythonProgram
from opssc_tools.errors import ConditionTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from fabric_devnet.spec import BackendName

CHAINCODE: Final = "asset"
SEEN_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_CORE: Final = 0.9
"""From this share of a core on, a process is what limits the throughput."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a network: so many transactions, so many of them under way at any moment."""

    organizations: int
    backend: BackendName
    transactions: int
    warm_up: int
    concurrency: int
    batch_timeout: str


@dataclass(frozen=True, slots=True)
class Share:
    """Processor seconds of one part during the measurement."""

    name: str
    processor_seconds: float


@dataclass(frozen=True, slots=True)
class ThroughputFigures:
    """One measurement; `latencies` are seconds from proposing to committed, ascending."""

    load: Load
    seconds: float
    committed: int
    conflicts: int
    blocks: int
    shares: tuple[Share, ...]
    network_bytes: int
    latencies: tuple[float, ...]
    load_average: float

    @property
    def per_second(self) -> float:
        """Transactions committed as VALID, by the second."""
        return self.committed / self.seconds

    @property
    def network_milliseconds(self) -> float:
        """Processor milliseconds the whole network used for each committed transaction."""
        return self.shares[0].processor_seconds / self.committed * 1000

    @property
    def limit(self) -> str:
        """What kept it from being more, in words."""
        busiest = max(self.shares, key=lambda share: share.processor_seconds)
        share = busiest.processor_seconds / self.seconds
        total = sum(each.processor_seconds for each in self.shares) / self.seconds
        processors = os.cpu_count() or 1
        if share >= _CORE:
            return f"{busiest.name}: {share:.0%} of a core"
        if total >= _CORE * processors:
            return f"all {processors} cores, by these processes together"
        if self.load_average > processors + 1:
            return f"other programs on this machine (load average {self.load_average:.0f})"
        return "the number of transactions under way at a time"

    def to_json(self) -> dict[str, Any]:
        """All of it, with the figures people read first."""
        return {
            **asdict(self.load),
            "transactionsPerSecond": self.per_second,
            "networkMillisecondsPerTransaction": self.network_milliseconds,
            "seconds": self.seconds,
            "committed": self.committed,
            "conflicts": self.conflicts,
            "blocks": self.blocks,
            "latencySeconds": {"p50": quantile(self.latencies, 0.5), "p99": quantile(self.latencies, 0.99)},
            "networkBytes": self.network_bytes,
            "processorSeconds": {share.name: share.processor_seconds for share in self.shares},
            "loadAverage": self.load_average,
            "limit": self.limit,
        }


async def measure_throughput(directory: Path, load: Load, announce: Callable[[str], None]) -> ThroughputFigures:
    """Start a network, deploy the asset chaincode by everybody, and put the load on it.

    Raises ToolsError when a part does not start, FabricError when a transaction is refused.
    """
    async with Devnet.start(directory, load.organizations, load.backend, load.batch_timeout) as devnet:
        announce(f"a network of {load.organizations} organizations runs ({load.backend})")
        async with _asset(devnet, directory) as servers:
            announce("the asset chaincode is committed; each organization runs a server of its own")
            async with follow(devnet.organizations, CHANNEL) as receipts:
                await _submit_all(devnet, receipts, "warm", load.warm_up, load.concurrency)
                announce(f"{load.warm_up} transactions to warm up; {load.transactions} to measure")
                return await _measure(devnet, receipts, servers, load)


async def _measure(devnet: Devnet, receipts: Receipts, servers: list[PythonProgram], load: Load) -> ThroughputFigures:
    system = devnet.organizations[0].system
    height = (await system.chain_info(CHANNEL)).height
    before = _shares(devnet, servers)
    started = time.monotonic()
    latencies, conflicts = await _submit_all(devnet, receipts, "run", load.transactions, load.concurrency)
    seconds = time.monotonic() - started
    after = _shares(devnet, servers)
    return ThroughputFigures(
        load=load,
        seconds=seconds,
        committed=len(latencies),
        conflicts=conflicts,
        blocks=(await system.chain_info(CHANNEL)).height - height,
        shares=tuple(Share(name, after[name] - spent) for name, spent in before.items()),
        network_bytes=devnet.usage.resident_bytes,
        latencies=tuple(sorted(latencies)),
        load_average=os.getloadavg()[0],
    )


def _shares(devnet: Devnet, servers: list[PythonProgram]) -> dict[str, float]:
    """Processor seconds so far, the network first."""
    return {
        "network": devnet.usage.processor_seconds,
        "chaincode servers": sum(usage_of(server.pid).processor_seconds for server in servers),
        "client": time.process_time(),
    }


async def _submit_all(
    devnet: Devnet, receipts: Receipts, prefix: str, total: int, concurrency: int
) -> tuple[list[float], int]:
    """Write `total` keys, so many at a time, through the organizations' gateways in turn, until all peers have them."""
    numbers = iter(range(total))
    latencies: list[float] = []
    conflicts = 0

    async def work() -> None:
        nonlocal conflicts
        for number in numbers:
            gateway = devnet.organizations[number % len(devnet.organizations)].client
            started = time.monotonic()
            try:
                write = [b"Set", f"{prefix}-{number}".encode(), b"value"]
                prepared = await gateway.endorse(CHANNEL, CHAINCODE, write)
                await gateway.submit_prepared(prepared)
                await receipts.everywhere(prepared.transaction_id)
            except CommitFailed:
                conflicts += 1
            else:
                latencies.append(time.monotonic() - started)

    await together(work() for _ in range(concurrency))
    return latencies, conflicts


@asynccontextmanager
async def _asset(devnet: Devnet, directory: Path) -> AsyncIterator[list[PythonProgram]]:
    """Deploy the asset chaincode by the default policies and run a server for each organization inside the block."""
    hosts = tuple(each.chaincode_host for each in devnet.organizations)
    (port,) = free_ports(1, hosts)
    package = build_ccaas(CHAINCODE, f"{{{{.chaincode_host}}}}:{port}")
    definition = Definition(CHAINCODE, "1.0", 1)
    (package_id, *_) = await asyncio.gather(*(each.lifecycle.install(package) for each in devnet.organizations))
    await asyncio.gather(*(each.lifecycle.approve(CHANNEL, definition, package_id) for each in devnet.organizations))
    first = devnet.organizations[0].lifecycle
    await _until_approved(devnet, definition)
    await first.commit(CHANNEL, definition)
    async with AsyncExitStack() as stack:
        servers = []
        for number, host in enumerate(hosts, 1):
            arguments = ("--address", f"{host}:{port}", "--package-id", package_id)
            server = PythonProgram(
                f"asset-{number}", "opssc_tools.asset", arguments, directory.with_name(f"{directory.name}-logs")
            )
            stack.push_async_callback(server.stop)
            server.start()
            servers.append(server)
        await _until_served(devnet, servers)
        yield servers


async def _until_approved(devnet: Devnet, definition: Definition) -> None:
    """Wait until every peer knows every organization's approval, so that any of them endorses the commit."""

    async def approved() -> bool:
        found = await asyncio.gather(
            *(each.lifecycle.check_commit_readiness(CHANNEL, definition) for each in devnet.organizations)
        )
        return all(all(readiness.approvals.values()) for readiness in found)

    await _until(approved, "every peer knows every approval")


async def _until_served(devnet: Devnet, servers: list[PythonProgram]) -> None:
    async def served() -> bool:
        for server in servers:
            server.check()
        answers = await asyncio.gather(
            *(each.client.evaluate(CHANNEL, CHAINCODE, [b"List", b"a", b"b"]) for each in devnet.organizations),
            return_exceptions=True,
        )
        return not any(isinstance(answer, FabricError) for answer in answers)

    await _until(served, "every organization's chaincode server answers")


async def _until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(SEEN_SECONDS):
            while not await holds():  # noqa: ASYNC110 - peers and servers tell nobody
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as exc:
        raise ConditionTimeoutError(f"after {SEEN_SECONDS:.0f} s it is still not so that {what}") from exc
