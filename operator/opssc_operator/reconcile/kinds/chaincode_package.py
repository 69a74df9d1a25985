"""The package of a chaincode proposal: what to propose, what to believe, what to approve and what to install."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from opssc_chaincode.model import ChaincodeContent, UnchangedPackage
from opssc_chaincode.tally import derive
from opssc_operator.api.chaincode_proposal import ChaincodeProposalSpec
from opssc_operator.api.conditions import Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.choices import LocalChoice, installs_other
from opssc_operator.domain.content import BuiltPackage, ContentError, build_package, invalid, is_fetched, stated_package
from opssc_operator.domain.keeping import Kept
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork
from opssc_operator.domain.verdict import Verdict, unknown
from opssc_operator.domain.verification import judge_fetched
from opssc_operator.errors import TransientError
from opssc_operator.ledger.kept import fetch_approval, fetch_installed_package
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.kinds.chaincode_kept import find_kept
from opssc_operator.reconcile.kinds.chaincode_own import find_own
from opssc_operator.reconcile.packages import Packages


async def fetch_planned(
    spec: ChaincodeProposalSpec, ref: ProposalRef, session: OrganizationSession, packages: Packages
) -> BuiltPackage | Verdict | None:
    """The package a manifest would propose, if it has to be fetched."""
    try:
        package = stated_package(spec)
    except ContentError as exc:
        return invalid(exc)
    return await packages.obtain(session.settings.namespace, package, ref) if is_fetched(package) else None


async def verify_package(
    content: ChaincodeContent, ref: ProposalRef, session: OrganizationSession, packages: Packages
) -> Verdict | None:
    """What is wrong with a package that has to be fetched, or what is waited for; None when all is well.

    It is not fetched once nothing depends on it any more, be it that this organization installs something else.
    Raises TransientError.
    """
    facts = await session.view.get(ref)
    if facts is None or not is_fetched(content.package):
        return None
    tally = derive(facts, datetime.now(UTC))
    if not tally.open and not tally.accepted:
        return unknown(Reason.VOTING_CLOSED, "voting is over, so the package is not fetched")
    if tally.accepted and (_is_replaced(ref, session, packages) or await _is_settled(content, session)):
        return None
    fetched = await packages.obtain(session.settings.namespace, content.package, ref)
    return fetched if isinstance(fetched, Verdict) else judge_fetched(content, fetched)


def _is_replaced(ref: ProposalRef, session: OrganizationSession, packages: Packages) -> bool:
    """Whether the oldest Vote says to install something else here."""
    votes = packages.store.votes(session.settings.namespace, ref)
    local = votes[0].spec.local if votes else None
    return local is not None and installs_other(local.package)


async def _is_settled(content: ChaincodeContent, session: OrganizationSession) -> bool:
    """Whether the own organization approved this very package, or a later sequence makes it history."""
    channel, name, sequence = content.channel, content.name, content.sequence
    approved, committed = await asyncio.gather(
        fetch_approval(session.peers, channel, name, sequence),
        session.deployments.fetch_committed(channel, name),
    )
    same = approved is not None and approved.package_id == content.package_id
    return same or (committed is not None and committed.definition.sequence > sequence)


async def find_package(choice: LocalChoice, ref: ProposalRef, session: OrganizationSession, packages: Packages) -> Kept:
    """The package to approve: as its content says it, one of its own, or the one that stays; raises TransientError."""
    content = choice.content
    if content is None:
        return Kept(None)
    if isinstance(content.package.source, UnchangedPackage):
        return await find_kept(content, session)
    if choice.is_own and is_fetched(content.package):
        return await find_own(content, ref, session, packages)
    return Kept(content.package_id or build_package(content.package).package_id)


async def fetch_to_install(
    work: ChaincodeWork, ref: ProposalRef, session: OrganizationSession, packages: Packages
) -> bytes | None:
    """The bytes to install for an accepted proposal; raises TransientError."""
    package_id, content = work.target.package_id, None if work.choice is None else work.choice.content
    if package_id is None or content is None:
        return None
    if isinstance(content.package.source, UnchangedPackage):
        if work.origin is None or any(peer.installed for peer in work.deployment.peers):
            return await fetch_installed_package(session.peers, package_id)
        content = work.origin.content
    obtained = await packages.obtain(session.settings.namespace, content.package, ref)
    if isinstance(obtained, BuiltPackage) and content.package_id is not None:
        obtained = judge_fetched(content, obtained) or obtained
    if isinstance(obtained, Verdict):
        raise TransientError(obtained.message, reason=obtained.reason)
    if obtained.package_id != package_id:
        # A package of its own was fetched anew since it was looked at, from another commit.
        raise TransientError(f"the package is {obtained.package_id} by now", reason=Reason.PACKAGE_PENDING)
    return obtained.data
