"""Manifests and ledger contents of channel proposals, turned into each other. Pure.

A manifest may say where an organization's definition is; the ledger always has the definition itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from opssc_chaincode.model import Action, Change, ChannelContent, Document, OrganizationDefinition, Recipe
from opssc_chaincode.model.document import describe
from opssc_operator.api.changes import AddOrganization, DefinitionSource, NewMember, NewOrderer
from opssc_operator.api.changes import Change as StatedChange
from opssc_operator.api.channel_proposal import ChannelProposalSpec
from opssc_operator.domain.channels.application import ChangeRefused

Definitions = Mapping[DefinitionSource, OrganizationDefinition]
"""The definitions of a manifest that are somewhere else, by where they are."""

DocumentT = TypeVar("DocumentT", bound=Document)

ELSEWHERE: Final = "definitionFrom"


def references(spec: ChannelProposalSpec) -> tuple[DefinitionSource, ...]:
    """Where a manifest says its definitions are, without those it has itself."""
    added = [change.add_organization for change in spec.changes or ()]
    sources = [each.definition_from for each in added if each is not None]
    if spec.create is not None:
        sources += [each.definition_from for each in spec.create.listed]
    return tuple(source for source in sources if source.inline is None)


def resolve_changes(spec: ChannelProposalSpec, definitions: Definitions) -> tuple[Change, ...]:
    """The changes of a manifest with every definition in place; raises ChangeRefused naming the field."""
    return tuple(
        _validated(Change, _change_fields(change, definitions), f"changes[{number}]")
        for number, change in enumerate(spec.changes or ())
    )


def resolve_recipe(spec: ChannelProposalSpec, definitions: Definitions) -> Recipe:
    """The recipe of a new channel with every definition in place; raises ChangeRefused naming the field."""
    if spec.create is None:
        raise ChangeRefused("create: the manifest creates no channel")
    fields = spec.create.to_manifest()
    fields["members"] = [_with_definition(each, definitions) for each in spec.create.members]
    fields["orderers"] = [_with_definition(each, definitions) for each in spec.create.orderers]
    return _validated(Recipe, fields, "create")


def update_content(channel: str, changes: tuple[Change, ...], update: bytes) -> ChannelContent:
    """The content of an update; raises ChangeRefused."""
    fields = {
        "channel": channel,
        "action": Action.UPDATE.value,
        "changes": [change.to_json() for change in changes],
        "configUpdate": base64.b64encode(update).decode(),
    }
    return _validated(ChannelContent, fields, "spec")


def create_content(spec: ChannelProposalSpec, recipe: Recipe, block: bytes) -> ChannelContent:
    """The content of a new channel; raises ChangeRefused."""
    fields = {
        "channel": spec.channel,
        "action": Action.CREATE.value,
        "create": recipe.to_json(),
        "genesisBlock": base64.b64encode(block).decode(),
    }
    return _validated(ChannelContent, fields, "spec")


def conflicting_fields(spec: ChannelProposalSpec, content: ChannelContent) -> tuple[str, ...]:
    """Manifest names of the fields in which a manifest contradicts the ledger.

    A definition that is somewhere else contradicts nothing: such a manifest does not bind a vote, see ``binds``.
    """
    return tuple(sorted(_conflicts(spec, content)))


def binds(spec: ChannelProposalSpec) -> bool:
    """Whether a manifest states everything that an organization would agree to."""
    return not references(spec)


def _conflicts(spec: ChannelProposalSpec, content: ChannelContent) -> Iterator[str]:
    for name, stated, known in (("channel", spec.channel, content.channel), ("action", spec.action, content.action)):
        if stated != known:
            yield name
    if spec.config_update is not None and (content.changes or spec.config_update != content.config_update):
        yield "configUpdate"
    try:
        if spec.changes is not None and not _same_changes(spec, content):
            yield "changes"
        if spec.create is not None and not _same_recipe(spec, content):
            yield "create"
    except ChangeRefused as exc:
        yield str(exc).partition(":")[0]


def _same_changes(spec: ChannelProposalSpec, content: ChannelContent) -> bool:
    stated = spec.changes or ()
    if len(stated) != len(content.changes):
        return False
    known = {}
    for change, there in zip(stated, content.changes, strict=True):
        if isinstance(change.member, AddOrganization) and change.member.definition_from.inline is None:
            if there.add_organization is None:
                return False
            known[change.member.definition_from] = there.add_organization.definition
    return resolve_changes(spec, known) == content.changes


def _same_recipe(spec: ChannelProposalSpec, content: ChannelContent) -> bool:
    if spec.create is None or content.create is None:
        return False
    there = {each.msp_id: each.definition for each in content.create.listed}
    known = {}
    for each in spec.create.listed:
        if each.definition_from.inline is None:
            if each.msp_id not in there:
                return False
            known[each.definition_from] = there[each.msp_id]
    return resolve_recipe(spec, known) == content.create


def to_spec(content: ChannelContent) -> dict[str, Any]:
    """The kind's own fields of the ``spec`` of a mirror: everything stands in it."""
    spec: dict[str, Any] = {"channel": content.channel, "action": content.action.value}
    if content.create is not None:
        recipe = content.create.to_json()
        for name in ("members", "orderers"):
            recipe[name] = [_inlined(each) for each in recipe[name]]
        spec["create"] = recipe
    elif content.changes:
        spec["changes"] = [_shown(change) for change in content.changes]
    else:
        spec["configUpdate"] = content.config_update
    return spec


def _shown(change: Change) -> dict[str, Any]:
    member = change.member.to_json()
    return {"type": change.type, change.type: _inlined(member) if change.add_organization is not None else member}


def _inlined(fields: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in fields.items() if name != "definition"}
    return {**rest, ELSEWHERE: {"inline": fields["definition"]}}


def _change_fields(change: StatedChange, definitions: Definitions) -> dict[str, Any]:
    member = change.member
    fields = _with_definition(member, definitions) if isinstance(member, AddOrganization) else member.to_json()
    return {str(change.type): fields}


def _with_definition(stated: AddOrganization | NewMember | NewOrderer, definitions: Definitions) -> dict[str, Any]:
    source = stated.definition_from
    definition = source.inline or definitions.get(source)
    if definition is None:
        raise ChangeRefused(f"{ELSEWHERE}: the definition of {stated.msp_id} was not read")
    fields = stated.to_manifest()
    fields.pop(ELSEWHERE)
    return {**fields, "definition": definition.to_json()}


def _validated(kind: type[DocumentT], fields: Mapping[str, Any], where: str) -> DocumentT:
    try:
        return kind.model_validate_json(json.dumps(fields))
    except ValidationError as exc:
        raise ChangeRefused(f"{where}: {describe(exc)}") from exc
