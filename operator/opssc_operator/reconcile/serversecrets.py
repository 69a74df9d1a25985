"""The Secrets of chaincode servers with TLS: the organization's CA, and each server's certificate.

Secrets are read by name and never listed or watched, so that the operator needs no right to see others.
"""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from opssc_operator.api.group import API_VERSION, Kind
from opssc_operator.domain.serverset import (
    Owner,
    ServerPlan,
    build_metadata,
    certificate_names,
    is_own,
    owner_labels,
    package_of,
    tls_secret_name,
)
from opssc_operator.errors import TerminalError, TransientError
from opssc_operator.kube.client import KubeClient
from opssc_operator.kube.refusal import CONFLICT
from opssc_operator.kube.resources import SECRETS
from opssc_operator.reconcile.servercertificates import Authority, fingerprint, renewal_of

RENEWAL_LOOK_SECONDS: Final = 3600.0
"""How often a certificate's end is looked at; nothing tells when a Secret was removed."""
_LONGEST_PREFIX: Final = 230


@dataclass(frozen=True, slots=True)
class HeldCertificate:
    """The certificate a server is to use, and how soon to look at it again."""

    fingerprint: str
    renew_seconds: float


class ServerSecrets:
    """Reads and writes them."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure(self, plan: ServerPlan, now: datetime) -> HeldCertificate:
        """A certificate of the organization's CA for every name of the server, made or renewed where needed.

        Raises:
            TransientError: the API server refuses or does not answer.
            TerminalError: a Secret of somebody else has the name of one of ours.
        """
        async with self._turns[plan.owner.namespace]:
            authority = await self._ensure_authority(plan.owner, now)
        name, names = tls_secret_name(plan.served.package_id), certificate_names(plan)
        known, data = await self._read(plan.owner.namespace, plan.namespace, name)
        renewal = renewal_of(authority, data, names)
        if renewal is None or renewal <= now:
            data = authority.issue(names, now)
            renewal = renewal_of(authority, data, names) or now
            await self._write(build_metadata(plan, name), data, known)
        seconds = (renewal - now).total_seconds()
        return HeldCertificate(fingerprint(data), min(max(seconds, 1.0), RENEWAL_LOOK_SECONDS))

    async def remove(self, organization_namespace: str, namespace: str, package_id: str) -> None:
        """Delete the certificate of a server, if there is one and it is ours."""
        name = tls_secret_name(package_id)
        known = await self._kube.objects.get(SECRETS, namespace, name)
        if known is not None and is_own(known, organization_namespace) and package_of(known) == package_id:
            await self._kube.objects.delete(SECRETS, namespace, name, str(known["metadata"]["uid"]))

    async def _ensure_authority(self, owner: Owner, now: datetime) -> Authority:
        name = authority_secret_name(owner.name)
        known, data = await self._read(owner.namespace, owner.namespace, name)
        found = Authority.read(data)
        if known is not None and data and found is None:
            raise TerminalError(
                "CertificateUnreadable", f"Secret {name} holds no usable CA; delete it to get a new one"
            )
        if found is not None and not found.is_old(now):
            return found
        made = Authority.create(owner.name, now) if found is None else found.renew(now)
        kind = str(Kind.FABRIC_ORGANIZATION)
        metadata = {
            "name": name,
            "namespace": owner.namespace,
            "labels": owner_labels(owner.namespace),
            "ownerReferences": [{"apiVersion": API_VERSION, "kind": kind, "name": owner.name, "uid": owner.uid}],
        }
        if known is not None:
            await self._write(metadata, made.to_data(), known)
        elif await self._kube.objects.create(SECRETS, build_secret(metadata, made.to_data())) is None:
            # Two CAs would leave servers that no peer trusts: the first one counts.
            raise TransientError(f"Secret {owner.namespace}/{name} was made meanwhile", 0.0, reason=CONFLICT)
        return made

    async def _read(
        self, organization_namespace: str, namespace: str, name: str
    ) -> tuple[Mapping[str, Any] | None, Mapping[str, bytes]]:
        known = await self._kube.objects.get(SECRETS, namespace, name)
        if known is None:
            return None, {}
        if not is_own(known, organization_namespace):
            message = f"Secret {namespace}/{name} was made by somebody else and is in the way; rename or delete it"
            raise TerminalError("SecretInTheWay", message)
        return known, await self._kube.get_secret(namespace, name) or {}

    async def _write(
        self, metadata: Mapping[str, Any], data: Mapping[str, bytes], known: Mapping[str, Any] | None
    ) -> None:
        manifest = build_secret(metadata, data)
        await self._kube.objects.apply(SECRETS, manifest, None if known is None else str(known["metadata"]["uid"]))


def build_secret(metadata: Mapping[str, Any], data: Mapping[str, bytes]) -> Mapping[str, Any]:
    """A Secret with a certificate and its key."""
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": metadata,
        "data": encoded,
    }


def authority_secret_name(organization: str) -> str:
    """Name of the Secret with the CA of an organization's chaincode servers."""
    return f"{organization[:_LONGEST_PREFIX].rstrip('-.')}-chaincode-ca"
