"""Manifests about channels and contents on the ledger mean the same, whichever is made from the other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.fabric import channel
from unit.fabric.channel import NOW
from unit.operator_channels.changes import (
    EVERY_CHANGE,
    IN_A_CONFIG_MAP,
    ORG1,
    ORG2,
    ORG3,
    RECIPE,
    config,
    definition,
    spec,
    stated,
)

from opssc_chaincode.model import ChannelContent, OrganizationDefinition
from opssc_operator.api.channel_proposal import ChannelProposalSpec
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.content import (
    binds,
    conflicting_fields,
    create_content,
    references,
    resolve_changes,
    resolve_recipe,
    to_spec,
    update_content,
)
from opssc_operator.domain.channels.delta import compute_delta
from opssc_operator.domain.channels.founding import build_genesis, check_own_definition, same_block


def content_of(manifest: ChannelProposalSpec) -> ChannelContent:
    start = config(channel.OLD_PROFILE) if "setCapability" in str(manifest.changes) else config()
    changes = resolve_changes(manifest, {})
    return update_content(
        manifest.channel, changes, compute_delta(start, changes, governance=False, at=channel.NOW).update
    )


def creation() -> tuple[ChannelProposalSpec, ChannelContent]:
    manifest = spec(channel="newchannel", action="Create", create=RECIPE)
    recipe = resolve_recipe(manifest, {})
    return manifest, create_content(manifest, recipe, build_genesis("newchannel", recipe, at=NOW))


@pytest.mark.parametrize("name", EVERY_CHANGE)
def test_the_mirror_of_a_change_means_that_change(name: str) -> None:
    manifest = spec(changes=[stated(name)])
    content = content_of(manifest)

    mirror = ChannelProposalSpec.model_validate(to_spec(content))

    assert conflicting_fields(manifest, content) == ()
    assert conflicting_fields(mirror, content) == ()
    assert resolve_changes(mirror, {}) == content.changes


def test_the_mirror_of_a_raw_update_holds_the_update() -> None:
    content = content_of(spec(changes=[stated("setACL")])).model_copy(update={"changes": ()})

    mirror = ChannelProposalSpec.model_validate(to_spec(content))

    assert mirror.config_update == content.config_update
    assert conflicting_fields(mirror, content) == ()


def test_the_mirror_of_a_new_channel_means_that_channel() -> None:
    manifest, content = creation()

    mirror = ChannelProposalSpec.model_validate(to_spec(content))

    assert conflicting_fields(manifest, content) == ()
    assert conflicting_fields(mirror, content) == ()
    assert binds(mirror)


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        pytest.param(spec(changes=[stated("setBatch")]), "changes", id="another change"),
        pytest.param(spec(changes=[stated("setACL"), stated("setBatch")]), "changes", id="one change more"),
        pytest.param(spec(channel="other", changes=[stated("setACL")]), "channel", id="another channel"),
        pytest.param(spec(configUpdate="AAAA"), "configUpdate", id="a raw update"),
        pytest.param(spec(action="Create", create=RECIPE), "action", id="a new channel"),
    ],
)
def test_a_manifest_that_says_something_else_conflicts(manifest: ChannelProposalSpec, field: str) -> None:
    assert field in conflicting_fields(manifest, content_of(spec(changes=[stated("setACL")])))


def test_a_definition_that_is_somewhere_else_conflicts_with_nothing_and_binds_nothing() -> None:
    content = content_of(spec(changes=[stated("addOrganization")]))
    change = stated("addOrganization")
    change["addOrganization"]["definitionFrom"] = IN_A_CONFIG_MAP

    manifest = spec(changes=[change])

    assert conflicting_fields(manifest, content) == ()
    assert not binds(manifest)
    assert binds(spec(changes=[stated("addOrganization")]))
    assert [source.config_map_ref.name for source in references(manifest) if source.config_map_ref] == ["org4"]


def test_a_definition_is_put_in_from_where_it_is() -> None:
    change = stated("addOrganization")
    change["addOrganization"]["definitionFrom"] = IN_A_CONFIG_MAP
    manifest = spec(changes=[change])
    (source,) = references(manifest)
    known = {source: OrganizationDefinition.model_validate_json(json.dumps(definition("Org4MSP")))}

    (resolved,) = resolve_changes(manifest, known)

    assert resolved == content_of(spec(changes=[stated("addOrganization")])).changes[0]
    with pytest.raises(ChangeRefused, match="definition of Org4MSP was not read"):
        resolve_changes(manifest, {})


OF_TWO_TYPES = stated("setBatch") | {"type": "setACL"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({}, "exactly one of", id="nothing"),
        pytest.param({"changes": [stated("setACL")], "configUpdate": "AAAA"}, "exactly one of", id="two wishes"),
        pytest.param({"create": RECIPE}, "belongs to action Create", id="a recipe without its action"),
        pytest.param({"action": "Create", "changes": [stated("setACL")]}, "belongs to action", id="an action too many"),
        pytest.param({"changes": [OF_TWO_TYPES]}, "setBatch", id="a member of another type"),
        pytest.param({"changes": [{"type": "setACL"}]}, "setACL", id="a type without its member"),
    ],
)
def test_manifests_that_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        spec(**fields)


def test_the_genesis_block_is_the_same_everywhere() -> None:
    manifest, content = creation()
    recipe = resolve_recipe(manifest, {})

    assert same_block(build_genesis("newchannel", recipe, at=NOW), content.block_bytes)
    assert not same_block(build_genesis("otherchannel", recipe, at=NOW), content.block_bytes)
    assert not same_block(content.block_bytes, b"\xff")


def test_nobody_is_given_another_root_of_trust() -> None:
    manifest, _ = creation()
    recipe = resolve_recipe(manifest, {})
    own = config().organization(ORG1)

    assert check_own_definition(recipe, config().organization(ORG2)) == ""
    assert check_own_definition(recipe, own) == ""
    other = RECIPE | {"members": [{"mspID": ORG1, "definitionFrom": {"inline": definition(ORG3)}}]}
    forged = resolve_recipe(spec(channel="newchannel", action="Create", create=other), {})
    assert "another definition" in check_own_definition(forged, own)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            {"policies": {"/Channel/Application/Org1MSP/Admins": "ANY Admins"}}, "not directly below", id="path"
        ),
        pytest.param({"policies": {"/Channel/Admins": "OR('Org1MSP.admin'"}}, "create", id="policy text"),
        pytest.param({"batch": {"maxMessageCount": 0}}, "max message count", id="empty blocks"),
        pytest.param({"capabilities": {"application": "V9_9"}}, "create", id="capability nobody has"),
    ],
)
def test_recipes_no_node_would_start_from_are_refused(change: dict[str, Any], said: str) -> None:
    manifest = spec(channel="newchannel", action="Create", create={**RECIPE, **change})

    with pytest.raises(ChangeRefused, match=said):
        build_genesis("newchannel", resolve_recipe(manifest, {}), at=NOW)
