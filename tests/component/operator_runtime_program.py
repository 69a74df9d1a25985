"""The real operator process with the simplest reconcilers there are: each writes a status that says it was seen.

What a manifest's free text says decides how its reconcile behaves, so that a test can provoke it from outside.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from opssc_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.errors import ConfigError, TransientError
from opssc_operator.handlers.process import run_operator
from opssc_operator.kube.status import changed, merge_conditions
from opssc_operator.observability.logs import configure_logs
from opssc_operator.reconcile.keys import UNKNOWN_CREATOR, Key, KeyKind
from opssc_operator.reconcile.runner import Reconcilers, Result
from opssc_operator.settings import Settings, read_settings

if TYPE_CHECKING:
    from opssc_operator.kube.client import KubeClient
    from opssc_operator.reconcile.queue import WorkQueue
    from opssc_operator.reconcile.store import Known, ObjectStore


class SeenReconciler:
    """Writes Ready=True to every object a key is about."""

    def __init__(self, kube: KubeClient, store: ObjectStore) -> None:
        self._kube = kube
        self._store = store

    async def reconcile(self, key: Key) -> Result:
        """Runs once for `key`."""
        if key.kind is KeyKind.ORGANIZATION:
            known = self._store.get(Kind.FABRIC_ORGANIZATION, key.namespace, key.name)
            objects: list[Known] = [] if known is None else [known]
        else:
            ref = ProposalRef.parse(key.name)
            objects = [*self._store.proposals(key.namespace, ref), *self._store.votes(key.namespace, ref)]
        for known in objects:
            await self._misbehave(getattr(getattr(known, "spec", None), "description", None) or "")
            await self._write(known, key)
        return Result()

    async def _misbehave(self, wish: str) -> None:
        match wish:
            case "raise":
                raise ZeroDivisionError("as asked for")
            case "fail":
                raise TransientError("as asked for")
            case "hang":
                await asyncio.Event().wait()

    async def _write(self, known: Known, key: Key) -> None:
        nobody = key.name.startswith(UNKNOWN_CREATOR)
        condition = Condition(
            type=ConditionType.READY,
            status=ConditionStatus.FALSE if nobody else ConditionStatus.TRUE,
            reason=Reason.ORGANIZATION_NOT_READY if nobody else Reason.READY,
            message=f"seen as {key}",
        )
        metadata = known.metadata
        conditions = merge_conditions(known.status, [condition], now=datetime.now(UTC), generation=metadata.generation)
        status = {
            "observedGeneration": metadata.generation,
            "conditions": [condition.to_manifest() for condition in conditions],
        }
        if changed(known.status, status):
            kind = Kind(known.kind)
            await self._kube.apply_status(kind, metadata.namespace, metadata.name, metadata.uid, status)


def wire(kube: KubeClient, store: ObjectStore, _queue: WorkQueue, _settings: Settings) -> Reconcilers:
    """The same reconciler for everything."""

    async def close() -> None:
        pass

    return Reconcilers(dict.fromkeys(KeyKind, SeenReconciler(kube, store)), close)


if __name__ == "__main__":
    settings = read_settings(sys.argv[1:])
    configure_logs(settings.log_format, settings.log_level)
    try:
        asyncio.run(run_operator(settings, wire))
    except ConfigError as error:
        sys.exit(error.message)
