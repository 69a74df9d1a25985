"""What an accepted update is on the configuration in force, with the signatures there are. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fabric_admin.capabilities import Line
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import IdentityError
from opssc_chaincode.model import ChannelContent, Facts, Proposal
from opssc_operator.api.fields import status_text
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.history import AppliedIn
from opssc_operator.domain.channels.signatures import read_signatures, valid_signatures
from opssc_operator.domain.channels.verification import judge_standing
from opssc_operator.domain.kinds.channel_work import ChannelChange


@dataclass(frozen=True, slots=True)
class Judged:
    """``misfit`` and ``refusal`` are empty when the configuration takes the update, and an orderer would take it.

    ``own_problem`` says why a signature of the own administrator would not count there, ``audience`` who alone gets the
    block that applies it, if not every member, and ``line`` are the oldest releases whose peers go on after it.
    """

    change: ChannelChange
    applied: AppliedIn | None = None
    misfit: str = ""
    refusal: str = ""
    own_problem: str = ""
    audience: tuple[str, ...] | None = None
    line: Line = Line.FABRIC_2_5


def judge(
    facts: Facts,
    config: ChannelConfig,
    applied: AppliedIn | None,
    own_creator: bytes,
    *,
    governance: bool,
    now: datetime,
) -> Judged:
    """Judge an update; ``own_creator`` is the serialized identity of the organization's administrator."""
    content = facts.proposal.content
    if not isinstance(content, ChannelContent):
        return Judged(ChannelChange(config.channel_id, (), ()), misfit="the proposal is about no channel")
    update, channel = content.update_bytes, content.channel
    signed = read_signatures(facts, config, update)
    if applied is not None:
        return Judged(ChannelChange(channel, (), (), signed), applied)
    delta = judge_standing(facts.proposal, config, governance=governance)
    if isinstance(delta, ChangeRefused):
        return Judged(ChannelChange(channel, (), (), signed), misfit=status_text(str(delta)))
    forecast = config.forecast(update, valid_signatures(signed), now=now)
    return Judged(
        ChannelChange.brief(channel, delta.lines, forecast.verdicts or delta.verdicts, signed),
        refusal="" if forecast.refusal is None else status_text(forecast.refusal.explanation),
        own_problem=_own_problem(config, own_creator),
        audience=delta.audience,
        line=delta.line,
    )


def is_same_change(proposal: Proposal, content: ChannelContent) -> bool:
    """Whether another proposal asks for the very same changes of the same channel."""
    other = proposal.content
    return isinstance(other, ChannelContent) and (other.channel, other.changes) == (content.channel, content.changes)


def _own_problem(config: ChannelConfig, creator: bytes) -> str:
    try:
        config.msp_manager.validate(config.msp_manager.deserialize(creator))
    except IdentityError as exc:
        return f"its administrator is not valid on channel {config.channel_id}: {exc}"
    return ""
