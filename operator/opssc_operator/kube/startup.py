"""Waiting at start until the API server serves our kinds to us, so that what is missing is said once and plainly."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from opssc_operator.api.group import Kind
from opssc_operator.errors import AccessDenied, ConfigError, TransientError

if TYPE_CHECKING:
    from opssc_operator.kube.client import Lister

logger = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 0.1


async def wait_until_served(lister: Lister, namespace: str, *, timeout_seconds: float = 60.0) -> None:
    """Returns when all our kinds can be listed in `namespace`.

    Raises:
        ConfigError: they cannot after `timeout_seconds`; the message names the missing CRD, Role or API server.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_seconds
    waiting_for = ""
    while (problem := await _problem(lister, namespace)) is not None:
        if loop.time() >= deadline:
            raise ConfigError(problem)
        if problem != waiting_for:
            logger.info("waiting for the API server", extra={"problem": problem})
            waiting_for = problem
        # The API server tells nobody when a CRD or a Role appears that they may not see; asking again is the only way.
        await asyncio.sleep(_PAUSE_SECONDS)


async def _problem(lister: Lister, namespace: str) -> str | None:
    try:
        listings = await asyncio.gather(*(lister.list_uids(kind, namespace) for kind in Kind))
    except (AccessDenied, TransientError) as error:
        return error.message
    missing = [kind.crd_name for kind, listing in zip(Kind, listings, strict=True) if listing is None]
    if missing:
        return f"the CRD {', '.join(missing)} is not installed; run: kubectl apply --server-side -f crds/"
    return None
