"""Carrying out an agreed creation: own orderers join, own peers join, and block 0 is the one agreed to. Pure.

That a node is in a channel of the name says nothing: somebody may have made another one by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opssc_chaincode.model import Evidence, Outcome, Step
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Phase
from opssc_operator.domain.kinds.channel_work import ChannelChange
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.report import ReportWish, untold
from opssc_operator.domain.stage import Conditions, Stage
from opssc_operator.domain.verdict import no, unknown, yes
from opssc_operator.domain.work_action import WorkAction

RETRY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class JoinOrderer(WorkAction):
    """Have an own orderer join the channel by the participation API."""

    address: str


@dataclass(frozen=True, slots=True)
class JoinPeer(WorkAction):
    """Have an own peer join the channel."""

    name: str


@dataclass(frozen=True, slots=True)
class OrdererSeen:
    """An own consenter of the recipe; `listed` says that the FabricOrganization tells how to have it join.

    `block_hash` is the hex header hash of its block 0, empty where it shows none. That it refuses to show it proves no
    other channel: the channel's own readers, or an identity that expired, may be the cause.
    """

    address: str
    listed: bool = True
    joined: bool = False
    problem: str = ""
    block_hash: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"orderer {self.address}"


@dataclass(frozen=True, slots=True)
class PeerSeen:
    """An own peer; `block_hash` is the hex header hash of its block 0, empty where it shows none."""

    name: str
    joined: bool = False
    block_hash: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CreationWork:
    """An accepted creation and what the own nodes show; `expected` is the hex header hash of the agreed block 0.

    `told` says that this organization reported it done before: whoever takes a node out later has it stay out.
    """

    change: ChannelChange
    expected: str
    orderers: tuple[OrdererSeen, ...] = ()
    peers: tuple[PeerSeen, ...] = ()
    told: bool = False

    def decide(self, observed: ProposalObserved, conditions: Conditions) -> Stage:
        """Join what has not joined, orderers first; done when every own node has and block 0 is the agreed one."""
        channel = self.change.channel
        others = other_channels(self.orderers, self.peers, self.expected)
        if others:
            verdict = no(Reason.SUPERSEDED, describe_others(channel, others))
            conditions = {**conditions, ConditionType.APPLIED: verdict}
            return Stage(conditions, Phase.SUPERSEDED, stalled=True, ready=verdict, waiting=False)
        if not (self.told or self.orderers or self.peers):
            verdict = unknown(Reason.NO_PEERS, f"this organization has no node in channel {channel} that could show it")
            return Stage({**conditions, ConditionType.APPLIED: verdict}, Phase.ACCEPTED, ready=verdict, waiting=False)
        missing = () if self.told else self._missing()
        if not missing:
            return self._done(observed, conditions)
        waiting = no(Reason.PROGRESSING, f"channel {channel}: {'; '.join(missing)}")
        ready, acts = waiting, not observed.is_suspended
        if not acts:
            ready = no(Reason.SUSPENDED, "accepted; nothing is carried out while suspended")
        return Stage(
            {**conditions, ConditionType.APPLIED: waiting},
            Phase.ACCEPTED,
            self._actions() if acts else (),
            ready=ready,
            requeue_seconds=RETRY_SECONDS if acts else None,
        )

    def _missing(self) -> tuple[str, ...]:
        """What keeps it from being done, in the order of the nodes."""
        found = [_lack_of_orderer(orderer) for orderer in self.orderers if orderer.block_hash != self.expected]
        found += [
            f"peer {peer.name}: {peer.problem}" if peer.problem else f"peer {peer.name} has not joined"
            for peer in self.peers
            if not peer.joined
        ]
        if not found and self.peers and not any(peer.block_hash == self.expected for peer in self.peers):
            found.append("no own peer shows block 0 yet")
        return tuple(found)

    def _actions(self) -> tuple[WorkAction, ...]:
        """Orderers first: a peer that finds none serving the channel tries again ever more seldom."""
        orderers = tuple(
            JoinOrderer(each.address) for each in self.orderers if each.listed and not each.joined and not each.problem
        )
        return orderers or tuple(JoinPeer(each.name) for each in self.peers if not each.joined and not each.problem)

    def _done(self, observed: ProposalObserved, conditions: Conditions) -> Stage:
        verdict = yes(Reason.APPLIED, f"channel {self.change.channel} runs from the block that was agreed to")
        return Stage(
            {**conditions, ConditionType.APPLIED: verdict},
            Phase.APPLIED,
            ready=yes(Reason.READY, verdict.message),
            waiting=False,
            reports=() if self.told else self._reports(observed),
        )

    def _reports(self, observed: ProposalObserved) -> tuple[ReportWish, ...]:
        facts = observed.facts
        if facts is None:
            return ()
        wishes = []
        if self.peers:
            names = tuple(peer.name for peer in self.peers)
            joined = Evidence(config_block=0, config_hash=self.expected, peers=names)
            wishes.append(ReportWish(Step.JOINED, Outcome.DONE, joined, ""))
        applied = Evidence(config_block=0, config_hash=self.expected)
        wishes.append(ReportWish(Step.APPLIED, Outcome.DONE, applied, ""))
        return untold(wishes, facts, observed.own_msp_id)


def other_channels(orderers: Sequence[OrdererSeen], peers: Sequence[PeerSeen], expected: str) -> tuple[str, ...]:
    """Own nodes that are in a channel of the name which is another one: its block 0 has not the hash ``expected``."""
    found = {each.name for each in orderers if each.block_hash not in {"", expected}}
    return tuple(sorted(found | {f"peer {peer.name}" for peer in peers if peer.block_hash not in {"", expected}}))


def unshown_channels(orderers: Sequence[OrdererSeen]) -> tuple[str, ...]:
    """Why own orderers that are in a channel of the name may be in another one: they do not show its block 0."""
    return tuple(sorted(_lack_of_orderer(each) for each in orderers if each.joined and not each.block_hash))


def describe_others(channel: str, nodes: Sequence[str]) -> str:
    """What to say of a name that is taken by another channel on these nodes."""
    where = f"channel {channel} exists on {', '.join(nodes)} with another first block"
    return f"{where}; choose another name, or remove it there (orderers: osnadmin channel remove)"


def _lack_of_orderer(orderer: OrdererSeen) -> str:
    if not orderer.listed:
        return f"{orderer.name} is not in spec.orderers of the FabricOrganization with admin; list it"
    if orderer.problem:
        return f"{orderer.name}: {orderer.problem}"
    return f"{orderer.name} does not show block 0 yet" if orderer.joined else f"{orderer.name} has not joined"
