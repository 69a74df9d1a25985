"""Whom an operator asks before its peers join: the orderers that its own manifest lists, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from fabric_protos.common import common_pb2
from unit.fabric_io.scripted import running
from unit.operator_channels.changes import ORG1, ORG2
from unit.operator_channels.proposals import agreed, observed, proposed
from unit.operator_channels.test_admission import WELCOME
from unit.operator_ledger.clock import Clock
from unit.operator_ledger.sites import OWN, Site, welcome

from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import JoinMode
from opssc_operator.domain.joining import LONGEST_GOVERNANCE_PAUSE_SECONDS, decide_joining
from opssc_operator.domain.kinds.admission_work import AdmissionWork
from opssc_operator.ledger.admission import Admissions
from opssc_operator.reconcile.joining import explain_unread, observe_admission

if TYPE_CHECKING:
    from opssc_operator.api.organization import FabricOrganizationSpec
    from opssc_operator.ledger.session import OrganizationSession


class Peer:
    """An own peer that is in the governance channel."""

    def __init__(self) -> None:
        self.name, self.joined, self.silence = "peer0", frozenset({"ops-channel"}), None


class Session:
    """An organization whose governance channel names an orderer that the organization does not list."""

    def __init__(self, listed: tuple[Site, ...], named: Site) -> None:
        self.settings = SimpleNamespace(governance_channel="ops-channel")
        self.msp_id, self.clock = "Org4MSP", Clock()
        self.peers = SimpleNamespace(all=(Peer(),))
        self.admissions = Admissions(self.msp_id, [site.endpoint for site in listed], OWN, clock=self.clock)
        self.reader = self
        self._named = named.endpoint

    async def config(self, channel: str) -> Any:
        """The configuration that the own peer proves."""
        del channel
        named = SimpleNamespace(address=self._named.address, tls_root_certs=(self._named.tls_ca,))
        return SimpleNamespace(orderer_endpoints=(named,))


@pytest.mark.parametrize(
    ("listed", "reason", "says"),
    [
        pytest.param((), Reason.CHANNEL_NOT_FOUND, "list one of its orderers in spec.orderers", id="none-listed"),
        pytest.param(
            (common_pb2.NOT_FOUND,), Reason.CHANNEL_NOT_FOUND, "no listed orderer has channel", id="without-the-channel"
        ),
        pytest.param((common_pb2.FORBIDDEN,), Reason.NOT_A_MEMBER, "not a member of channel", id="refuses"),
    ],
)
async def test_an_orderer_of_the_governance_channel_that_is_not_listed_is_not_asked_for_another_channel(
    listed: tuple[common_pb2.Status.ValueType, ...], reason: Reason, says: str
) -> None:
    # Given: a chain that holds together, of an orderer that only the governance channel names
    hostile = Site(*welcome())
    sites = tuple(Site(status=status) for status in listed)
    proposal = proposed(WELCOME)
    before = replace(observed(agreed(proposal, ORG1, ORG2)), own_msp_id="Org4MSP", join_channels=JoinMode.AUTOMATIC)

    # When
    async with running(hostile, *sites):
        session = cast("OrganizationSession", Session(sites, hostile))
        seen = await observe_admission(before, proposal, session)

    # Then
    work = seen.admission
    assert isinstance(work, AdmissionWork)
    decision = decide_joining(work.seen)
    assert (decision.verdict.reason, decision.join, work.genesis) == (reason, (), None)
    assert says in decision.verdict.message
    assert hostile.questions == 0


async def test_the_orderers_of_the_governance_channel_are_asked_again_before_long() -> None:
    # Given
    site = Site(status=common_pb2.FORBIDDEN)
    spec = SimpleNamespace(
        governance=SimpleNamespace(channel="ops-channel"), join_channels=JoinMode.AUTOMATIC, suspend=False
    )
    pauses = []

    # When
    async with running(site):
        session = Session((site,), site)
        for _ in range(4):
            decision = await explain_unread(cast("FabricOrganizationSpec", spec), cast("OrganizationSession", session))
            pauses.append(decision.requeue_seconds)
            session.clock.now += pauses[-1] or 0.0

    # Then
    assert pauses == [5.0, 10.0, LONGEST_GOVERNANCE_PAUSE_SECONDS, LONGEST_GOVERNANCE_PAUSE_SECONDS]
    assert site.questions == 4
