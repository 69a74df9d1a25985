"""Which Services lead to the organization's own peers, when nobody lists them. Pure.

Services that say so by a label are believed first; else the pods say whose peers they are, and the Services that
select them lead there. An address proves nothing: the peer's TLS certificate has to come from a CA that the
organization named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from opssc_operator.api.fields import Address, ObjectName, SecretKey, ServerName
from opssc_operator.api.organization import PeerSource
from opssc_operator.api.surroundings import PEER_LABEL, PREFIX, Pod, Service

MAX_PEERS: Final = 64
MSP_VARIABLE: Final = "CORE_PEER_LOCALMSPID"
PORT_NAMES: Final = ("grpc", "peer", "peer-grpc", "grpc-peer")
"""Names of the port that peers serve clients on, the first one that a Service has."""
DEFAULT_KEY: Final = "ca.crt"
_ADDRESS: Final = TypeAdapter(Address)
_NAME: Final = TypeAdapter(ServerName)
_SECRET: Final = TypeAdapter(ObjectName)
_KEY: Final = TypeAdapter(SecretKey)
_KEPT: Final = frozenset({"msp-id", "peer-name", "peer-address", "tls-ca-secret", "tls-server-name"})


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """A Service: its annotations without the prefix ``opssc.dev/``, and its ports by name."""

    namespace: str
    name: str
    labelled: bool
    annotations: Mapping[str, str]
    selector: Mapping[str, str]
    ports: tuple[tuple[str, int], ...]

    @property
    def title(self) -> str:
        """The Service as messages name it."""
        return f"Service {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class PodSeen:
    """A pod of a peer: of which MSPs it says to be."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    msp_ids: frozenset[str]

    @property
    def title(self) -> str:
        """The pod as messages name it."""
        return f"pod {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class FoundPeer:
    """One own peer; ``tls_secret`` is name and key of a Secret beside the organization, None for the default CA."""

    name: str
    address: str
    source: PeerSource
    server_name: str | None = None
    tls_secret: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Discovery:
    """The own peers by name, at most 64, and what keeps others from being used; both sorted."""

    peers: tuple[FoundPeer, ...] = ()
    problems: tuple[str, ...] = ()


class _Unusable(Exception):
    """Why a Service cannot be used, for people."""


def read_service(service: Service) -> ServiceSeen:
    """Keep of a Service what discovery looks at."""
    labels, annotations = service.metadata.labels, service.metadata.annotations
    kept = {name: annotations[PREFIX + name] for name in _KEPT if PREFIX + name in annotations}
    return ServiceSeen(
        namespace=service.metadata.namespace,
        name=service.metadata.name,
        labelled=labels.get(PEER_LABEL) == "true",
        annotations=kept,
        selector=dict(service.spec.selector),
        ports=tuple((port.name, port.port) for port in service.spec.ports),
    )


def read_pod(pod: Pod) -> PodSeen | None:
    """Keep of a pod what discovery looks at; None when it is no peer."""
    variables = (variable for container in pod.spec.containers for variable in container.env)
    msp_ids = frozenset(variable.value for variable in variables if variable.name == MSP_VARIABLE and variable.value)
    if not msp_ids:
        return None
    return PodSeen(pod.metadata.namespace, pod.metadata.name, dict(pod.metadata.labels), msp_ids)


def discover_peers(
    own_msp_id: str, own_namespace: str, services: Iterable[ServiceSeen], pods: Iterable[PodSeen]
) -> Discovery:
    """The own peers: those of labelled Services, else those of Services that select pods of the own MSP.

    A Secret is named only by Services of the organization's own namespace: who writes Services elsewhere does not
    choose whom this operator trusts.
    """
    known = sorted(services, key=lambda service: (service.namespace, service.name))
    labelled = [one for one in known if one.labelled and one.annotations.get("msp-id", own_msp_id) == own_msp_id]
    if labelled:
        return _collect([(one, PeerSource.SERVICE) for one in labelled], own_namespace, ())
    own_pods = sorted((pod for pod in pods if own_msp_id in pod.msp_ids), key=lambda pod: (pod.namespace, pod.name))
    problems: list[str] = []
    leading = {pod.title: _exposing(pod, known, own_pods) for pod in own_pods}
    chosen: dict[str, ServiceSeen] = {}
    for pod in own_pods:
        service = leading[pod.title]
        if service is None:
            problems.append(f"no Service with a port for clients selects {pod.title}")
        elif any(_selects(service, other) and leading[other.title] != service for other in own_pods):
            problems.append(
                f"{service.title} selects other peers beside {pod.title}; give that one a Service of its own"
            )
        else:
            chosen[service.title] = service
    return _collect([(chosen[title], PeerSource.POD) for title in sorted(chosen)], own_namespace, problems)


def _exposing(pod: PodSeen, services: Sequence[ServiceSeen], pods: Sequence[PodSeen]) -> ServiceSeen | None:
    """The Service that leads to a pod: the one that selects the fewest pods, so that it leads to no other peer."""
    fitting = [one for one in services if _selects(one, pod) and _port_of(one) is not None]
    return min(fitting, key=lambda one: (sum(_selects(one, each) for each in pods), one.name), default=None)


def _selects(service: ServiceSeen, pod: PodSeen) -> bool:
    same = service.namespace == pod.namespace
    return same and bool(service.selector) and service.selector.items() <= pod.labels.items()


def _port_of(service: ServiceSeen) -> int | None:
    by_name = dict(service.ports)
    named = next((by_name[name] for name in PORT_NAMES if name in by_name), None)
    return service.ports[0][1] if named is None and len(service.ports) == 1 else named


def _collect(
    services: Sequence[tuple[ServiceSeen, PeerSource]], own_namespace: str, problems: Iterable[str]
) -> Discovery:
    peers: dict[str, FoundPeer] = {}
    said = list(problems)
    for service, source in services:
        try:
            peer = _read_peer(service, source, own_namespace)
        except _Unusable as exc:
            said.append(f"{service.title}: {exc}")
            continue
        if peer.name in peers:
            said.append(f"{service.title}: another Service stands for peer {peer.name} already")
        elif len(peers) == MAX_PEERS:
            said.append(f"{service.title}: more than {MAX_PEERS} peers")
        else:
            peers[peer.name] = peer
    return Discovery(tuple(peers[name] for name in sorted(peers)), tuple(sorted(said)))


def _read_peer(service: ServiceSeen, source: PeerSource, own_namespace: str) -> FoundPeer:
    said = service.annotations
    server_name, secret = said.get("tls-server-name"), said.get("tls-ca-secret")
    if secret is not None and service.namespace != own_namespace:
        raise _Unusable(f"annotation tls-ca-secret counts in namespace {own_namespace} only; set spec.peers.tlsCA")
    default_name = service.name if service.namespace == own_namespace else f"{service.name}.{service.namespace}"
    return FoundPeer(
        name=_checked(_NAME, said.get("peer-name", default_name), "peer-name is no host name"),
        address=_address(service),
        source=source,
        server_name=None if server_name is None else _checked(_NAME, server_name, "tls-server-name is no host name"),
        tls_secret=None if secret is None else _secret(secret),
    )


def _address(service: ServiceSeen) -> str:
    stated = service.annotations.get("peer-address")
    if stated is not None:
        address = _checked(_ADDRESS, stated, "peer-address is not host:port")
    else:
        port = _port_of(service)
        if port is None:
            raise _Unusable(f"name the port that peers serve clients on {PORT_NAMES[0]}, or leave it the only one")
        address = f"{service.name}.{service.namespace}.svc:{port}"
    if not 1 <= int(address.rpartition(":")[2]) <= 65535:  # noqa: PLR2004 - the last TCP port
        raise _Unusable("peer-address has no port between 1 and 65535")
    return address


def _secret(text: str) -> tuple[str, str]:
    name, slash, key = text.partition("/")
    problem = "tls-ca-secret is not the name of a Secret, or name/key"
    return _checked(_SECRET, name, problem), _checked(_KEY, key if slash else DEFAULT_KEY, problem)


def _checked(adapter: TypeAdapter[str], text: str, problem: str) -> str:
    # The models' patterns accept a closing line feed.
    if re.search(r"\s", text):
        raise _Unusable(f"annotation {problem}")
    try:
        return adapter.validate_python(text)
    except ValidationError as exc:
        raise _Unusable(f"annotation {problem}") from exc
