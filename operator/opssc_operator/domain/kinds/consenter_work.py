"""Own orderers that a change makes consenters, or gives other certificates: what they lack, in Fabric's order. Pure.

A new consenter follows the channel first, so that the others do not wait for a node that has nothing yet: its
organization signs only then. Afterwards each node shows itself that it takes part. What is said to be this
organization's and cannot be reached is left to a person: anybody can write anybody's MSP ID into a proposal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from opssc_chaincode.model import Evidence, Outcome, Step
from opssc_operator.domain.channels.consenter_tasks import ConsenterTask, Task
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.report import ReportWish
from opssc_operator.domain.work_action import WorkAction

LOOK_AGAIN_SECONDS: Final = 2.0
LOOK_SELDOM_SECONDS: Final = 60.0
"""How soon to look at an orderer again once its task is older than `FRESH`: then it waits for a person."""

FRESH: Final = timedelta(minutes=1)
_ACTIVE: Final = "active"
_CONSENTER: Final = "consenter"


@dataclass(frozen=True, slots=True)
class JoinConsenter(WorkAction):
    """Have an own orderer join the channel by the participation API, from its latest config block."""

    address: str


@dataclass(frozen=True, slots=True)
class ConsenterNode:
    """An own orderer and what it shows of the channel: ``relation`` and ``status`` in Fabric's words, "" if not joined.

    ``listed`` says that the FabricOrganization tells how to reach it, ``presents`` that its TLS server certificate is
    the one the change gives it. ``problem`` is why it could not be asked.
    """

    task: ConsenterTask
    listed: bool = True
    relation: str = ""
    status: str = ""
    presents: bool = True
    problem: str = ""

    @property
    def joined(self) -> bool:
        """Whether it has anything of the channel."""
        return bool(self.relation)


Nodes = Sequence[ConsenterNode]


def lacks_before(nodes: Nodes) -> tuple[str, ...]:
    """What keeps this organization from signing: new consenters that do not follow the channel yet."""
    added = (node for node in nodes if node.task.task is Task.ADD and node.listed)
    return tuple(lack for node in added if (lack := _lack(node, relation="")))


def lacks_after(nodes: Nodes) -> tuple[str, ...]:
    """What keeps the change from being done, once it is in force."""
    return tuple(lack for node in _taking_part(nodes) if (lack := _lack(node, relation=_CONSENTER)))


def joins(nodes: Nodes) -> tuple[JoinConsenter, ...]:
    """Those that can join now."""
    return tuple(
        JoinConsenter(node.task.address)
        for node in nodes
        if node.task.task is Task.ADD and node.listed and not node.joined and not node.problem
    )


def look_again_seconds(since: datetime | None, now: datetime) -> float:
    """How soon to look again at what lacks something; ``since`` is when it was asked for, None while that is news.

    Other organizations' clocks say when they voted, so that a time far ahead counts as long ago.
    """
    return LOOK_AGAIN_SECONDS if since is None or abs(now - since) < FRESH else LOOK_SELDOM_SECONDS


def joined_report(nodes: Nodes, applied: AppliedIn) -> ReportWish | None:
    """What the others are told when every own node takes part; None when no node is asked for that."""
    addresses = tuple(node.task.address for node in _taking_part(nodes))
    if not addresses:
        return None
    evidence = Evidence(config_block=applied.block, config_hash=applied.block_hash, peers=addresses)
    return ReportWish(Step.JOINED, Outcome.DONE, evidence, "")


def left_alone(nodes: Nodes) -> str:
    """Which orderers the change says are this organization's, and are not listed; empty when there are none."""
    unlisted = [node.task.address for node in nodes if node.task.task is not Task.REMOVE and not node.listed]
    if not unlisted:
        return ""
    where = "spec.orderers of the FabricOrganization does not list with admin"
    return f"this operator leaves orderer {', '.join(unlisted)} alone, which {where}"


def farewell(nodes: Nodes) -> str:
    """What is left for a person to do about own orderers that were removed; empty when there are none."""
    removed = [node.task.address for node in nodes if node.task.task is Task.REMOVE]
    if not removed:
        return ""
    return f"own orderer {', '.join(removed)} keeps its ledger of the channel until a person removes it"


def _taking_part(nodes: Nodes) -> list[ConsenterNode]:
    """Those that have to take part once the change is in force, and can be asked."""
    return [node for node in nodes if node.task.task is not Task.REMOVE and node.listed]


def _lack(node: ConsenterNode, *, relation: str) -> str:
    """Why a node is not where it has to be; ``relation`` empty takes any."""
    where = f"orderer {node.task.address}"
    if node.problem:
        return f"{where}: {node.problem}"
    if not node.joined:
        return f"{where} has not joined"
    if not node.presents:
        return f"{where} has another TLS certificate than the change gives it; put that in place and restart it"
    if node.status != _ACTIVE or (relation and node.relation != relation):
        wanted = f"{relation}, {_ACTIVE}" if relation else _ACTIVE
        return f"{where} is {node.relation}, {node.status}; waiting for {wanted}"
    return ""
