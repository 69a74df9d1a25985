"""What the demo shows while it runs: one line for each thing that happened, with the time since the start."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax

if TYPE_CHECKING:
    from pathlib import Path

COLOURS: Final = ("cyan", "magenta", "yellow", "blue", "green", "red")


class Screen:
    """Lines on a terminal, or plain ones in a pipe; with `aside` on standard error, so that output can be read."""

    def __init__(self, *, aside: bool = False) -> None:
        self._console = Console(stderr=aside, highlight=False, soft_wrap=True)
        self._started = time.monotonic()

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._started

    def title(self, text: str) -> None:
        """A new part of the story."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    def step(self, text: str, *, who: str = "", number: int = 0) -> None:
        """Something that is true now; `number` gives an organization its colour."""
        colour = COLOURS[number % len(COLOURS)]
        actor = f"[{colour}]{escape(who):<6}[/{colour}] " if who else ""
        self._console.print(f"[dim]{self.elapsed_seconds:7.2f} s[/dim]  {actor}{escape(text)}")

    def manifest(self, path: Path, text: str) -> None:
        """A manifest as it is applied."""
        self._console.print(f"[dim]{escape(str(path))}[/dim]")
        self._console.print(Syntax(text.strip(), "yaml", theme="ansi_dark", background_color="default"))

    def plain(self, text: str) -> None:
        """Somebody else's output, as it is."""
        self._console.print(escape(text.rstrip()))

    def verdict(self, text: str, *, good: bool) -> None:
        """The last line."""
        self._console.print(f"\n[bold {'green' if good else 'red'}]{escape(text)}[/]")
