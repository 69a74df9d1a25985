"""What reconciling a proposal asks of the worker of its kind: the looks and the steps that only this kind has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from opssc_chaincode.model import Facts, Proposal
from opssc_operator.api.proposal import ProposalObject
from opssc_operator.api.vote import Vote
from opssc_operator.domain.kinds.port import ProposalKind
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.planning import Plan, Preview
from opssc_operator.domain.verdict import Verdict
from opssc_operator.domain.verification import Grounds
from opssc_operator.domain.work_action import WorkAction
from opssc_operator.ledger.session import OrganizationSession


class KindWorker(Protocol):
    """Looks at the networks, and acts on them, for one kind of proposal; every method raises TransientError."""

    @property
    def kind(self) -> ProposalKind:
        """The kind."""
        ...

    async def plan(
        self, observed: ProposalObserved, manifest: ProposalObject, session: OrganizationSession
    ) -> Plan | Preview | Verdict:
        """What a local manifest would propose now, or why it cannot."""
        ...

    async def verify(self, proposal: Proposal, grounds: Grounds, session: OrganizationSession) -> Verdict:
        """Whether a proposal says the truth; a verdict other than Unknown is final but for ``gathering.REVOCABLE``."""
        ...

    async def review(self, observed: ProposalObserved, facts: Facts, session: OrganizationSession) -> ProposalObserved:
        """What an open proposal needs: why it is ``stale``, if the channel moved on, and what people see of it."""
        ...

    async def observe(
        self, observed: ProposalObserved, facts: Facts, session: OrganizationSession, votes: Sequence[Vote]
    ) -> ProposalObserved:
        """What carrying out an accepted and verified proposal needs, as ``work``."""
        ...

    async def perform(self, action: WorkAction, observed: ProposalObserved, session: OrganizationSession) -> None:
        """Take one of the steps this kind decided on; also raises TerminalError."""
        ...
