"""What every command of the benchmark shares: being interrupted, failing in one sentence, and writing JSON."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from fabric_admin.errors import FabricError
from fabric_devnet.errors import DevnetError
from opssc_tools.errors import ToolsError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from opssc_tools.demo.screen import Screen

INTERRUPTED: Final = 130
MAX_ORGANIZATIONS: Final = 20
_ResultT = TypeVar("_ResultT")


def run(work: Coroutine[None, None, _ResultT], screen: Screen, *, total_seconds: float) -> _ResultT:
    """Run a measurement to its end; failing, lasting too long and being interrupted end the program with a sentence."""
    try:
        return asyncio.run(_bounded(work, total_seconds))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.verdict("interrupted; everything is stopped", good=False)
        sys.exit(INTERRUPTED)
    except TimeoutError:
        screen.verdict(f"the benchmark failed: it took more than {total_seconds:.0f} s", good=False)
    except (ToolsError, DevnetError, FabricError) as exc:
        screen.verdict(f"the benchmark failed: {exc}", good=False)
    sys.exit(1)


def write_json(path: Path | None, name: str, figures: object) -> None:
    """Write figures to a file, with when and where they were measured; nothing when there is no file."""
    if path is None:
        return
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        name: figures,
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


async def _bounded(work: Coroutine[None, None, _ResultT], total_seconds: float) -> _ResultT:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout(total_seconds):
        return await work
