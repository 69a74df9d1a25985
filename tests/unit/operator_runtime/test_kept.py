"""Which package stays with an organization that approved nothing at the sequence before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_domain.test_content import CHANNEL, planned, spec
from unit.operator_runtime.charters import DefaultCharter

from fabric_admin.definition import Definition
from opssc_chaincode.model import ChaincodeContent, Decision, Facts, ProposalDocument
from opssc_operator.api.conditions import Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.content import build_definition
from opssc_operator.domain.deployment import Committed
from opssc_operator.domain.outline import outline_of
from opssc_operator.reconcile.kinds.chaincode_kept import find_kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opssc_operator.domain.channel import ChannelView
    from opssc_operator.domain.outline import Outline
    from opssc_operator.ledger.session import OrganizationSession

OWN = "Org3MSP"
OLD = "asset-old:" + "11" * 32
UNCHANGED = {"type": "unchanged"}


def accepted(sequence: int, *, own: Decision | None = None, proved: bool = True, **changes: Any) -> Facts:
    """An accepted proposal for a sequence, whose commit some organization reported."""
    given = spec(chaincode={"name": "asset", "version": f"{sequence}.0"}, **changes)
    before = Definition(name="asset", version="0.9", sequence=sequence - 1) if sequence > 1 else None
    document = ProposalDocument.parse(planned(given, committed=before).document)
    stored = ledger.proposal(document.model_copy(update={"id": f"asset-{sequence}"}))
    cast_votes = {"Org1MSP": Decision.AGREE, "Org2MSP": Decision.AGREE, **({OWN: own} if own else {})}
    return Facts(
        proposal=stored,
        votes=tuple(ledger.vote(stored, msp_id, how) for msp_id, how in cast_votes.items()),
        reports=(ledger.committed(stored, "Org1MSP", tx_id=stored.tx_id),) if proved else (),
    )


def content_of(facts: Facts) -> ChaincodeContent:
    assert isinstance(facts.proposal.content, ChaincodeContent)
    return facts.proposal.content


class Session:
    """The third organization, with what it approved by sequence, and a peer that proves every reported commit."""

    msp_id = OWN
    charters = DefaultCharter()
    settings = SimpleNamespace(governance_channel="ops-channel")

    def __init__(self, ledger_facts: tuple[Facts, ...], approvals: Mapping[int, str | None], *, lied: bool) -> None:
        self._facts = {ProposalRef("Org1MSP", facts.proposal.id): facts for facts in ledger_facts}
        self._approvals = approvals
        self._lied = lied
        self.view = self.reader = self.deployments = self.peers = self

    def outlines(self) -> tuple[Outline, ...]:
        return tuple(outline_of(facts, OWN) for facts in self._facts.values())

    async def get(self, ref: ProposalRef) -> Facts | None:
        return self._facts.get(ref)

    async def at(self, channel: str, number: int) -> ChannelView:
        del channel, number
        return CHANNEL

    async def fetch_committed(self, channel: str, name: str) -> Committed:
        """A sequence nobody here asks about, so that commits are proved by their transactions."""
        del channel
        return Committed(Definition(name=name, version="9.0", sequence=9), {})

    async def fetch_commit(self, channel: str, transaction_id: str) -> Definition | None:
        del channel
        found = next(facts for facts in self._facts.values() if facts.proposal.tx_id == transaction_id)
        return None if self._lied else build_definition(content_of(found))

    async def ask(self, channel: str, question: Any) -> Any:
        del channel
        return await question(SimpleNamespace(lifecycle=self))

    async def query_approved(self, channel: str, name: str, sequence: int, *, timeout_seconds: float) -> Any:
        del channel, timeout_seconds
        if sequence not in self._approvals:
            return None
        definition = Definition(name=name, version="1.0", sequence=sequence)
        return SimpleNamespace(definition=definition, package_id=self._approvals[sequence])


BROUGHT = accepted(1)
THIRD = content_of(accepted(3, package=UNCHANGED))
PACKAGE_ID = content_of(BROUGHT).package_id


async def find(*given: Facts, approvals: Mapping[int, str | None] | None = None, lied: bool = False) -> Any:
    session = Session(given, approvals or {}, lied=lied)
    return await find_kept(THIRD, cast("OrganizationSession", session))


@pytest.mark.parametrize(
    ("approvals", "package_id"),
    [
        pytest.param({2: OLD}, OLD, id="a-package"),
        pytest.param({2: None}, None, id="none-by-choice"),
        pytest.param({1: OLD}, OLD, id="one-sequence-further-back"),
    ],
)
async def test_what_the_organization_approved_last_stays(
    approvals: Mapping[int, str | None], package_id: str | None
) -> None:
    found = await find(BROUGHT, accepted(2, package=UNCHANGED), approvals=approvals)
    assert (found.package_id, found.origin, found.missing) == (package_id, None, None)


@pytest.mark.parametrize("own", [pytest.param(None, id="away"), pytest.param(Decision.AGREE, id="agreed")])
async def test_who_never_approved_gets_what_the_last_committed_proposal_brought(own: Decision | None) -> None:
    # When
    found = await find(accepted(1, own=own), accepted(2, package=UNCHANGED))

    # Then
    assert (found.package_id, found.missing) == (PACKAGE_ID, None)
    assert found.origin.ref == ProposalRef("Org1MSP", "asset-1")
    assert found.origin.agreed == (own is Decision.AGREE)


async def test_who_disagreed_with_it_goes_on_without_a_package() -> None:
    found = await find(accepted(1, own=Decision.DISAGREE), accepted(2, package=UNCHANGED))
    assert (found.package_id, found.origin, found.missing) == (None, None, None)


FALSE = BROUGHT.model_copy(
    update={
        "proposal": BROUGHT.proposal.model_copy(
            update={"snapshot": BROUGHT.proposal.snapshot.model_copy(update={"config_hash": "ee" * 32})}
        )
    }
)


@pytest.mark.parametrize(
    ("given", "lied"),
    [
        pytest.param((), False, id="by-hand"),
        pytest.param((accepted(2, package=UNCHANGED),), False, id="by-hand-before"),
        pytest.param((FALSE, accepted(2, package=UNCHANGED)), False, id="false-proposal"),
        pytest.param((accepted(1, proved=False), accepted(2, package=UNCHANGED)), False, id="no-commit-reported"),
        pytest.param((BROUGHT, accepted(2, package=UNCHANGED)), True, id="reported-commit-not-proved"),
    ],
)
async def test_what_no_verified_commit_says_is_not_known(given: tuple[Facts, ...], lied: bool) -> None:
    # When
    found = await find(*given, lied=lied)
    by_hand = await find(*given, lied=lied, approvals={3: OLD})

    # Then
    assert found.package_id is None
    assert found.missing.reason is Reason.AWAITING_CONSENT
    assert "Org3MSP never approved sequence 2 of asset" in found.missing.message
    assert (by_hand.package_id, by_hand.missing) == (OLD, None)
