"""What differs between two configs, as short lines for people.

``+`` is added, ``-`` removed, ``~`` changed; certificates appear by subject and fingerprint. Names and texts come from
strangers: what is not printable is escaped, long lines are cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fabric_protos.common import configtx_pb2

from fabric_admin.channelconfig import elements
from fabric_admin.channelconfig.description import describe_policy, describe_value
from fabric_admin.channelconfig.elements import Element
from fabric_admin.channelconfig.satisfiability import group_msp_id

MAX_LINE: Final = 256


def diff(original: configtx_pb2.Config, updated: configtx_pb2.Config) -> tuple[str, ...]:
    """Return the differences in order of path; versions and encodings that mean the same do not count.

    Raises ConfigError for a config with names Fabric does not allow.
    """
    before, after = elements.flatten(original.channel_group), elements.flatten(updated.channel_group)
    keys = sorted(before.keys() | after.keys(), key=lambda key: key.partition("/")[2])
    lines = (line for key in keys for line in _lines(before, after, key))
    return tuple(_shown(line) for line in lines)


def _lines(before: Mapping[str, Element], after: Mapping[str, Element], key: str) -> Iterator[str]:
    old, new = before.get(key), after.get(key)
    if old is None or new is None:
        element, others = (new, before) if old is None else (old, after)
        assert element is not None  # noqa: S101 - the key is of one of the two
        if not _within_changed_group(element, others):
            yield f"{'+' if old is None else '-'} {element.location}{_summary(element)}"
        return
    if old.item.mod_policy != new.item.mod_policy:
        yield f"~ {new.location} mod_policy: {old.item.mod_policy or 'not set'} -> {new.item.mod_policy or 'not set'}"
    yield from _compare(new.location, _facts(old), _facts(new))


def _within_changed_group(element: Element, others: Mapping[str, Element]) -> bool:
    """Tell whether the element came or went with its whole group, which then is the one line that says so."""
    group = elements.Element(elements.Kind.GROUP, element.path[:-1], configtx_pb2.ConfigGroup())
    return len(element.path) > 1 and group.key not in others


def _summary(element: Element) -> str:
    if isinstance(element.item, configtx_pb2.ConfigGroup):
        msp_id = group_msp_id(element.item)
        return f": organization {msp_id}" if msp_id else ": group"
    facts = _facts(element)
    shown = ", ".join(f"{label} {text}".strip() if label else text for label, text in facts.items())
    return f": {shown}" if shown else ""


def _facts(element: Element) -> Mapping[str, str]:
    if isinstance(element.item, configtx_pb2.ConfigValue):
        return describe_value(element.path[-1], element.item.value)
    if isinstance(element.item, configtx_pb2.ConfigPolicy):
        return {"": describe_policy(element.item.policy)}
    return {}


def _compare(location: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for label in sorted(old.keys() | new.keys()):
        where, before, after = f"{location} {label}".rstrip(), old.get(label), new.get(label)
        if before is None:
            yield f"+ {where}" + (f": {after}" if after else "")
        elif after is None:
            yield f"- {where}" + (f": {before}" if before else "")
        elif before != after:
            yield f"~ {where}: {before} -> {after}"


def _shown(line: str) -> str:
    safe = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)
    return safe if len(safe) <= MAX_LINE else f"{safe[: MAX_LINE - 1]}…"
