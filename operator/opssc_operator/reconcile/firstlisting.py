"""Waiting at start until the store holds what the API server held: nothing is decided from half a cluster.

A proposal whose mirror or manifest the watch has not shown yet looks like one that has none.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from opssc_operator.api.group import Kind
from opssc_operator.errors import AccessDenied, TransientError

if TYPE_CHECKING:
    from opssc_operator.kube.client import Lister
    from opssc_operator.reconcile.store import ObjectStore

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 2.0
"""How long the watches have to show what was listed; what was deleted in between they never show."""
_Missing = tuple[tuple[Kind, str], ...]


async def wait_until_listed(
    lister: Lister, store: ObjectStore, namespace: str, *, again_seconds: float = AGAIN_SECONDS
) -> None:
    """Returns when every object that one listing of all our kinds names is in the store."""
    loop = asyncio.get_running_loop()
    while True:
        deadline = loop.time() + again_seconds
        try:
            missing = await _find_missing(lister, store, namespace)
        except (AccessDenied, TransientError) as error:
            logger.info("the first listing will be tried again", extra={"error": error.message})
            await asyncio.sleep(again_seconds)
            continue
        for kind, name in missing:
            seconds = max(deadline - loop.time(), 0.0)
            if not await store.wait_for(kind, namespace, name, timeout_seconds=seconds):
                logger.info("waiting for the watch", extra={"kind": str(kind), "object": f"{namespace}/{name}"})
                break
        else:
            return


async def _find_missing(lister: Lister, store: ObjectStore, namespace: str) -> _Missing:
    listings = await asyncio.gather(*(lister.list_uids(kind, namespace) for kind in Kind))
    return tuple(
        (kind, name)
        for kind, listing in zip(Kind, listings, strict=True)
        for name in (listing.uids if listing is not None else ())
        if store.get(kind, namespace, name) is None
    )
