"""What a local manifest about a channel would put on the ledger: delta or genesis block, snapshot, deadline. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from fabric_admin.channelconfig import ChannelConfig
from opssc_chaincode.model import (
    SCHEMA,
    ChannelContent,
    CharterInForce,
    Kind,
    Proposal,
    ProposalDocument,
    Rule,
    Snapshot,
)
from opssc_chaincode.model.channel import decode_base64
from opssc_chaincode.model.document import describe
from opssc_operator.api.channel_proposal import ChannelProposalSpec
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.content import (
    Definitions,
    create_content,
    resolve_changes,
    resolve_recipe,
    update_content,
)
from opssc_operator.domain.channels.delta import Delta, compute_delta, judge_update
from opssc_operator.domain.channels.founding import build_genesis
from opssc_operator.domain.content import ContentError
from opssc_operator.domain.kinds.channel_work import ChannelChange
from opssc_operator.domain.planning import Plan, Preview, resolve_deadline
from opssc_operator.domain.verdict import Verdict, no

MAX_ID: Final = 58
_REVISION: Final = re.compile(r"^(?P<base>.+)-r(?P<number>[0-9]{1,3})$")


@dataclass(frozen=True, slots=True)
class ChannelPlanning:
    """What planning needs: a configuration from the own peer, of the channel itself or of the ops channel (Create)."""

    own_msp_id: str
    proposal_id: str
    spec: ChannelProposalSpec
    view: ChannelView
    config: ChannelConfig
    definitions: Definitions
    governance: bool
    charter: CharterInForce
    now: datetime


def plan_channel(observed: ChannelPlanning) -> Plan | Preview | Verdict:
    """The document for a manifest, or its preview for a dry run, or why there can be none."""
    try:
        if observed.spec.create is not None:
            return _plan_creation(observed)
        return _plan_update(observed)
    except (ChangeRefused, ContentError) as exc:
        return no(Reason.INVALID_SPEC, str(exc))
    except ValidationError as exc:
        return no(Reason.INVALID_SPEC, describe(exc))


def _plan_update(observed: ChannelPlanning) -> Plan | Preview | Verdict:
    spec, config = observed.spec, observed.config
    if observed.own_msp_id not in config.all_members:
        message = f"{observed.own_msp_id} is not a member of channel {spec.channel}, so it cannot propose there"
        return no(Reason.NOT_A_MEMBER, message)
    changes = resolve_changes(spec, observed.definitions)
    delta = (
        compute_delta(config, changes, governance=observed.governance)
        if spec.config_update is None
        else judge_update(config, _raw(spec.config_update), governance=observed.governance)
    )
    if spec.dry_run:
        return Preview(change_of(config.channel_id, delta), _preview_message(delta))
    return _document(observed, update_content(spec, changes, delta.update), config.all_members, delta.rule)


def _plan_creation(observed: ChannelPlanning) -> Plan | Preview | Verdict:
    recipe = resolve_recipe(observed.spec, observed.definitions)
    members = recipe.organizations
    if observed.own_msp_id not in members:
        return no(Reason.NOT_A_MEMBER, f"{observed.own_msp_id} is not among the organizations of spec.create")
    block = build_genesis(observed.spec.channel, recipe)
    if observed.spec.dry_run:
        change = ChannelChange(observed.spec.channel, (f"+ /Channel with {', '.join(members)}",), ())
        return Preview(change, f"would be created; {', '.join(members)} have to agree; nothing is on the ledger")
    content = create_content(observed.spec, recipe, block)
    return _document(observed, content, members, Rule(n=len(members), of=members))


def plan_successor(
    proposal: Proposal,
    view: ChannelView,
    config: ChannelConfig,
    *,
    charter: CharterInForce,
    governance: bool,
    now: datetime,
) -> Plan | None:
    """The same change anew on the configuration in force, under the next revision's id; None when it cannot be made."""
    content = proposal.content
    if not isinstance(content, ChannelContent) or not content.changes:
        return None
    proposal_id = next_revision(proposal.id)
    spec = ChannelProposalSpec.model_validate({"channel": content.channel, "configUpdate": content.config_update})
    if proposal_id is None:
        return None
    observed = ChannelPlanning(
        own_msp_id=proposal.creator.msp_id,
        proposal_id=proposal_id,
        spec=spec,
        view=view,
        config=config,
        definitions={},
        governance=governance,
        charter=charter,
        now=now,
    )
    try:
        delta = compute_delta(config, content.changes, governance=governance)
        renewed = update_content(spec, content.changes, delta.update)
        plan = _document(observed, renewed, config.all_members, delta.rule, proposal.description)
    except (ChangeRefused, ContentError, ValidationError):
        return None
    return plan


def next_revision(proposal_id: str) -> str | None:
    """``change-r2`` after ``change``, ``change-r3`` after that; None when the name has no room."""
    found = _REVISION.match(proposal_id)
    base, number = (found["base"], int(found["number"])) if found else (proposal_id, 1)
    revised = f"{base}-r{number + 1}"
    return revised if len(revised) <= MAX_ID else None


def is_revision(proposal_id: str) -> bool:
    """Whether an id is one that an operator gave to a change it proposed anew."""
    return _REVISION.match(proposal_id) is not None


def change_of(channel: str, delta: Delta) -> ChannelChange:
    """What people see of a delta."""
    return ChannelChange(channel, delta.lines, delta.verdicts)


def _document(
    observed: ChannelPlanning,
    content: ChannelContent,
    members: tuple[str, ...],
    rule: Rule,
    description: str | None = None,
) -> Plan:
    view = observed.view
    document = ProposalDocument(
        schema_version=SCHEMA,
        id=observed.proposal_id,
        kind=Kind.CHANNEL,
        content=content,
        snapshot=Snapshot(
            channel=view.channel,
            config_block=view.config_block,
            config_sequence=view.config_sequence,
            config_hash=view.config_hash,
            members=members,
            rule=rule,
            charter=observed.charter,
        ),
        deadline=resolve_deadline(observed.spec, observed.charter, observed.now),
        description=observed.spec.description or description,
    )
    return Plan(document.canonical(), content, document.content_hash)


def _raw(text: str) -> bytes:
    try:
        return decode_base64(text, "configUpdate")
    except ValueError as exc:
        raise ChangeRefused(str(exc)) from exc


def _preview_message(delta: Delta) -> str:
    needed = ", ".join(sorted(set(delta.rule.leaves())))
    return f"{len(delta.lines)} differences; decided by {needed}; nothing is on the ledger"
