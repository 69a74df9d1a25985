"""The kopf handlers: every watch event goes to the feed, the process lifecycle to the context. Nothing is decided here.

Only `on.event` is used: it writes nothing to objects, and neither repeats nor swallows events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf

from opssc_operator.api.group import GROUP, VERSION, Kind

if TYPE_CHECKING:
    from opssc_operator.handlers.context import Context


def build_registry() -> kopf.OperatorRegistry:
    """All handlers, on a registry of their own."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(log_in)
    kopf.on.cleanup(registry=registry)(stop)
    for kind in Kind:
        kopf.on.event(GROUP, VERSION, kind.plural, registry=registry, id=kind.value, param=kind)(see)
    return registry


async def stop(*, memo: Context, **_: Any) -> None:
    """Stops what is not kopf, after the last watch."""
    await memo.stop()


async def log_in(*, memo: Context, **_: Any) -> kopf.ConnectionInfo:
    """Gives kopf the same credential as our own client has."""
    access = await memo.access()
    return kopf.ConnectionInfo(
        server=access.server,
        ca_path=access.ca_path,
        insecure=not access.verify,
        certificate_path=access.certificate_path,
        private_key_path=access.private_key_path,
        token=access.token,
    )


async def see(*, event: kopf.RawEvent, memo: Context, param: Any = None, **_: Any) -> None:
    """Takes one watch event of any of our kinds."""
    memo.feed.saw(Kind(param), event["type"], event["object"])
