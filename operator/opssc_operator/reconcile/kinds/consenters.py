"""Own orderers whose part in a channel an accepted proposal changes: looked at, and had join in time."""

from __future__ import annotations

import asyncio

from opssc_chaincode.model import ChannelContent, Facts, Outcome, Step
from opssc_operator.domain.channels.consenter_tasks import Task, find_tasks, still_asked
from opssc_operator.domain.choices import stands_aside
from opssc_operator.domain.kinds.consenter_work import ConsenterNode, JoinConsenter
from opssc_operator.domain.observation import ProposalObserved, voting_observed
from opssc_operator.domain.report import own_report
from opssc_operator.ledger.session import OrganizationSession


async def observe_consenters(
    observed: ProposalObserved, facts: Facts, content: ChannelContent, session: OrganizationSession, *, applied: bool
) -> tuple[ConsenterNode, ...]:
    """What the own orderers show; what was reported done is not asked again, so that a later stop is no news.

    An organization that stands aside leaves its orderers alone. Raises TransientError.
    """
    if stands_aside(voting_observed(observed), execution=observed.execution, is_committed=False) is not None:
        return ()
    own = [task for task in find_tasks(content) if session.orderers.know(task.address) or task.msp_id == session.msp_id]
    told = own_report(facts, session.msp_id, Step.JOINED)
    removed = [ConsenterNode(task) for task in own if task.task is Task.REMOVE]
    if told is not None and told.outcome is Outcome.DONE:
        return tuple(removed)
    asked = tuple(task for task in own if task.task is not Task.REMOVE)
    if applied and asked:
        asked = still_asked(asked, (await session.config_blocks.in_force(content.channel)).config)
    seen = await asyncio.gather(*(session.orderers.see_consenter(content.channel, task) for task in asked))
    return (*seen, *removed)


async def join_consenter(action: JoinConsenter, content: ChannelContent, session: OrganizationSession) -> None:
    """Have an own orderer follow the channel from its latest config block; raises TransientError, PartialError."""
    await session.orderers.join(action.address, await session.reader.config_block(content.channel))
