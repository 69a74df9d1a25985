"""Changes that Fabric would accept and somebody would regret."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fabric_protos.common import configtx_pb2
from unit.fabric.channel import (
    build,
    load,
)

from fabric_admin.channelconfig import diff, edits
from fabric_admin.errors import HazardousChange

Config = configtx_pb2.Config
Edit = Callable[[Config], Config]

HAZARDS: list[tuple[str, Edit, str, str]] = [
    (
        "unknown-application-capability",
        lambda config: edits.set_capability(config, "Application", "V9_9"),
        "/Channel/Application/Capabilities",
        "no node knows the application capability V9_9: every peer panics",
    ),
    (
        "lower-capability",
        lambda config: edits.set_capability(config, "Application", "V2_0"),
        "/Channel/Application/Capabilities",
        "the required level falls below V2_5",
    ),
    (
        "admins-without-sub-policy",
        lambda config: edits.set_policy(config, "/Channel/Application/Admins", "MAJORITY NoSuch"),
        "/Channel/Application/Admins",
        "the policy can be satisfied by nobody on the channel, so /Channel/Application and all it governs would be",
    ),
    (
        "admins-of-strangers",
        lambda config: edits.set_policy(config, "/Channel/Application/Org1/Admins", "OR('Org9MSP.admin')"),
        "/Channel/Application/Org1/Admins",
        "locked for ever",
    ),
    (
        "mod-policy-that-does-not-exist",
        lambda config: edits.set_mod_policy(config, "/Channel/Application/ACLs", "Nobody"),
        "/Channel/Application/Nobody",
        "the policy does not exist, so /Channel/Application/ACLs and all it governs would be locked for ever",
    ),
    (
        "writers-nobody-satisfies",
        lambda config: edits.set_policy(config, "/Channel/Writers", "ANY Nobody"),
        "/Channel/Writers",
        "nobody on the channel could satisfy the policy any more",
    ),
    (
        "anybody-is-admin",
        lambda config: edits.set_policy(config, "/Channel/Application/Org1/Admins", "ANY Admins"),
        "/Channel/Application/Org1/Admins",
        "asks for nobody's signature, so anybody satisfies it",
    ),
    (
        "acl-nobody-satisfies",
        lambda config: edits.set_acl(config, "peer/Propose", "/Channel/Application/Nobody"),
        "/Channel/Application/Nobody",
        "nobody on the channel could satisfy the policy any more",
    ),
    (
        "acl-that-takes-several-organizations",
        lambda config: edits.set_acl(config, "qscc/GetChainInfo", "/Channel/Application/Admins"),
        "/Channel/Application/Admins",
        "a request has one signature: nobody could ask any more",
    ),
    (
        "writers-of-both-sections-at-once",
        lambda config: edits.set_policy(config, "/Channel/Writers", "ALL Writers"),
        "/Channel/Writers",
        "a request has one signature: nobody could ask any more",
    ),
    (
        "readers-that-sign-together",
        lambda config: edits.set_policy(config, "/Channel/Application/Readers", "AND('Org1MSP.peer', 'Org2MSP.peer')"),
        "/Channel/Application/Readers",
        "a request has one signature: nobody could ask any more",
    ),
    (
        "blocks-too-small-for-a-config",
        lambda config: edits.set_batch(config, absolute_max_bytes=2000, preferred_max_bytes=1000),
        "/Channel/Orderer/BatchSize",
        "no config transaction would fit into 2000 bytes",
    ),
    (
        "maintenance-of-the-governance-channel",
        lambda config: edits.set_maintenance(config, on=True, governance=True),
        "/Channel/Orderer/ConsensusType",
        "nobody could vote to leave it",
    ),
]


@pytest.mark.parametrize(
    ("edit", "element", "hazard"), [pytest.param(edit, element, text, id=name) for name, edit, element, text in HAZARDS]
)
def test_what_fabric_would_accept_to_everybodys_harm_is_refused_by_name(edit: Edit, element: str, hazard: str) -> None:
    with pytest.raises(HazardousChange) as refused:
        edit(build())

    assert refused.value.element == element
    assert hazard in refused.value.hazard
    assert refused.value.remedy
    assert str(refused.value).startswith(element)


def test_leaving_maintenance_is_no_hazard_even_for_the_governance_channel() -> None:
    inside = edits.set_maintenance(build(), on=True)

    outside = edits.set_maintenance(inside, on=False, governance=True)

    assert diff(build(), outside) == ()
    assert load(inside).consensus.in_maintenance


def test_whoever_already_stands_in_a_locked_group_may_still_be_helped() -> None:
    locked = build()
    locked.channel_group.groups["Application"].policies["Admins"].policy.value = b"\n\x06NoSuch\x10\x02"

    edited = edits.set_policy(locked, "/Channel/Application/Admins", "MAJORITY Admins")

    assert diff(locked, edited) == ("~ /Channel/Application/Admins: MAJORITY NoSuch -> MAJORITY Admins",)
