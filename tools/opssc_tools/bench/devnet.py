"""A development network in a process of its own, so that what it takes can be told from what its clients take."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fabric_admin.deliver import Deliver
from fabric_admin.gateway import Gateway
from fabric_admin.identity import SigningIdentity
from fabric_admin.lifecycle import Lifecycle
from fabric_admin.system import System
from fabric_admin.transport import Connection, Endpoint
from fabric_devnet.network import DESCRIPTION_FILE
from opssc_tools.bench.processtree import Usage, usage_of
from opssc_tools.environment.process import PythonProgram
from opssc_tools.errors import ConditionTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fabric_devnet.spec import BackendName

CHANNEL: Final = "bench-channel"
UP_SECONDS: Final = 180.0
_READY: Final = "Ctrl-C stops"
_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class DevnetOrganization:
    """One organization as its administrator, and a plain client of it, reach its first peer."""

    msp_id: str
    chaincode_host: str
    lifecycle: Lifecycle
    system: System
    client: Gateway
    deliver: Deliver


@dataclass(frozen=True, slots=True)
class Devnet:
    """A network that runs, with one channel of all organizations."""

    program: PythonProgram
    organizations: tuple[DevnetOrganization, ...]
    start_seconds: float
    """From the start of the process to a channel that every peer has joined."""

    @property
    def usage(self) -> Usage:
        """What the network takes: peers, orderers, and the process that started them."""
        return usage_of(self.program.pid)

    @classmethod
    @asynccontextmanager
    async def start(
        cls, directory: Path, organizations: int, backend: BackendName, batch_timeout: str
    ) -> AsyncIterator[Devnet]:
        """Run `fabric-devnet up` inside the block; raises ClusterError or ConditionTimeoutError with its log."""
        arguments = ("--orgs", str(organizations), "--channel", CHANNEL, "--backend", str(backend))
        program = PythonProgram(
            "fabric-devnet",
            "fabric_devnet",
            ("up", *arguments, "--batch-timeout", batch_timeout, "--dir", directory),
            directory.with_name(f"{directory.name}-logs"),
        )
        program.log.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(program.stop)
            program.start()
            await _until_up(program)
            seconds = loop.time() - started
            described = json.loads((directory / DESCRIPTION_FILE).read_text(encoding="utf-8"))
            members = [await _connect(each, stack) for each in described["organizations"]]
            yield cls(program, tuple(members), seconds)


async def _until_up(program: PythonProgram) -> None:
    try:
        async with asyncio.timeout(UP_SECONDS):
            while _READY not in program.log.read_text(encoding="utf-8", errors="replace"):
                program.check()
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as exc:
        raise ConditionTimeoutError(f"the network is not up after {UP_SECONDS:.0f} s; see {program.log}") from exc


async def _connect(described: dict[str, Any], stack: AsyncExitStack) -> DevnetOrganization:
    endpoint = Endpoint(described["peers"][0]["address"], Path(described["tls_ca"]).read_bytes())
    connection = await stack.enter_async_context(Connection(endpoint))
    msp_id = described["msp_id"]
    admin = SigningIdentity.from_directory(msp_id, Path(described["admin_msp"]))
    client = SigningIdentity.from_directory(msp_id, Path(described["client_msp"]))
    return DevnetOrganization(
        msp_id,
        described["chaincode_host"],
        Lifecycle(connection, admin),
        System(connection, admin),
        Gateway(connection, client),
        Deliver(connection, client),
    )
