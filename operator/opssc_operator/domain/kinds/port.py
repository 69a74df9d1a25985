"""What the machine common to all proposals asks of one kind. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import JsonValue

from opssc_chaincode.model import Content, Proposal, Rule
from opssc_chaincode.model import Kind as LedgerKind
from opssc_operator.api.group import Kind
from opssc_operator.api.proposal import ProposalSpec, ProposalStatus
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.verdict import Verdict


class ProposalKind(Protocol):
    """How objects and ledger contents of one kind belong together.

    Methods are given specs and contents of any kind, as hostile or mistaken as they come.
    """

    @property
    def object_kind(self) -> Kind:
        """The kind of the objects."""
        ...

    @property
    def ledger_kind(self) -> LedgerKind:
        """The kind on the ledger."""
        ...

    @property
    def spec_type(self) -> type[ProposalSpec]:
        """The model of the objects' spec."""
        ...

    @property
    def status_type(self) -> type[ProposalStatus]:
        """The model of the objects' status."""
        ...

    def conflicts(self, spec: ProposalSpec, content: Content) -> tuple[str, ...]:
        """Manifest names of the fields in which a manifest contradicts the ledger; "kind" for another kind."""
        ...

    def binds(self, spec: ProposalSpec) -> bool:
        """Whether a manifest without conflicts states everything that its reader agrees to."""
        ...

    def is_shown(self, content: Content) -> bool:
        """Whether an object can show this content."""
        ...

    def to_spec(self, proposal: Proposal) -> Mapping[str, Any]:
        """The kind's own fields of the ``spec`` of a mirror."""
        ...

    def rule_of(self, channel: ChannelView) -> Rule | None:
        """The rule a proposal must pin for this configuration; None when it allows of none."""
        ...

    def judge_content(self, proposal: Proposal) -> Verdict:
        """Whether a content agrees with what is computed here, its snapshot having been checked before."""
        ...

    def status_fields(self, observed: ProposalObserved, standing: Mapping[str, JsonValue]) -> Mapping[str, Any]:
        """The kind's own fields of a status, given the status as it stands; by attribute name."""
        ...
