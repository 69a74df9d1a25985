"""YAML documents from strangers: plain data only, in time and memory that the size of the text bounds.

Aliases share what they name, so a small text may describe an endless tree; whoever walks one must count.
"""

from __future__ import annotations

from typing import Final

import yaml

MAX_BYTES: Final = 1 << 20
MAX_MERGED: Final = 100_000
MAX_SCALAR: Final = 64
_TYPED_SCALARS: Final = ("int", "float", "bool", "null", "timestamp")


class MalformedYaml(Exception):
    """The text is no YAML, or none that is worth reading; callers turn it into their own error."""


def load(data: bytes) -> object:
    """Return the document in ``data``; an anchor may be defined anew. Raises MalformedYaml."""
    if len(data) > MAX_BYTES:
        raise MalformedYaml(f"the text is larger than {MAX_BYTES} bytes")
    try:
        return yaml.load(data, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise MalformedYaml(str(exc)) from exc


class _Loader(yaml.SafeLoader):
    """Lets an anchor be defined anew, as YAML allows and the genesis tool's parser does; bounds merges and numbers."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._merged = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge ``<<`` keys; each merge copies, so merges of merges grow with a power of the text."""
        super().flatten_mapping(node)
        self._merged += len(node.value)
        if self._merged > MAX_MERGED:
            raise yaml.constructor.ConstructorError(None, None, f"more than {MAX_MERGED} entries", node.start_mark)

    def construct_typed(self, node: yaml.Node) -> object:
        """Read a number, flag or time; PyYAML raises anything for a text that is none, and is slow for long ones."""
        kind = node.tag.rpartition(":")[2]
        problem = f"cannot read a {kind}"
        if not isinstance(node, yaml.ScalarNode) or len(node.value) > MAX_SCALAR:
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        read = getattr(self, f"construct_yaml_{kind}")
        try:
            value: object = read(node)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as exc:
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from exc
        return value


for _kind in _TYPED_SCALARS:
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_typed)
