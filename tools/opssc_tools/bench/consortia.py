"""Measures consortia of several sizes, one after another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from opssc_tools.environment import Consortium

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from opssc_tools.demo.screen import Screen
    from opssc_tools.environment import EnvironmentSpec

CONSORTIUM_SECONDS: Final = 900.0
"""No consortium is measured for longer, whatever happens."""
_FiguresT = TypeVar("_FiguresT")


def describe(spec: EnvironmentSpec) -> str:
    """The heading under which a consortium is measured."""
    return f"{spec.organizations} organizations on {spec.backend}"


async def measure_each(
    specs: Iterable[EnvironmentSpec],
    measure: Callable[[Consortium], Awaitable[_FiguresT]],
    screen: Screen,
    title: Callable[[EnvironmentSpec], str] = describe,
) -> list[_FiguresT]:
    """Start each consortium, measure it and stop it; all specs are read, hence made, before the first one starts.

    Raises:
        TimeoutError: when one takes more than CONSORTIUM_SECONDS.
        DevnetError, FabricError, ToolsError: when a spec is none, a consortium does not start, or as `measure` does.
    """
    return [await _measure_one(spec, measure, screen, title(spec)) for spec in tuple(specs)]


async def _measure_one(
    spec: EnvironmentSpec, measure: Callable[[Consortium], Awaitable[_FiguresT]], screen: Screen, title: str
) -> _FiguresT:
    screen.title(title)
    async with asyncio.timeout(CONSORTIUM_SECONDS), Consortium.start(spec, announce=screen.step) as consortium:
        return await measure(consortium)
