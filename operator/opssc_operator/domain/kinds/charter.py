"""Proposals of kind Charter: the next charter of the consortium. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from opssc_chaincode.model import Charter, Content, Proposal, Rule, majority
from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.charter_proposal import CharterProposalSpec, CharterProposalStatus
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.proposal import ProposalSpec
from opssc_operator.api.refs import ProposalRef, ProposalReference
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.charter_content import conflicting_terms, to_terms
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.verdict import Verdict, no, yes
from opssc_operator.errors import Bug


class CharterKind:
    """Objects ``CharterProposal``, contents ``Charter``."""

    object_kind = Kind.CHARTER_PROPOSAL
    ledger_kind = LedgerKind.CHARTER
    spec_type = CharterProposalSpec
    status_type = CharterProposalStatus

    def conflicts(self, spec: ProposalSpec, content: Content) -> tuple[str, ...]:
        """What a manifest sets and the ledger has otherwise."""
        if not isinstance(spec, CharterProposalSpec) or not isinstance(content, Charter):
            return ("kind",)
        return conflicting_terms(spec, content)

    def binds(self, spec: ProposalSpec) -> bool:
        """A charter's manifest says all that it sets."""
        return isinstance(spec, CharterProposalSpec)

    def is_shown(self, content: Content) -> bool:
        """Every charter can be shown."""
        return isinstance(content, Charter)

    def to_spec(self, proposal: Proposal) -> Mapping[str, Any]:
        """The charter in full."""
        if not isinstance(proposal.content, Charter):
            raise Bug(f"{proposal.name} is no charter proposal")
        return {"charter": to_terms(proposal.content)}

    def rule_of(self, channel: ChannelView) -> Rule | None:
        """More than half of the members, whatever the channel's policies say."""
        return majority(channel.members)

    def judge_content(self, proposal: Proposal) -> Verdict:
        """A charter follows the one it was made under."""
        content, pinned = proposal.content, proposal.snapshot.charter
        if not isinstance(content, Charter):
            return no(Reason.INVALID_SPEC, "the content is no charter; disagree")
        if (content.version, content.previous) != (pinned.version + 1, pinned.proposal):
            return no(Reason.SNAPSHOT_MISMATCH, "version or previous does not follow the charter in force; disagree")
        return yes(Reason.VERIFIED, "members, rule and the charter it replaces are what the own peer shows")

    def status_fields(self, observed: ProposalObserved, standing: Mapping[str, JsonValue]) -> Mapping[str, Any]:
        """Version, and the proposal it replaces the charter of."""
        del standing
        content = None if observed.facts is None else observed.facts.proposal.content
        if not isinstance(content, Charter):
            return {}
        previous = None if content.previous is None else ProposalRef.parse(content.previous)
        reference = None if previous is None else ProposalReference(creator=previous.creator, id=previous.id)
        return {"version": content.version, "previous": reference}
