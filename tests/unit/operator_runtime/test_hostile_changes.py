"""AC-25, AC-29b: what is accepted and would hurt, or is not what it says, gets no signature of this organization."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from fabric_protos.common import configtx_pb2
from fabric_protos.orderer import configuration_pb2
from unit.fabric import channel
from unit.operator_channels.changes import ORG1, ORG2, ORG3, config, stated
from unit.operator_channels.proposals import agreed, planned, proposed
from unit.operator_runtime.channelsession import Session
from unit.operator_runtime.fetching import no_packages

from fabric_admin import channelconfig
from opssc_chaincode.model import ChannelContent, Decision, Proposal
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.kinds.channel_work import SignUpdate
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.verdict import Verdict
from opssc_operator.domain.voting import own_vote
from opssc_operator.reconcile.gathering import Gatherer
from opssc_operator.reconcile.kinds.workers import build_workers
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.serverbook import ServerBook
from opssc_operator.reconcile.servershelf import Shelves
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from opssc_operator.domain.stage import ProposalDecision
    from opssc_operator.ledger.session import OrganizationSession

    from .conftest import Manifests

CONSENSUS = "/Channel/Orderer/ConsensusType"
MAINTENANCE = {"changes": [stated("setMaintenance")]}


def unknown_consensus() -> bytes:
    """Another consensus type, which no orderer has."""
    start = config().config
    updated = channelconfig.edits.tree.copy(start)
    value = updated.channel_group.groups["Orderer"].values["ConsensusType"]
    consensus = configuration_pb2.ConsensusType.FromString(value.value)
    consensus.type = "solo"
    value.value = consensus.SerializeToString()
    return channelconfig.compute_update(channel.CHANNEL, start, updated).SerializeToString()


def lost_child() -> bytes:
    """A group in a group whose version stays, so that orderers accept it and forget it."""
    update = configtx_pb2.ConfigUpdate(channel_id=channel.CHANNEL)
    update.read_set.groups["Application"].SetInParent()
    lost = update.write_set.groups["Application"].groups["Lost"]
    lost.CopyFrom(config().config.channel_group.groups["Application"].groups["Org3"])
    return update.SerializeToString()


def maintenance() -> bytes:
    """Maintenance mode, as it may be proposed for every channel but one."""
    return cast("ChannelContent", proposed(MAINTENANCE).content).update_bytes


def robbery() -> bytes:
    """The removal of an organization, whatever else is said."""
    start = config().config
    robbed = channelconfig.edits.remove_organization(start, ORG3)
    return channelconfig.compute_update(channel.CHANNEL, start, robbed).SerializeToString()


def encoded(update: bytes) -> str:
    return base64.b64encode(update).decode()


@dataclass(frozen=True, slots=True)
class Case:
    """A proposal past the proposer's operator, and what is said of it."""

    update: bytes
    says: tuple[str, ...]
    changes: dict[str, Any] | None = None
    governance: bool = False


HAZARDS = {
    "an unknown consensus type": Case(unknown_consensus(), (CONSENSUS, "no orderer knows the consensus type 'solo'")),
    "a child group without its parent": Case(lost_child(), ("/Channel/Application/Lost", "silently discard it")),
    "maintenance of the governance channel": Case(
        maintenance(), (CONSENSUS, "nobody could vote to leave it"), MAINTENANCE, governance=True
    ),
    "raw maintenance of the governance channel": Case(
        maintenance(), (CONSENSUS, "nobody could vote to leave it"), governance=True
    ),
}
FORGERIES = {
    "another delta than its changes": Case(
        robbery(), ("configUpdate is not what its changes amount to here",), {"changes": [stated("setACL")]}
    ),
}


@pytest.mark.parametrize("name", HAZARDS)
def test_what_would_hurt_is_refused_before_it_is_proposed(name: str) -> None:
    case = HAZARDS[name]

    found = planned(case.changes or {"configUpdate": encoded(case.update)}, governance=case.governance)

    assert isinstance(found, Verdict)
    assert (found.status, found.reason) == ("False", Reason.INVALID_SPEC)
    assert all(each in found.message for each in case.says), found.message


def forged(case: Case) -> Proposal:
    """A proposal with this update whose hash is right."""
    honest = proposed(case.changes or {"changes": [stated("setACL")]})
    content = cast("ChannelContent", honest.content)
    said = content.changes if case.changes else ()
    content = content.model_copy(update={"changes": said, "config_update": encoded(case.update)})
    made = honest.model_copy(update={"content": content})
    return made.model_copy(update={"hash": made.content_hash})


async def decide(manifests: Manifests, proposal: Proposal, *, governance: bool) -> ProposalDecision:
    """What an organization does about a proposal that everybody agreed to, in its own name too."""
    store = ObjectStore()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    organization = FabricOrganization.model_validate(manifests.organization())
    facts, ref = agreed(proposal, ORG1, ORG2, ORG3, "OrdererMSP"), ProposalRef(ORG1, proposal.id)
    session = Session(config(), {ref: facts})
    if governance:
        session.settings.governance_channel = channel.CHANNEL
    workers = build_workers(ServerBook(WorkQueue(), store, Shelves()), no_packages(store), cast("Any", None))
    observed = await Gatherer(store, workers).gather(organization, cast("OrganizationSession", session), ref)
    assert observed.tally is not None
    assert observed.tally.accepted
    assert own_vote(facts, ORG1) is Decision.AGREE
    return decide_proposal(observed)


@pytest.mark.parametrize("name", (HAZARDS | FORGERIES))
async def test_what_was_accepted_all_the_same_is_not_signed_and_says_why(manifests: Manifests, name: str) -> None:
    # Given
    case = (HAZARDS | FORGERIES)[name]

    # When
    decision = await decide(manifests, forged(case), governance=case.governance)

    # Then
    verified = decision.conditions[ConditionType.VERIFIED]
    assert (verified.status, verified.reason) == ("False", Reason.DELTA_MISMATCH)
    assert all(each in verified.message for each in case.says), verified.message
    assert ConditionType.STALLED in decision.conditions
    assert (decision.ledger_actions, decision.reports) == ((), ())


async def test_what_is_what_it_says_is_signed(manifests: Manifests) -> None:
    decision = await decide(manifests, proposed(), governance=False)

    assert decision.ledger_actions == (SignUpdate(),)
