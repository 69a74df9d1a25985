"""Proposals of kind Channel: one change of one channel's configuration, or a new channel. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from opssc_chaincode.model import ChannelContent, Content, Proposal, Rule
from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.channel_proposal import ChannelProposalSpec, ChannelProposalStatus
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.proposal import ProposalSpec
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.channels.content import binds, conflicting_fields, to_spec
from opssc_operator.domain.kinds.channel_status import channel_status
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.verdict import Verdict, unknown
from opssc_operator.errors import Bug


class ChannelKind:
    """Objects ``ChannelProposal``, contents ``ChannelContent``."""

    object_kind = Kind.CHANNEL_PROPOSAL
    ledger_kind = LedgerKind.CHANNEL
    spec_type = ChannelProposalSpec
    status_type = ChannelProposalStatus

    def conflicts(self, spec: ProposalSpec, content: Content) -> tuple[str, ...]:
        """What a manifest sets and the ledger has otherwise."""
        if not isinstance(spec, ChannelProposalSpec) or not isinstance(content, ChannelContent):
            return ("kind",)
        return conflicting_fields(spec, content)

    def binds(self, spec: ProposalSpec) -> bool:
        """Not while a definition is somewhere else, where it may be another one tomorrow."""
        return isinstance(spec, ChannelProposalSpec) and binds(spec)

    def is_shown(self, content: Content) -> bool:
        """Every change has a place in an object."""
        return isinstance(content, ChannelContent)

    def to_spec(self, proposal: Proposal) -> Mapping[str, Any]:
        """Channel and changes, update or recipe."""
        if not isinstance(proposal.content, ChannelContent):
            raise Bug(f"{proposal.name} is no channel proposal")
        return to_spec(proposal.content)

    def rule_of(self, channel: ChannelView) -> Rule | None:
        """None: the rule depends on what is changed, see ``channels.verification``."""
        del channel
        return None

    def judge_content(self, proposal: Proposal) -> Verdict:
        """Nothing can be said without the whole configuration, see ``channels.verification``."""
        return unknown(Reason.AWAITING_VERIFICATION, f"{proposal.name}: the configuration was not read")

    def status_fields(self, observed: ProposalObserved, standing: Mapping[str, JsonValue]) -> Mapping[str, Any]:
        """Base, difference, signatures, policies, organizations and submission."""
        return channel_status(observed, standing)
