"""What an operator sees of a channel proposal while the channel, its identities and other proposals change."""

from __future__ import annotations

import asyncio
import base64
import sys
from dataclasses import fields, is_dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.fabric import channel
from unit.fabric.channel import NOW, person
from unit.operator_channels.changes import ORG1, ORG2, ORG3, RECIPE, changes, config, stated
from unit.operator_channels.proposals import agreed, observed, plan, proposed, view_of
from unit.operator_runtime.channelsession import Session

from fabric_admin import channelconfig
from opssc_chaincode.model import DEFAULT_CHARTER, ChannelContent, Creator, Facts, Proposal
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.proposal import Origin, Phase
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.actions import Propose
from opssc_operator.domain.channels.application import apply_changes
from opssc_operator.domain.kinds.channel_status import channel_status
from opssc_operator.domain.kinds.channel_work import LINES, POLICIES, ChannelChange, UpdateWork
from opssc_operator.domain.observation import ManifestState
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.verdict import Verdict, yes
from opssc_operator.domain.verification import Grounds
from opssc_operator.reconcile.gathering import MIRROR_LIMIT
from opssc_operator.reconcile.kinds.channel import ChannelWorker
from opssc_operator.reconcile.kinds.creation import verify_creation

if TYPE_CHECKING:
    from fabric_admin.channelconfig import ChannelConfig
    from opssc_operator.domain.observation import ProposalObserved
    from opssc_operator.kube.client import KubeClient
    from opssc_operator.ledger.session import OrganizationSession

ACLS = "/Channel/Application/ACLs"
POLICIES_ADDED = 240
CREATED = {"action": "Create", "create": RECIPE}


def worker() -> ChannelWorker:
    return ChannelWorker(cast("KubeClient", None))


def of(session: Session) -> OrganizationSession:
    return cast("OrganizationSession", session)


def shown(facts: Facts) -> ProposalObserved:
    """The proposal in the namespace of an organization that mirrors it."""
    seen = observed(facts)
    mirror = ManifestState("change.org1msp", Origin.MIRRORED, NOW)
    return replace(seen, verified=yes(Reason.VERIFIED), mirror=mirror)


def changed(start: ChannelConfig, name: str) -> ChannelConfig:
    """The channel after another change of the ACLs was applied."""
    other = {"setACL": {"resource": name, "policy": "/Channel/Application/Writers"}}
    updated = apply_changes(start.config, changes(other), governance=False)
    return channel.load(start.updated_by(channelconfig.compute_update(channel.CHANNEL, start.config, updated)))


async def test_what_the_channel_overtakes_while_it_is_voted_on_names_the_element_and_is_not_applied() -> None:
    # Given
    facts = agreed(proposed(), ORG1)
    session = Session(changed(config(), "qscc/GetBlockByHash"))

    # When
    seen = await worker().review(shown(facts), facts, of(session))
    decision = decide_proposal(seen)

    # Then: it is proposed anew
    applied = decision.conditions[ConditionType.APPLIED]
    assert (decision.phase, applied.status, applied.reason) == (Phase.STALE, "False", Reason.STALE)
    assert ACLS in applied.message
    assert ACLS in decision.conditions[ConditionType.READY].message
    (action,) = decision.ledger_actions
    assert isinstance(action, Propose)
    assert action.plan.proposal_id == "change-r2"

    # And: it names what has taken its place
    session.known[ProposalRef(ORG1, "change-r2")] = agreed(proposed(), ORG1)
    seen = await worker().review(shown(facts), facts, of(session))
    decision = decide_proposal(seen)
    assert channel_status(seen, {})["successor"] == "Org1MSP/change-r2"
    assert decision.conditions[ConditionType.APPLIED].message.startswith("Org1MSP/change-r2 proposes the same anew; ")
    assert ACLS in decision.conditions[ConditionType.APPLIED].message
    assert (decision.ledger_actions, ConditionType.STALLED in decision.conditions) == ((), False)


async def test_other_members_and_another_rule_are_named() -> None:
    # Given
    facts = agreed(proposed({"changes": [stated("setBatch")]}), ORG1)
    without = apply_changes(config().config, changes({"removeOrganization": {"mspID": ORG3}}), governance=False)

    # When
    seen = await worker().review(shown(facts), facts, of(Session(channel.load(without))))

    # Then
    assert isinstance(seen.stale, Verdict)
    assert seen.stale.message == "the configuration moved on: the channel has other organizations now: - Org3MSP"


async def test_what_the_channel_overtakes_after_it_was_accepted_is_proposed_anew_once() -> None:
    # Given: accepted, and it still fits
    facts = agreed(proposed(), ORG1, ORG2)
    session, kept = Session(config()), worker()
    before = await kept.observe(shown(facts), facts, of(session), ())
    assert isinstance(before.work, UpdateWork)
    assert before.work.misfit == ""

    # When
    session.show(changed(config(), "qscc/GetBlockByHash"), 4)
    after = decide_proposal(await kept.observe(shown(facts), facts, of(session), ()))

    # Then
    assert (after.phase, after.conditions[ConditionType.APPLIED].reason) == (Phase.STALE, Reason.STALE)
    assert ACLS in after.conditions[ConditionType.APPLIED].message
    (action,) = after.ledger_actions
    assert isinstance(action, Propose)
    assert action.plan.proposal_id == "change-r2"

    # And
    session.known[ProposalRef(ORG1, "change-r2")] = agreed(proposed(), ORG1)
    seen = await kept.observe(shown(facts), facts, of(session), ())
    assert decide_proposal(seen).ledger_actions == ()
    assert channel_status(seen, {})["successor"] == "Org1MSP/change-r2"


async def test_whose_administrator_was_invalid_signs_with_another_one() -> None:
    # Given
    facts = agreed(proposed(), ORG1, ORG2)
    session, kept = Session(config()), worker()
    session.settings.admin = person("Org9MSP")
    before = await kept.observe(shown(facts), facts, of(session), ())

    # When: a rotation opens a session with other settings
    session.settings = SimpleNamespace(**{**vars(session.settings), "admin": person(ORG1), "fingerprint": "second"})
    after = await kept.observe(shown(facts), facts, of(session), ())

    # Then
    assert isinstance(before.work, UpdateWork)
    assert isinstance(after.work, UpdateWork)
    assert "not valid on channel" in before.work.own_problem
    assert after.work.own_problem == ""


async def test_the_same_configuration_is_looked_at_once() -> None:
    facts = agreed(proposed(), ORG1, ORG2)
    session, kept = Session(config()), worker()

    for _ in range(3):
        await kept.observe(shown(facts), facts, of(session), ())

    assert session.reads == 1


async def test_every_resync_finds_what_is_known_of_all_that_a_large_consortium_may_have_in_review() -> None:
    # Given: as many as are mirrored of 20 creators; what the first one was judged to be is known of all
    known, kept = proposed(), worker()
    of_all = [
        Facts(
            proposal=known.model_copy(
                update={"creator": Creator(msp_id=f"Org{creator}MSP", subject=""), "id": f"c-{number}"}
            )
        )
        for creator in range(20)
        for number in range(MIRROR_LIMIT)
    ]
    session = Session(config())
    await kept._judge(of_all[0], session.block.view, of(session))
    (first,) = kept._judged.values()
    for facts in of_all[1:]:
        kept._judged["org1", facts.proposal.name] = first

    # When
    for facts in of_all:
        await kept._judge(facts, session.block.view, of(session))

    # Then
    assert len(kept._judged) == len(of_all)
    assert session.reads == 1


@pytest.mark.parametrize("inside", [True, False], ids=["a-peer-tells", "orderers-are-asked"])
async def test_who_has_no_peer_in_the_channel_hears_nothing_of_its_blocks(inside: bool) -> None:
    facts, session = agreed(proposed(), ORG1, ORG2), Session(config())
    session.peers.inside = inside

    seen = await worker().observe(shown(facts), facts, of(session), ())

    assert isinstance(seen.work, UpdateWork)
    assert seen.work.unheard is not inside


async def test_who_alone_gets_the_block_of_maintenance_mode_is_seen() -> None:
    change = {"type": "setMaintenance", "setMaintenance": {"enabled": True}}
    facts = agreed(proposed({"changes": [change]}), ORG1)

    seen = await worker().observe(shown(facts), facts, of(Session(config())), ())

    assert isinstance(seen.work, UpdateWork)
    assert seen.work.audience == channel.ORDERERS


def flood() -> Proposal:
    """A raw update with many new policies of long names."""
    start = config()
    updated = channelconfig.edits.tree.copy(start.config)
    organization = updated.channel_group.groups["Application"].groups["Org1"]
    for number in range(POLICIES_ADDED):
        added = organization.policies[str(number).rjust(120, "p")]
        added.mod_policy = "Admins"
        added.policy.CopyFrom(organization.policies["Admins"].policy)
    update = channelconfig.compute_update(channel.CHANNEL, start.config, updated).SerializeToString()
    return proposed({"configUpdate": base64.b64encode(update).decode()})


def size_of(value: Any, seen: set[int] | None = None) -> int:
    """How many bytes a value holds on to."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return 0
    seen.add(id(value))
    parts: list[Any] = []
    if is_dataclass(value):
        parts = [getattr(value, each.name) for each in fields(value)]
    elif isinstance(value, tuple | list | frozenset | set):
        parts = list(value)
    return sys.getsizeof(value) + sum(size_of(part, seen) for part in parts)


async def test_what_is_kept_of_a_hostile_update_is_what_status_shows() -> None:
    # Given
    facts = agreed(flood(), ORG1)
    kept = worker()

    # When
    seen = await kept.review(shown(facts), facts, of(Session(config())))

    # Then
    assert isinstance(seen.review, ChannelChange)
    assert (len(seen.review.lines), len(seen.review.policies)) == (LINES, POLICIES)
    assert channel_status(seen, {})["diff_omitted"] == POLICIES_ADDED - LINES
    assert len(kept._judged) == 1
    assert size_of(tuple(kept._judged.values())) < 100_000


async def test_a_genesis_block_is_built_beside_everything_else() -> None:
    # Given
    start = config()
    document = plan(CREATED)
    proposal = proposed(CREATED)
    content = cast("ChannelContent", document.content)
    assert content.create is not None
    grounds = Grounds(replace(view_of(start), channel="ops-channel"), DEFAULT_CHARTER)
    snapshot = proposal.snapshot.model_copy(update={"channel": "ops-channel"})
    named = proposal.model_copy(update={"snapshot": snapshot})

    # When
    verifying = asyncio.ensure_future(verify_creation(named, content, content.create, grounds, of(Session(start))))
    await asyncio.sleep(0)

    # Then: others had a turn while it is at work
    assert not verifying.done()
    assert (await verifying).status in {"True", "False"}
