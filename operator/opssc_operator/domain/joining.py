"""Which own peers are to join a channel that lets this organization in, and what keeps them from it. Pure.

Whether it is let in is what listed orderers show: no own peer can say so before it has joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import JoinMode
from opssc_operator.domain.verdict import Verdict, no, yes

MOST_CHANNELS: Final = 64
"""Channels that peers join by themselves: whoever runs orderers could let this organization into any number."""
FETCH_AGAIN_SECONDS: Final = 3.0
FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 300.0
"""Between two questions about a channel that proposals name: a single member could name any number of them."""
LONGEST_GOVERNANCE_PAUSE_SECONDS: Final = 15.0
PROVED_SECONDS: Final = 60.0
"""How long a membership that orderers proved is taken for granted."""
READING_SECONDS: Final = (1.0, 30.0)
"""How soon, at first and at last, to see whether an own peer has read far enough."""


class Standing(StrEnum):
    """What orderers show of this organization in a channel."""

    UNASKED = "Unasked"
    """None was asked yet: others have their turn."""
    MEMBER = "Member"
    OUTSIDE = "Outside"
    """It may not read the channel, or is not in its Application section."""
    UNKNOWN_CHANNEL = "UnknownChannel"
    UNREACHABLE = "Unreachable"
    UNPROVED = "Unproved"
    """What an orderer sent does not prove itself."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer of listed orderers; `problem` is their words, `config_block` the number of what they show.

    They are not asked again for `again_seconds`, and have shown this organization as a member for `member_seconds`.
    """

    standing: Standing
    problem: str = ""
    config_block: int | None = None
    again_seconds: float = FIRST_PAUSE_SECONDS
    member_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class JoiningPeer:
    """An own peer as it was last seen."""

    name: str
    joined: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class JoiningObserved:
    """One channel, the own peers, and what orderers show; `admission` None while nobody was asked.

    `reads` says that an own peer answers questions about the channel, which one that has just joined does not: it
    refuses those it does not know yet. `joined_channels` counts the channels that own peers are in.
    """

    channel: str
    own_msp_id: str
    mode: JoinMode
    suspended: bool
    peers: tuple[JoiningPeer, ...]
    orderers_known: bool
    admission: Admission | None = None
    reads: bool = True
    joined_channels: int = 0
    problems: tuple[str, ...] = ()

    @property
    def joined(self) -> bool:
        """Whether any own peer is in the channel."""
        return any(peer.joined for peer in self.peers)

    @property
    def silent(self) -> bool:
        """Whether no own peer answers."""
        return all(peer.silent for peer in self.peers)


@dataclass(frozen=True, slots=True)
class JoiningDecision:
    """Names of the peers to join now, whether orderers are to be asked first, and what there is to say.

    The verdict holds when every own peer that answers has joined, and one of them shows the channel.
    """

    verdict: Verdict
    join: tuple[str, ...] = ()
    ask: bool = False
    requeue_seconds: float | None = None


def pause_after(standing: Standing, refusals: int, longest_seconds: float) -> float:
    """How many seconds an answer holds that is the n-th in a row, counted from 1, not to show membership."""
    if standing is Standing.MEMBER:
        return PROVED_SECONDS
    return min(FIRST_PAUSE_SECONDS * 2.0 ** min(refusals - 1, 16), longest_seconds)


def reading_pause(member_seconds: float) -> float:
    """How soon to look at an own peer that reads blocks, by how long orderers have shown the membership."""
    shortest, longest = READING_SECONDS
    return min(max(member_seconds / 2, shortest), longest)


def decide_joining(observed: JoiningObserved) -> JoiningDecision:
    """Decide about the own peers and one channel; asks orderers only where a peer is to join."""
    channel = observed.channel
    lacking = tuple(peer.name for peer in observed.peers if not peer.joined and not peer.silent)
    if not lacking:
        return _joined(observed)
    if observed.suspended:
        message = f"suspended: no peer joins channel {channel}"
        return JoiningDecision(no(Reason.SUSPENDED, message))
    refusal = _refusal(observed, lacking)
    if refusal is not None:
        return JoiningDecision(refusal)
    if observed.admission is None:
        return JoiningDecision(_asking(channel), ask=True, requeue_seconds=FETCH_AGAIN_SECONDS)
    if observed.admission.standing is not Standing.MEMBER:
        return JoiningDecision(_judge(observed, observed.admission), requeue_seconds=observed.admission.again_seconds)
    verdict = no(Reason.PROGRESSING, f"{', '.join(lacking)} joining channel {channel}")
    if observed.problems:
        verdict = no(Reason.JOIN_FAILED, f"channel {channel}: {'; '.join(observed.problems)}")
    return JoiningDecision(verdict, join=lacking, requeue_seconds=FETCH_AGAIN_SECONDS)


def _joined(observed: JoiningObserved) -> JoiningDecision:
    names = [peer.name for peer in observed.peers if peer.joined]
    if not names:
        message = f"no own peer answers, so none can join channel {observed.channel}"
        return JoiningDecision(no(Reason.PEER_UNREACHABLE, message), requeue_seconds=FETCH_AGAIN_SECONDS)
    if observed.reads:
        return JoiningDecision(yes(Reason.JOINED, f"{', '.join(sorted(names))} joined channel {observed.channel}"))
    verdict = _judge_unread(observed.channel, observed.own_msp_id, observed.admission)
    ask = observed.admission is None and observed.orderers_known
    return JoiningDecision(verdict, ask=ask, requeue_seconds=_unread_pause(observed.admission))


def _asking(channel: str) -> Verdict:
    return no(Reason.PROGRESSING, f"asking the orderers about channel {channel}")


def _unread_pause(admission: Admission | None) -> float:
    if admission is None:
        return FIRST_PAUSE_SECONDS
    member = admission.standing is Standing.MEMBER
    return reading_pause(admission.member_seconds) if member else admission.again_seconds


def _refusal(observed: JoiningObserved, lacking: Sequence[str]) -> Verdict | None:
    """What only this organization's own manifest can change."""
    channel, names = observed.channel, ", ".join(lacking)
    if observed.mode is JoinMode.MANUAL:
        message = f"{names} not on channel {channel}; join by hand, or set joinChannels: Automatic and list an orderer"
        return no(Reason.CHANNEL_NOT_FOUND, message)
    if not observed.orderers_known:
        message = f"{names} not on channel {channel}; list one of its orderers in spec.orderers"
        return no(Reason.CHANNEL_NOT_FOUND, message)
    if observed.joined_channels >= MOST_CHANNELS and not observed.joined:
        message = f"own peers are in {observed.joined_channels} channels; join {channel} by hand"
        return no(Reason.JOIN_FAILED, message)
    return None


def _judge(observed: JoiningObserved, admission: Admission) -> Verdict:
    channel = observed.channel
    match admission.standing:
        case Standing.UNASKED:
            return _asking(channel)
        case Standing.OUTSIDE:
            return no(Reason.NOT_A_MEMBER, outside_message(channel, observed.own_msp_id))
        case Standing.UNKNOWN_CHANNEL:
            message = f"no listed orderer has channel {channel}; list one that does, or correct the name"
            return no(Reason.CHANNEL_NOT_FOUND, message)
        case Standing.UNPROVED:
            message = f"what orderers send of channel {channel} proves nothing ({admission.problem}); list another one"
            return no(Reason.JOIN_FAILED, message)
        case _:
            message = f"no listed orderer answers about channel {channel}; check spec.orderers ({admission.problem})"
            return no(Reason.ORDERER_UNREACHABLE, message)


def outside_message(channel: str, msp_id: str) -> str:
    """What an organization does that is not in a channel."""
    return f"{msp_id} is not a member of channel {channel}; to be let in, ask a member to propose addOrganization"


def _judge_unread(channel: str, msp_id: str, admission: Admission | None) -> Verdict:
    """Why an own peer that has joined refuses its own organization there: it has not come so far, or is past it."""
    if admission is not None and admission.standing is Standing.UNASKED:
        return _asking(channel)
    if admission is None or admission.standing not in {Standing.MEMBER, Standing.OUTSIDE}:
        message = f"own peers are in channel {channel} and do not take {msp_id} for a member; if they are not still "
        return no(Reason.NOT_A_MEMBER, f"{message}catching up, it was removed: ask a member to propose addOrganization")
    if admission.standing is Standing.OUTSIDE:
        return no(Reason.NOT_A_MEMBER, outside_message(channel, msp_id))
    message = f"own peers read channel {channel} up to block {admission.config_block}, which has {msp_id} as a member"
    return no(Reason.PROGRESSING, message)
