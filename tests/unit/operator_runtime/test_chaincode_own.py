"""A package of the organization's own that has to be fetched: what is approved, and what is said meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import ACCEPTED, TARGET, UNDONE, observed

from opssc_chaincode.model import ArchivePackage, GitPackage, Package
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.choices import LocalChoice, refuse
from opssc_operator.domain.content import BuiltPackage, build_definition
from opssc_operator.domain.deployment import Approval, Committed
from opssc_operator.domain.keeping import Kept
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.domain.verdict import Verdict, no, unknown
from opssc_operator.errors import TransientError
from opssc_operator.reconcile.kinds.chaincode_package import fetch_to_install, find_package
from opssc_operator.reconcile.packages import download_failure

if TYPE_CHECKING:
    from opssc_operator.ledger.session import OrganizationSession
    from opssc_operator.reconcile.packages import Packages

REF = ProposalRef("Org1MSP", "basic-1")
ARCHIVE = ArchivePackage(label="own_1", sha256="ab" * 32, urls=("https://files.example.com/own.tgz",))
GIT = GitPackage(label="own_1", repository="https://git.example.com/own", commit="c" * 40, language="node")
BUILT = BuiltPackage(b"bytes", "own_1:" + "cd" * 32)
OF_ARCHIVE = f"own_1:{'ab' * 32}"
PENDING = unknown(Reason.PACKAGE_PENDING, "downloading from files.example.com")
FAILED = unknown(Reason.DOWNLOAD_FAILED, "files.example.com does not answer in time; it is tried again")
UNTRUSTED = no(Reason.UNTRUSTED_SOURCE, "files.example.com is not in trust.archiveHosts of the X; add it, or disagree")
PROPOSED = ledger.chaincode_content()
DEFINITION = build_definition(PROPOSED)


def choice_of(source: ArchivePackage | GitPackage) -> LocalChoice:
    package = Package(archive=source) if isinstance(source, ArchivePackage) else Package(git=source)
    content = PROPOSED.model_copy(update={"package": package, "package_id": None})
    return LocalChoice(content, is_own=True, vote="mine")


@dataclass
class Fetching:
    """Packages as if fetched with one outcome; counts how often."""

    outcome: BuiltPackage | Verdict
    asked: int = 0

    async def obtain(self, namespace: str, package: Package, ref: ProposalRef) -> BuiltPackage | Verdict:
        del namespace, package, ref
        self.asked += 1
        return self.outcome


@dataclass
class Session:
    """An organization that approved a package at sequence 1, where ``committed`` is the sequence on the channel."""

    approved: str | None = None
    committed: int = 0

    def __post_init__(self) -> None:
        self.settings: Any = SimpleNamespace(namespace="org1")
        self.peers = self.deployments = self

    async def ask(self, channel: str, question: object) -> Approval | None:
        del channel, question
        return None if self.approved is None else Approval(DEFINITION, self.approved)

    async def fetch_committed(self, channel: str, name: str) -> Committed | None:
        del channel, name
        return None if not self.committed else Committed(replace(DEFINITION, sequence=self.committed), {})


async def find(source: ArchivePackage | GitPackage, session: Session, fetching: Fetching) -> Kept:
    packages = cast("Packages", fetching)
    return await find_package(choice_of(source), REF, cast("OrganizationSession", session), packages)


@pytest.mark.parametrize(
    ("source", "session", "outcome", "kept", "asked"),
    [
        pytest.param(ARCHIVE, Session(), BUILT, Kept(BUILT.package_id), 1, id="it-is-here"),
        pytest.param(ARCHIVE, Session(), PENDING, Kept(None, missing=PENDING, fetching=PENDING), 1, id="not-here-yet"),
        pytest.param(GIT, Session(), UNTRUSTED, Kept(None, missing=UNTRUSTED, fetching=UNTRUSTED), 1, id="untrusted"),
        pytest.param(ARCHIVE, Session(OF_ARCHIVE), FAILED, Kept(OF_ARCHIVE), 0, id="archive-approved-before"),
        pytest.param(
            GIT, Session("own_1:00"), FAILED, Kept("own_1:00", fetching=FAILED), 1, id="commit-approved-before"
        ),
        pytest.param(GIT, Session("own_1:00"), BUILT, Kept(BUILT.package_id), 1, id="another-commit-by-now"),
        pytest.param(
            GIT, Session("basic_1:00"), PENDING, Kept(None, missing=PENDING, fetching=PENDING), 1, id="another-approved"
        ),
        pytest.param(
            GIT,
            Session("own_1:00"),
            UNTRUSTED,
            Kept(None, missing=UNTRUSTED, fetching=UNTRUSTED),
            1,
            id="trusted-no-more",
        ),
        pytest.param(GIT, Session("own_1:00", committed=2), FAILED, Kept("own_1:00"), 0, id="history"),
        pytest.param(GIT, Session(None, committed=2), FAILED, Kept(None), 0, id="history-without-a-part"),
    ],
)
async def test_a_package_of_its_own_is_approved_once_it_is_here_and_what_was_approved_stays(
    source: ArchivePackage | GitPackage, session: Session, outcome: BuiltPackage | Verdict, kept: Kept, asked: int
) -> None:
    # Given
    fetching = Fetching(outcome)

    # When
    found = await find(source, session, fetching)

    # Then
    assert (found, fetching.asked) == (kept, asked)


@pytest.mark.parametrize(
    ("verdict", "stalled", "retried"),
    [
        pytest.param(PENDING, False, False, id="pending"),
        pytest.param(FAILED, False, True, id="failed"),
        pytest.param(UNTRUSTED, True, False, id="untrusted"),
    ],
)
def test_nothing_is_done_before_it_is_here_and_proposal_and_vote_say_why(
    verdict: Verdict, stalled: bool, retried: bool
) -> None:
    # Given
    choice = choice_of(GIT)
    seen = observed(
        ACCEPTED,
        target=replace(TARGET, package_id=None, not_known=verdict),
        deployment=UNDONE,
        choice=refuse(choice, verdict) if verdict.fails else choice,
        fetching=verdict,
    )

    # When
    decision = decide_proposal(seen)

    # Then
    assert decision.ledger_actions == ()
    assert decision.conditions[ConditionType.INSTALLED].reason is verdict.reason
    assert decision.conditions[ConditionType.READY].reason is verdict.reason
    assert (ConditionType.STALLED in decision.conditions) is stalled
    assert decision.vote_problems["mine"].reason is verdict.reason
    assert (download_failure(seen) is not None) is retried


def test_a_refusal_names_the_vote_and_what_can_be_done() -> None:
    problem = refuse(choice_of(ARCHIVE), UNTRUSTED).problem

    assert problem is not None
    assert problem.message == (
        "Vote mine: local.package: files.example.com is not in trust.archiveHosts of the X; add it; "
        "or choose another package"
    )


async def test_bytes_of_another_commit_than_was_looked_at_are_not_installed() -> None:
    # Given
    work = ChaincodeWork(replace(TARGET, package_id="own_1:00"), UNDONE, choice=choice_of(GIT))

    # When
    with pytest.raises(TransientError, match=r"the package is own_1:cdcd\S+ by now") as refusal:
        await fetch_to_install(work, REF, cast("OrganizationSession", Session()), cast("Packages", Fetching(BUILT)))

    # Then
    assert refusal.value.reason is Reason.PACKAGE_PENDING
