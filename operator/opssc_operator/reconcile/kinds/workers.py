"""The workers of one operator process, one per kind of proposal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.group import Kind
from opssc_operator.kube.client import KubeClient
from opssc_operator.reconcile.kinds.chaincode import ChaincodeWorker
from opssc_operator.reconcile.kinds.channel import ChannelWorker
from opssc_operator.reconcile.kinds.charter import CharterWorker
from opssc_operator.reconcile.kinds.port import KindWorker
from opssc_operator.reconcile.packages import Packages
from opssc_operator.reconcile.serverbook import ServerBook


@dataclass(frozen=True, slots=True)
class Workers:
    """Finds the worker of a proposal by its object or by its content on the ledger."""

    by_object: Mapping[Kind, KindWorker]
    by_ledger: Mapping[LedgerKind, KindWorker]


def build_workers(servers: ServerBook, packages: Packages, kube: KubeClient) -> Workers:
    """One worker for every kind this version carries out."""
    workers: tuple[KindWorker, ...] = (ChaincodeWorker(servers, packages), ChannelWorker(kube), CharterWorker())
    return Workers(
        by_object={worker.kind.object_kind: worker for worker in workers},
        by_ledger={worker.kind.ledger_kind: worker for worker in workers},
    )
