"""Members of a channel that are not on the governance channel, and so count as ones that never vote. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def silent_members(members: Iterable[str], governing: Collection[str] | None) -> tuple[str, ...]:
    """Members of a channel that cannot vote, because they are not on the governance channel; sorted."""
    return () if governing is None else tuple(sorted(set(members) - set(governing)))


def silence_note(silent: Iterable[str], governance_channel: str) -> str:
    """``Org5MSP: not on channel ops-channel, counts as never voting``."""
    return f"{', '.join(silent)}: not on channel {governance_channel}, counts as never voting"
