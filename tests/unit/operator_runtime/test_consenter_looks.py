"""Which own orderers of an applied change are asked, and what becomes of them when the channel refuses to be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from unit.fabric import channel
from unit.operator_channels.changes import ORG1, config, consenter
from unit.operator_channels.proposals import agreed, observed, proposed
from unit.operator_channels.test_consenters import ADDRESS, content

from opssc_operator.api.conditions import Reason
from opssc_operator.errors import TransientError
from opssc_operator.ledger.own_orderers import OrdererAccess, OwnOrderers
from opssc_operator.reconcile.kinds.consenters import observe_consenters

if TYPE_CHECKING:
    from opssc_operator.domain.kinds.consenter_work import ConsenterNode
    from opssc_operator.ledger.session import OrganizationSession

ANOTHERS = {"addConsenter": consenter(4)}


class ConfigBlocks:
    """A channel that is read, or says why not."""

    def __init__(self, refusal: Reason | None) -> None:
        self._refusal = refusal
        self.reads = 0

    async def in_force(self, name: str) -> object:
        self.reads += 1
        if self._refusal is not None:
            raise TransientError(f"reading the configuration of channel {name}", reason=self._refusal)
        return SimpleNamespace(config=config())


async def look(config_blocks: ConfigBlocks, *, listed: bool) -> tuple[ConsenterNode, ...]:
    """What is seen of the applied addition of an orderer that the proposer says is this organization's."""
    access = OrdererAccess(ADDRESS, "127.0.0.1:1", b"", b"", b"")
    session = SimpleNamespace(
        msp_id=channel.ORDERERS[0], orderers=OwnOrderers((access,) * listed), config_blocks=config_blocks
    )
    facts = agreed(proposed(), ORG1)
    return await observe_consenters(
        observed(facts), facts, content(ANOTHERS), cast("OrganizationSession", session), applied=True
    )


async def test_for_an_orderer_that_is_not_listed_no_configuration_is_read() -> None:
    config_blocks = ConfigBlocks(Reason.PEER_UNREACHABLE)

    nodes = await look(config_blocks, listed=False)

    assert [(node.task.address, node.listed) for node in nodes] == [(ADDRESS, False)]
    assert config_blocks.reads == 0


@pytest.mark.parametrize("refusal", [Reason.UNKNOWN_MSP, Reason.NOT_A_MEMBER, Reason.IDENTITY_INVALID])
async def test_a_member_that_was_removed_is_asked_nothing_more(refusal: Reason) -> None:
    assert await look(ConfigBlocks(refusal), listed=True) == ()


async def test_a_peer_that_is_away_is_no_refusal() -> None:
    with pytest.raises(TransientError) as failure:
        await look(ConfigBlocks(Reason.PEER_UNREACHABLE), listed=True)
    assert failure.value.reason == Reason.PEER_UNREACHABLE


async def test_an_orderer_that_left_the_configuration_is_asked_nothing_more() -> None:
    config_blocks = ConfigBlocks(None)

    assert await look(config_blocks, listed=True) == ()
    assert config_blocks.reads == 1
