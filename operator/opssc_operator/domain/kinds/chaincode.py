"""Proposals of kind Chaincode: one change of one chaincode definition. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from opssc_chaincode.model import ChaincodeContent, Content, Proposal, Rule
from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.chaincode_proposal import ChaincodeProposalSpec, ChaincodeProposalStatus
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.proposal import ProposalSpec
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.content import conflicting_fields, to_spec
from opssc_operator.domain.kinds.chaincode_status import chaincode_status
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.verdict import Verdict, no
from opssc_operator.domain.verification import judge_chaincode
from opssc_operator.errors import Bug


class ChaincodeKind:
    """Objects ``ChaincodeProposal``, contents ``ChaincodeContent``."""

    object_kind = Kind.CHAINCODE_PROPOSAL
    ledger_kind = LedgerKind.CHAINCODE
    spec_type = ChaincodeProposalSpec
    status_type = ChaincodeProposalStatus

    def conflicts(self, spec: ProposalSpec, content: Content) -> tuple[str, ...]:
        """What a manifest sets and the ledger has otherwise."""
        if not isinstance(spec, ChaincodeProposalSpec) or not isinstance(content, ChaincodeContent):
            return ("kind",)
        return conflicting_fields(spec, content)

    def binds(self, spec: ProposalSpec) -> bool:
        """Always: what a manifest leaves out is resolved on the own channel."""
        return isinstance(spec, ChaincodeProposalSpec)

    def is_shown(self, content: Content) -> bool:
        """Every definition can be shown, whatever its package is."""
        return isinstance(content, ChaincodeContent)

    def to_spec(self, proposal: Proposal) -> Mapping[str, Any]:
        """Channel, definition and package."""
        if not isinstance(proposal.content, ChaincodeContent):
            raise Bug(f"{proposal.name} is no chaincode proposal")
        return to_spec(proposal.content)

    def rule_of(self, channel: ChannelView) -> Rule | None:
        """The channel's LifecycleEndorsement."""
        return channel.pinned_rule

    def judge_content(self, proposal: Proposal) -> Verdict:
        """Package and definition are computed anew."""
        content = proposal.content
        if not isinstance(content, ChaincodeContent) or content.channel != proposal.snapshot.channel:
            return no(Reason.INVALID_SPEC, "the stored content hash or channel does not belong to the content")
        return judge_chaincode(content)

    def status_fields(self, observed: ProposalObserved, standing: Mapping[str, JsonValue]) -> Mapping[str, Any]:
        """Sequence, package, organizations, peers and commit."""
        return chaincode_status(observed, standing)
