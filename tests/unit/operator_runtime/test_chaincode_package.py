"""When the package of an accepted proposal is fetched, and which bytes are installed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import TARGET, UNDONE
from unit.operator_runtime.fetching import no_packages

from opssc_chaincode.model import ArchivePackage, Facts, Package
from opssc_operator.api.conditions import Reason
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.choices import LocalChoice
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork
from opssc_operator.errors import TransientError
from opssc_operator.reconcile.kinds.chaincode_package import fetch_to_install, verify_package
from opssc_operator.reconcile.store import ObjectStore

if TYPE_CHECKING:
    from opssc_operator.ledger.session import OrganizationSession

    from .conftest import Manifests

LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
ARCHIVE = ArchivePackage(label="basic_1", sha256="00" * 32, urls=("https://elsewhere.example.com/basic.tgz",))
CONTENT = ledger.chaincode_content(package=Package(archive=ARCHIVE))
PROPOSAL = ledger.proposal(ledger.document(content=CONTENT, deadline=LATER))
REF = ProposalRef("Org1MSP", PROPOSAL.id)
OPEN = Facts(proposal=PROPOSAL)
ACCEPTED = Facts(proposal=PROPOSAL, votes=tuple(ledger.vote(PROPOSAL, m) for m in ("Org1MSP", "Org2MSP")))


class Session:
    """An organization that approved nothing."""

    settings = SimpleNamespace(namespace="org1")

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.view = self.peers = self.deployments = self

    async def get(self, ref: ProposalRef) -> Facts:
        del ref
        return self.facts

    async def ask(self, channel: str, question: object) -> None:
        """Nothing was approved."""

    async def fetch_committed(self, channel: str, name: str) -> None:
        """Nothing is committed."""


def open_session(facts: Facts) -> OrganizationSession:
    return cast("OrganizationSession", Session(facts))


def stored(manifests: Manifests, *choices: str) -> ObjectStore:
    """An organization that trusts nobody, and its Votes with the type of package each says, oldest first."""
    store = ObjectStore()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    for number, choice in enumerate(choices):
        created = f"2026-03-01T12:00:0{number}Z"
        vote = manifests.vote(f"vote-{number}", "Org1MSP", PROPOSAL.id, creationTimestamp=created)
        if choice:
            vote["spec"]["local"] = {"package": {"type": choice}}
        store.put(Kind.VOTE, vote)
    return store


@pytest.mark.parametrize(
    ("facts", "choices", "needed"),
    [
        pytest.param(ACCEPTED, (), True, id="no-vote"),
        pytest.param(ACCEPTED, ("",), True, id="vote-without-a-choice"),
        pytest.param(ACCEPTED, ("Proposed",), True, id="the-proposed-one"),
        pytest.param(ACCEPTED, ("None",), False, id="none"),
        pytest.param(ACCEPTED, ("", "None"), True, id="a-younger-vote-says-none"),
        pytest.param(OPEN, ("None",), True, id="none-while-it-is-open"),
    ],
)
async def test_a_package_that_this_organization_does_not_install_is_not_fetched(
    manifests: Manifests, facts: Facts, choices: tuple[str, ...], needed: bool
) -> None:
    # Given
    packages = no_packages(stored(manifests, *choices))

    # When
    found = await verify_package(CONTENT, REF, open_session(facts), packages)

    # Then
    assert (found is not None) is needed
    assert found is None or found.reason is Reason.UNTRUSTED_SOURCE


async def test_bytes_that_are_not_the_agreed_package_are_not_installed(manifests: Manifests) -> None:
    # Given: a package that was never verified here, because something else was to be installed
    content = ledger.chaincode_content()
    choice = LocalChoice(content)
    work = ChaincodeWork(TARGET, UNDONE, choice=choice)

    # When
    with pytest.raises(TransientError) as refusal:
        await fetch_to_install(work, REF, open_session(ACCEPTED), no_packages(stored(manifests)))

    # Then
    assert refusal.value.reason is Reason.PACKAGE_ID_MISMATCH
