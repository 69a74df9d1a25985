"""Where a package comes from: built here, fetched from a source this organization trusts, or kept from before."""

from __future__ import annotations

from dataclasses import dataclass

from opssc_chaincode.model import ArchivePackage, GitPackage, Package
from opssc_operator.api.conditions import Reason
from opssc_operator.api.organization import FabricOrganization
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.content import BuiltPackage, ContentError, build_package, invalid
from opssc_operator.domain.kinds.chaincode_work import ChaincodeWork
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.trust import judge_source
from opssc_operator.domain.verdict import Verdict, unknown
from opssc_operator.errors import OperatorError, TerminalError, TransientError
from opssc_operator.kube.client import KubeClient
from opssc_operator.reconcile.identities import load_tls_roots
from opssc_operator.reconcile.keys import proposal_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.store import ObjectStore
from opssc_operator.sources.desk import FetchDesk
from opssc_operator.sources.reach import Credential, Reach


@dataclass(slots=True)
class Packages:
    """Gives packages without ever waiting for a network; the proposal that asks is woken when there is news."""

    kube: KubeClient
    store: ObjectStore
    queue: WorkQueue
    desk: FetchDesk

    async def obtain(self, namespace: str, package: Package, ref: ProposalRef) -> BuiltPackage | Verdict:
        """The package, or why there is none (yet): Unknown while it is fetched, False when a person is needed.

        The proposal ``ref`` is reconciled when a verdict on what is fetched changes. What stays has no bytes here.
        """
        source = package.source
        if not isinstance(source, ArchivePackage | GitPackage):
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
        key = proposal_key(namespace, str(ref))
        return await self.desk.obtain(source, lambda: self._reach(organization), key, lambda: self.queue.add(key))

    async def _reach(self, organization: FabricOrganization) -> Reach | Verdict:
        """The allow-lists with the Secrets they name, read when they are needed."""
        trust, namespace = organization.spec.trust, organization.metadata.namespace
        try:
            credentials = {
                entry.host: await self._credential(namespace, entry.secret_ref.name, entry.host)
                for entry in trust.credentials
            }
            authorities = {
                entry.host: await load_tls_roots(
                    self.kube, namespace, entry.tls_ca, f"trust.authorities of {entry.host}"
                )
                for entry in trust.authorities
            }
        except OperatorError as exc:
            return unknown(Reason.DOWNLOAD_FAILED, f"{exc.message}; it is tried again")
        return Reach(trust, credentials, authorities)

    async def _credential(self, namespace: str, name: str, host: str) -> Credential:
        where = f"Secret {namespace}/{name} for trust.credentials of {host}"
        data = await self.kube.get_secret(namespace, name)
        if data is None:
            raise TerminalError(Reason.SECRET_NOT_FOUND, f"{where} does not exist; create it")
        texts = {key: value.decode("utf-8", "replace").strip() for key, value in data.items()}
        if texts.get("token"):
            return Credential(token=texts["token"])
        if "username" in texts and "password" in texts:
            return Credential(texts["username"], texts["password"])
        raise TerminalError(Reason.SECRET_KEY_MISSING, f"{where} has no keys username and password, nor token")


def download_failure(observed: ProposalObserved) -> TransientError | None:
    """The download that failed and is tried again, as the error that status tells."""
    own = observed.work.fetching if isinstance(observed.work, ChaincodeWork) else None
    for verdict in (observed.plan, observed.verified, own):
        if isinstance(verdict, Verdict) and verdict.reason is Reason.DOWNLOAD_FAILED:
            return TransientError(verdict.message, reason=verdict.reason)
    return None
