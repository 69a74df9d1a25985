"""How long to wait for what no event tells. Pure."""

from __future__ import annotations


def soonest(*seconds: float | None) -> float | None:
    """The shortest of the waits, in seconds; None when none is wanted."""
    return min((each for each in seconds if each is not None), default=None)
