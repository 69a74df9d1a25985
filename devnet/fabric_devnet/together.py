"""Running several steps at once where the first failure is the failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable


async def together(steps: Iterable[Coroutine[None, None, object]]) -> None:
    """Run all steps; when one fails, cancel the others, wait for them, and raise its error alone."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for step in steps:
                tasks.create_task(step)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group
