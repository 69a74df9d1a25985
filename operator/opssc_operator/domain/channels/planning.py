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
from opssc_operator.domain.channels.founding import build_genesis, describe_creation
from opssc_operator.domain.content import ContentError
from opssc_operator.domain.kinds.channel_work import ChannelChange
from opssc_operator.domain.planning import Plan, Preview, resolve_deadline
from opssc_operator.domain.releases import PeerRelease, judge_releases
from opssc_operator.domain.verdict import Verdict, no

MAX_ID: Final = 58
_REVISION: Final = re.compile(r"^(?P<base>.+)-r(?P<number>[0-9]{1,3})$")


@dataclass(frozen=True, slots=True)
class ChannelPlanning:
    """What planning needs: a configuration from the own peer, of the channel itself or of the ops channel (Create).

    ``peers`` are the own ones that it may concern, None while they have not been asked.
    """

    own_msp_id: str
    proposal_id: str
    spec: ChannelProposalSpec
    view: ChannelView
    config: ChannelConfig
    definitions: Definitions
    governance: bool
    charter: CharterInForce
    now: datetime
    peers: tuple[PeerRelease, ...] | None = None


def plan_channel(observed: ChannelPlanning) -> Plan | Preview | Verdict:
    """The document for a manifest, or its preview for a dry run, or why there can be none.

    ``PEERS_NOT_ASKED`` when that depends on the releases of own peers.
    """
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
        compute_delta(config, changes, governance=observed.governance, at=observed.now)
        if spec.config_update is None
        else judge_update(config, _raw(spec.config_update), governance=observed.governance, at=observed.now)
    )
    unfit = judge_releases(delta.line, observed.peers)
    if unfit is not None:
        return unfit
    if spec.dry_run:
        return Preview(change_of(config.channel_id, delta), _preview_message(delta))
    content = update_content(spec.channel, changes, delta.update)
    return _document(_frame(observed), content, config.all_members, delta.rule)


def _plan_creation(observed: ChannelPlanning) -> Plan | Preview | Verdict:
    recipe = resolve_recipe(observed.spec, observed.definitions)
    members = recipe.organizations
    if observed.own_msp_id not in members:
        return no(Reason.NOT_A_MEMBER, f"{observed.own_msp_id} is not among the organizations of spec.create")
    strangers = sorted(set(members) - set(observed.config.all_members))
    if strangers:
        message = f"create: {', '.join(strangers)} cannot agree, not being in channel {observed.view.channel}"
        return no(Reason.INVALID_SPEC, f"{message}; add them there first, or leave them out")
    block = build_genesis(observed.spec.channel, recipe, at=observed.now)
    if observed.spec.dry_run:
        change = ChannelChange.brief(observed.spec.channel, describe_creation(recipe))
        return Preview(change, f"would be created; {', '.join(members)} have to agree; nothing is on the ledger")
    content = create_content(observed.spec, recipe, block)
    return _document(_frame(observed), content, members, Rule(n=len(members), of=members))


def plan_successor(
    proposal: Proposal,
    proposal_id: str,
    view: ChannelView,
    config: ChannelConfig,
    *,
    charter: CharterInForce,
    governance: bool,
    now: datetime,
) -> Plan | None:
    """The same change anew on the configuration in force, with as much time to vote; None when it cannot be made."""
    content = proposal.content
    if not isinstance(content, ChannelContent) or not content.changes:
        return None
    period = proposal.deadline - proposal.created_time
    try:
        delta = compute_delta(config, content.changes, governance=governance, at=now)
        renewed = update_content(content.channel, content.changes, delta.update)
        deadline = (now + period).replace(microsecond=0)
        frame = _Frame(view, proposal_id, charter, deadline, proposal.description)
        return _document(frame, renewed, config.all_members, delta.rule)
    except (ChangeRefused, ValidationError):
        return None


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
    return ChannelChange.brief(channel, delta.lines, delta.verdicts)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What surrounds the content of a proposal."""

    view: ChannelView
    proposal_id: str
    charter: CharterInForce
    deadline: datetime
    description: str | None


def _frame(observed: ChannelPlanning) -> _Frame:
    deadline = resolve_deadline(observed.spec, observed.charter, observed.now)
    return _Frame(observed.view, observed.proposal_id, observed.charter, deadline, observed.spec.description)


def _document(frame: _Frame, content: ChannelContent, members: tuple[str, ...], rule: Rule) -> Plan:
    view = frame.view
    document = ProposalDocument(
        schema_version=SCHEMA,
        id=frame.proposal_id,
        kind=Kind.CHANNEL,
        content=content,
        snapshot=Snapshot(
            channel=view.channel,
            config_block=view.config_block,
            config_sequence=view.config_sequence,
            config_hash=view.config_hash,
            members=members,
            rule=rule,
            charter=frame.charter,
        ),
        deadline=frame.deadline,
        description=frame.description or None,
    )
    return Plan(document.canonical(), content, document.content_hash, frame.proposal_id)


def _raw(text: str) -> bytes:
    try:
        return decode_base64(text, "configUpdate")
    except ValueError as exc:
        raise ChangeRefused(str(exc)) from exc


def _preview_message(delta: Delta) -> str:
    needed = ", ".join(sorted(set(delta.rule.leaves())))
    return f"{len(delta.lines)} differences; decided by {needed}; nothing is on the ledger"
