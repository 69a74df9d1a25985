"""Finding a package of the organization's own that has to be fetched: what its Vote asks for, or what was approved."""

from __future__ import annotations

import asyncio

from opssc_chaincode.model import ArchivePackage, ChaincodeContent
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.keeping import Kept
from opssc_operator.domain.verdict import Verdict
from opssc_operator.ledger.kept import fetch_approval
from opssc_operator.ledger.session import OrganizationSession
from opssc_operator.reconcile.packages import Packages


async def find_own(
    content: ChaincodeContent, ref: ProposalRef, session: OrganizationSession, packages: Packages
) -> Kept:
    """The package of a content that a Vote asks for; raises TransientError.

    Nobody else checks it, so nothing is approved before it is here. What was approved stays while nothing better is
    known: a commit does not say which package it becomes, and a server that is away takes nothing back.
    """
    channel, name, sequence = content.channel, content.name, content.sequence
    approved, committed = await asyncio.gather(
        fetch_approval(session.peers, channel, name, sequence),
        session.deployments.fetch_committed(channel, name),
    )
    standing = None if approved is None else approved.package_id
    is_history = committed is not None and committed.definition.sequence > sequence
    if is_history or (standing is not None and standing == _stated_id(content)):
        return Kept(standing)
    fetched = await packages.obtain(session.settings.namespace, content.package, ref)
    if not isinstance(fetched, Verdict):
        return Kept(fetched.package_id)
    if not fetched.fails and standing is not None and standing.startswith(f"{content.package.label}:"):
        return Kept(standing, fetching=fetched)
    return Kept(None, missing=fetched, fetching=fetched)


def _stated_id(content: ChaincodeContent) -> str | None:
    """The package ID as far as the source says it; what a commit becomes is known once it is built."""
    source = content.package.source
    return f"{source.label}:{source.sha256}" if isinstance(source, ArchivePackage) else None
