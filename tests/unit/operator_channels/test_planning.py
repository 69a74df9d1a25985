"""From a manifest to a proposal: planned, and verified by computing it anew."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from fabric_protos.common import configtx_pb2
from unit.fabric import channel
from unit.fabric.channel import NOW
from unit.operator_channels.changes import IN_A_CONFIG_MAP, NEWER, ORG2, RECIPE, config, definition, spec, stated
from unit.operator_channels.proposals import ACL, plan, plan_update, planned, proposed, verdict_on

from fabric_admin import channelconfig
from fabric_admin.capabilities import Line
from fabric_admin.channelconfig import ChannelConfig
from opssc_chaincode.model import OrganizationDefinition, ProposalDocument
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.content import references
from opssc_operator.domain.channels.delta import same_update
from opssc_operator.domain.channels.planning import next_revision
from opssc_operator.domain.channels.verification import delta_of, judge_standing
from opssc_operator.domain.kinds.channel_work import ChannelChange
from opssc_operator.domain.planning import Plan, Preview
from opssc_operator.domain.releases import PEERS_NOT_ASKED, PeerRelease
from opssc_operator.domain.verdict import Verdict


def test_a_plan_pins_all_organizations_and_the_rule_of_its_delta() -> None:
    document = ProposalDocument.parse(plan(ACL).document)

    assert document.snapshot.members == tuple(sorted((*channel.MEMBERS, "OrdererMSP")))
    assert document.snapshot.rule == delta_of(document.content, config(), governance=False, at=NOW).rule  # type: ignore[arg-type, union-attr]


def test_a_dry_run_shows_and_proposes_nothing() -> None:
    found = planned({**ACL, "dryRun": True})

    assert isinstance(found, Preview)
    assert "nothing is on the ledger" in found.message
    assert isinstance(found.review, ChannelChange)
    assert any("qscc/GetChainInfo" in line for line in found.review.lines)


@pytest.mark.parametrize("dry_run", [False, True], ids=["proposed", "shown"])
def test_what_own_peers_of_an_older_release_would_stop_at_is_not_planned(*, dry_run: bool) -> None:
    # Given
    start, fields = config(channel.OLD_PROFILE), {**NEWER, "dryRun": dry_run}
    old, new = PeerRelease("peer0", Line.FABRIC_2_5), PeerRelease("peer0", Line.FABRIC_3)

    # When
    unasked, refused, found = (planned(fields, on=start, peers=peers) for peers in (None, (old,), (new,)))

    # Then
    assert unasked is PEERS_NOT_ASKED
    assert isinstance(refused, Verdict)
    assert (refused.status, refused.reason) == ("False", Reason.PEER_TOO_OLD)
    assert isinstance(found, Preview if dry_run else Plan)


@pytest.mark.parametrize(
    ("fields", "more", "reason"),
    [
        pytest.param(ACL, {"own": "Org9MSP"}, Reason.NOT_A_MEMBER, id="no member"),
        pytest.param({"configUpdate": "AAAA"}, {}, Reason.INVALID_SPEC, id="no update"),
        pytest.param({"changes": [stated("setBatch"), stated("setBatch")]}, {}, None, id="twice the same is once"),
        pytest.param({**ACL, "votingPeriod": "999999h"}, {}, Reason.INVALID_SPEC, id="longer than the charter allows"),
        pytest.param({"action": "Create", "create": RECIPE}, {"own": ORG2}, Reason.NOT_A_MEMBER, id="not for itself"),
    ],
)
def test_what_can_and_cannot_be_planned(fields: dict[str, Any], more: dict[str, Any], reason: Reason | None) -> None:
    found = planned(fields, **more)

    assert isinstance(found, Plan) if reason is None else isinstance(found, Verdict) and found.reason is reason


def test_a_definition_read_from_elsewhere_is_in_the_plan() -> None:
    change = stated("addOrganization")
    change["addOrganization"]["definitionFrom"] = IN_A_CONFIG_MAP
    (source,) = references(spec(changes=[change]))
    known = OrganizationDefinition.model_validate_json(json.dumps(definition("Org4MSP")))

    assert (
        plan({"changes": [change]}, definitions={source: known}).content
        == plan({"changes": [stated("addOrganization")]}).content
    )


def test_what_was_planned_verifies() -> None:
    assert verdict_on(proposed(), config()).holds


def test_a_delta_other_than_its_changes_is_a_mismatch() -> None:
    honest, other = proposed(), proposed({"changes": [stated("removeOrganization")]})
    content = honest.content.model_copy(update={"config_update": other.content.config_update})  # type: ignore[union-attr]
    forged = honest.model_copy(update={"content": content})
    forged = forged.model_copy(update={"hash": forged.content_hash})

    verdict = verdict_on(forged, config())

    assert (verdict.status, verdict.reason) == ("False", Reason.DELTA_MISMATCH)


def test_a_false_rule_or_member_list_is_a_mismatch() -> None:
    honest = proposed()
    snapshot = honest.snapshot.model_copy(update={"members": channel.MEMBERS})
    forged = honest.model_copy(update={"snapshot": snapshot})

    verdict = verdict_on(forged.model_copy(update={"hash": forged.content_hash}), config())

    assert verdict.reason is Reason.SNAPSHOT_MISMATCH
    assert "members" in verdict.message


def test_a_hazard_in_a_raw_update_is_named() -> None:
    start = config(channel.OLD_PROFILE)
    edited = channelconfig.edits.tree.copy(start.config)
    capabilities = edited.channel_group.groups["Application"].values["Capabilities"]
    capabilities.value = capabilities.value.replace(b"V2_0", b"V9_9")
    update = channelconfig.compute_update(channel.CHANNEL, start.config, edited).SerializeToString()

    refused = judge_raw(start, update)

    assert "V9_9" in str(refused)


def judge_raw(start: ChannelConfig, update: bytes) -> object:
    of = proposed()
    text = base64.b64encode(update).decode()
    raw = of.content.model_copy(update={"changes": (), "config_update": text})
    return delta_of(raw, start, governance=False, at=NOW)  # type: ignore[arg-type]


def test_a_policy_of_peers_is_no_matter_of_administrators() -> None:
    rule = "OR('Org1MSP.peer', 'Org2MSP.admin')"
    start = config()
    peers = plan_update({"changes": [policy("Odd", rule)]})
    odd = channel.load(start.updated_by(peers))
    pointed = channel.load(odd.updated_by(plan_update_on(odd, mod_policy("/Channel/Application/Odd"))))

    delta = delta_of(proposed(ACL, on=pointed).content, pointed, governance=False, at=NOW)  # type: ignore[arg-type]

    assert not isinstance(delta, ChangeRefused)
    assert set(delta.rule.leaves()) == {ORG2}


def policy(name: str, rule: str) -> dict[str, Any]:
    return {"type": "setPolicy", "setPolicy": {"path": f"/Channel/Application/{name}", "rule": rule}}


def mod_policy(path: str) -> dict[str, Any]:
    return {"type": "setModPolicy", "setModPolicy": {"path": "/Channel/Application/ACLs", "modPolicy": path}}


def plan_update_on(start: ChannelConfig, change: dict[str, Any]) -> bytes:
    return plan({"changes": [change]}, on=start).content.update_bytes  # type: ignore[union-attr]


def named(update: configtx_pb2.ConfigUpdate) -> None:
    """Groups that the channel has not, as a read set would name them by the thousand."""
    for number in range(5000):
        update.read_set.groups["Application"].groups["Org1"].values[f"v{number}"].version = 0


def organizations(update: configtx_pb2.ConfigUpdate) -> None:
    """A new organization with no more than a name, and a policy for each."""
    application = update.write_set.groups["Application"]
    for number in range(350):
        application.groups[f"g{number}"].version = 0
        application.policies[f"p{number}"].version = 0


def principals(update: configtx_pb2.ConfigUpdate) -> None:
    """A standing policy that becomes a rule of tens of thousands of principals."""
    update.write_set.groups["Application"].policies["Admins"].policy.value = bytes(70_000)


@pytest.mark.parametrize(
    ("fill", "refusal"),
    [
        pytest.param(named, "names more than 4000 elements", id="elements"),
        pytest.param(organizations, "adds more than 640 elements", id="new elements"),
        pytest.param(principals, "take more than 65536 bytes", id="principals"),
    ],
)
def test_a_flood_is_refused_before_anything_is_computed(
    fill: Callable[[configtx_pb2.ConfigUpdate], None], refusal: str
) -> None:
    update = configtx_pb2.ConfigUpdate(channel_id=channel.CHANNEL)
    fill(update)

    refused = judge_raw(config(), update.SerializeToString())

    assert refusal in str(refused)


def test_words_said_twice_are_no_agreement() -> None:
    update = plan_update(ACL)

    assert same_update(update, update)
    assert not same_update(update, update + update[: update.index(channel.CHANNEL.encode()) + len(channel.CHANNEL)])


def test_other_members_make_it_another_question() -> None:
    of = proposed()
    pinned = of.snapshot.model_copy(update={"members": channel.MEMBERS})

    misfit = judge_standing(of.model_copy(update={"snapshot": pinned}), config(), governance=False)

    assert isinstance(misfit, ChangeRefused)
    assert "organizations" in str(misfit)


@pytest.mark.parametrize(
    ("name", "following"),
    [
        pytest.param("change", "change-r2", id="first"),
        pytest.param("change-r2", "change-r3", id="second"),
        pytest.param("r2", "r2-r2", id="a name that only looks like one"),
        pytest.param("x" * 58, None, id="no room"),
    ],
)
def test_revisions_are_numbered(name: str, following: str | None) -> None:
    assert next_revision(name) == following
