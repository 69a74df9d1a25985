"""The root of everything that only one kind of proposal does once it is accepted."""

from __future__ import annotations


class WorkAction:
    """An idempotent step of carrying out a proposal; the worker of the proposal's kind knows how to take it."""

    __slots__ = ()
