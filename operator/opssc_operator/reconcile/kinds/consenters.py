"""Own orderers whose part in a channel an accepted proposal changes: looked at, and had join in time."""

from __future__ import annotations

import asyncio
from typing import Final

from opssc_chaincode.model import ChannelContent, Facts, Step
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.channels.consenter_tasks import ConsenterTask, Task, find_tasks, still_asked
from opssc_operator.domain.choices import stands_aside
from opssc_operator.domain.kinds.consenter_work import ConsenterNode, JoinConsenter
from opssc_operator.domain.observation import ProposalObserved, voting_observed
from opssc_operator.domain.report import was_done
from opssc_operator.errors import TransientError
from opssc_operator.ledger.session import OrganizationSession

# An organization that left the channel and still has orderers there is known, and may not read all the same.
_REFUSALS: Final = frozenset({Reason.UNKNOWN_MSP, Reason.NOT_A_MEMBER, Reason.IDENTITY_INVALID})


async def observe_consenters(
    observed: ProposalObserved, facts: Facts, content: ChannelContent, session: OrganizationSession, *, applied: bool
) -> tuple[ConsenterNode, ...]:
    """What the own orderers show; what was reported done is not asked again, so that a later stop is no news.

    An organization that stands aside leaves its orderers alone, and what is asked of those of a member that was removed
    since, nobody can tell. Raises TransientError.
    """
    if stands_aside(voting_observed(observed), execution=observed.execution, is_committed=False) is not None:
        return ()
    own = [task for task in find_tasks(content) if session.orderers.know(task.address) or task.msp_id == session.msp_id]
    removed = [ConsenterNode(task) for task in own if task.task is Task.REMOVE]
    if was_done(facts, session.msp_id, Step.JOINED):
        return tuple(removed)
    asked = tuple(task for task in own if task.task is not Task.REMOVE)
    if applied:
        asked = await _still_asked(asked, content.channel, session)
    seen = await asyncio.gather(*(session.orderers.see_consenter(content.channel, task) for task in asked))
    return (*seen, *removed)


async def _still_asked(
    tasks: tuple[ConsenterTask, ...], channel: str, session: OrganizationSession
) -> tuple[ConsenterTask, ...]:
    """What the configuration in force still asks, none where it refuses to be read; unread when no orderer is listed.

    Raises TransientError.
    """
    if not any(session.orderers.know(task.address) for task in tasks):
        return tasks
    try:
        block = await session.config_blocks.in_force(channel)
    except TransientError as exc:
        if exc.reason not in _REFUSALS:
            raise
        return ()
    return still_asked(tasks, block.config)


async def join_consenter(action: JoinConsenter, content: ChannelContent, session: OrganizationSession) -> None:
    """Have an own orderer follow the channel from its latest config block; raises TransientError, PartialError."""
    await session.orderers.join(action.address, await session.reader.config_block(content.channel))
