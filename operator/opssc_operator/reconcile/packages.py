"""Where a package comes from: built here, fetched from a source this organization trusts, or kept from before."""

from __future__ import annotations

from dataclasses import dataclass

from opssc_chaincode.model import Package
from opssc_operator.api.conditions import Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.content import BuiltPackage, ContentError, build_package, invalid, is_fetched
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.trust import judge_source
from opssc_operator.domain.verdict import Verdict, no, unknown
from opssc_operator.errors import TransientError
from opssc_operator.reconcile.store import ObjectStore


@dataclass(slots=True)
class Packages:
    """Gives packages without ever waiting for a network; the proposal that asks is woken when there is news."""

    store: ObjectStore

    async def obtain(self, namespace: str, package: Package, ref: ProposalRef) -> BuiltPackage | Verdict:
        """The package, or why there is none (yet): Unknown while it is fetched, False when a person is needed.

        The proposal ``ref`` is reconciled when a verdict that is Unknown changes. A package that stays has none here.
        """
        if not is_fetched(package):
            try:
                return build_package(package)
            except ContentError as exc:
                return invalid(exc)
        organization = self.store.organization(namespace)
        if organization is None:
            return unknown(Reason.ORGANIZATION_NOT_READY, "the namespace has no FabricOrganization; apply one")
        refusal = judge_source(organization.spec.trust, package)
        if refusal is not None:
            return refusal
        return no(Reason.UNSUPPORTED_BY_THIS_VERSION, f"this version fetches no packages yet, for {ref}")


def download_failure(observed: ProposalObserved) -> TransientError | None:
    """The download that failed and is tried again, as the error that status tells."""
    for verdict in (observed.plan, observed.verified):
        if isinstance(verdict, Verdict) and verdict.reason is Reason.DOWNLOAD_FAILED:
            return TransientError(verdict.message, reason=verdict.reason)
    return None
