"""Which chaincode servers an organization runs, with whose settings, and whether one serves. Pure.

A server belongs to a package ID. Proposals make claims on it; what all of them say together decides whether it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from opssc_chaincode.model import CcaasPackage
from opssc_operator.api.conditions import Reason
from opssc_operator.api.servers import ServerSettings
from opssc_operator.api.trust import Trust
from opssc_operator.domain.outline import Slot
from opssc_operator.domain.trust import continues
from opssc_operator.domain.verdict import Verdict, no, unknown, yes

_AVAILABLE: Final = "Available"
_TROUBLES: Final = ("ReplicaFailure", "Progressing", _AVAILABLE)
"""Conditions of a Deployment in the order in which they explain why it does not serve."""


class Wish(StrEnum):
    """What the objects of one proposal in this namespace say about its server."""

    RUN = "Run"
    STOP = "Stop"
    DEFAULT = "Default"
    """A manifest stands here and says nothing, so nothing is asked for."""
    UNSAID = "Unsaid"
    """Nobody stated the proposal here; what runs goes on running."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a server of one package is: everything of it that was agreed on.

    ``host`` is the host of an explicit address without templates, None otherwise.
    """

    package_id: str
    label: str
    image_name: str
    image_digest: str
    port: int
    tls: bool = False
    host: str | None = None

    @property
    def image(self) -> str:
        """The image by digest, as a container names it."""
        return f"{self.image_name}@{self.image_digest}"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one accepted proposal means for the server of its package; ``said`` orders claims, oldest first.

    ``current`` says that the definition is committed, or still to be; ``held`` that nothing may be changed for now.
    """

    package_id: str
    slot: Slot
    wish: Wish
    said: tuple[str, ...]
    settings: ServerSettings = field(default_factory=ServerSettings)
    served: Served | None = None
    current: bool = True
    committed: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Make the objects of the server what they should be."""

    served: Served
    settings: ServerSettings


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the objects of the server, if there are any."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave everything as it is."""


@dataclass(frozen=True, slots=True)
class AskPeers:
    """Nothing of this ledger needs the server: ask the own peers whether a definition of another origin does."""


ServerDecision = Run | Remove | Keep | AskPeers


def decide_server(claims: Sequence[Claim], *, referenced: bool | None = None) -> ServerDecision:
    """Decide about the server of one package from all claims on it.

    ``referenced`` is whether a committed definition on an own peer uses the package; None while nobody asked.
    """
    if any(claim.held for claim in claims):
        return Keep()
    current = [claim for claim in claims if claim.current]
    if not current and not referenced:
        return AskPeers() if referenced is None else Remove()
    speakers = [claim for claim in claims if claim.wish in {Wish.RUN, Wish.STOP}]
    if not speakers:
        # Where nobody states the proposal any more, a server is not stopped for that.
        return Remove() if any(claim.wish is Wish.DEFAULT for claim in current) else Keep()
    speaker = max(speakers, key=lambda claim: (claim.current, claim.said))
    if speaker.wish is Wish.STOP:
        return Remove()
    served = speaker.served or next((claim.served for claim in claims if claim.served is not None), None)
    return Keep() if served is None else Run(served, speaker.settings)


def image_refusal(image_name: str, trust: Trust) -> str:
    """Why an image is not run, or an empty text."""
    if any(continues(image_name, prefix) for prefix in trust.image_registries):
        return ""
    return f"image {image_name} is not in trust.imageRegistries of the FabricOrganization, so it is not run; add it"


def served_by(source: object, package_id: str) -> Served | None:
    """The server a package source asks for; None for packages that the peers' own builder runs."""
    if not isinstance(source, CcaasPackage):
        return None
    connection = source.connection
    host = (connection.address or "").rpartition(":")[0]
    return Served(
        package_id=package_id,
        label=source.label,
        image_name=source.image.name,
        image_digest=source.image.digest,
        port=connection.port,
        tls=connection.tls_required,
        host=host if host and "{" not in host else None,
    )


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """A Deployment as its controller last described it; ``settled`` when the description is of the present spec."""

    name: str
    settled: bool
    available: bool
    desired: int
    updated: int
    ready: int
    trouble: str = ""


def read_deployment(body: Mapping[str, Any]) -> DeploymentState:
    """What matters of a Deployment object as the API server returns it."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    return DeploymentState(
        name=metadata["name"],
        settled=int(status.get("observedGeneration") or 0) >= int(metadata.get("generation") or 0),
        available=conditions.get(_AVAILABLE, {}).get("status") == "True",
        desired=int(spec.get("replicas", 1)),
        updated=int(status.get("updatedReplicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        trouble=_trouble(conditions),
    )


def _trouble(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    """The reason and the text of the Deployment's own condition that stands in the way, if any does."""
    for kind in _TROUBLES:
        found = conditions.get(kind)
        bad = "True" if kind == "ReplicaFailure" else "False"
        if found is not None and found.get("status") == bad:
            return f"{found.get('reason') or kind}: {found.get('message') or 'no message'}"
    return ""


@dataclass(frozen=True, slots=True)
class ServerLook:
    """The server of one proposal's package as it stands here; ``problem`` is why it could not be made."""

    wish: Wish
    said: tuple[str, ...] = ()
    settings: ServerSettings = field(default_factory=ServerSettings)
    problem: str = ""
    deployment: DeploymentState | None = None

    @property
    def asked(self) -> bool:
        """Whether this organization asked the operator to run it."""
        return self.wish is Wish.RUN


def judge_runtime(look: ServerLook) -> Verdict:
    """Whether the server serves; Unknown when the operator runs none."""
    deployment = look.deployment
    if look.asked and look.problem:
        return no(Reason.SERVER_NOT_READY, look.problem)
    if deployment is None:
        if look.asked:
            return no(Reason.SERVER_NOT_READY, "the chaincode server is being created")
        return unknown(Reason.SERVER_NOT_MANAGED, "the operator runs no chaincode server for this package here")
    if deployment.settled and deployment.available and deployment.updated >= deployment.desired:
        return yes(Reason.SERVER_READY, f"Deployment {deployment.name} serves")
    trouble = deployment.trouble if deployment.settled else ""
    return no(Reason.SERVER_NOT_READY, f"Deployment {deployment.name}: {trouble or 'waiting for its pods'}")
