"""What is read of Services and pods that stand around an organization's peers; everything else of them is left out.

Others write these objects, so every text is bounded and what does not fit is refused.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from opssc_operator.api.fields import manifest_name

PREFIX: Final = "opssc.dev/"
PEER_LABEL: Final = f"{PREFIX}peer"
"""Label of a Service that stands for one peer, with the value "true"."""

_Text = Annotated[str, StringConstraints(max_length=1024)]
_Map = Annotated[dict[_Text, _Text], Field(max_length=256)]


class _Part(BaseModel):
    """Some fields of an object of the API server."""

    model_config = ConfigDict(alias_generator=manifest_name, extra="ignore", frozen=True)


class Metadata(_Part):
    """Identity and labels."""

    name: Annotated[str, StringConstraints(max_length=253)]
    namespace: Annotated[str, StringConstraints(max_length=63)]
    labels: _Map = {}
    annotations: dict[str, str] = {}


class ServicePort(_Part):
    """A port of a Service."""

    name: _Text = ""
    port: Annotated[int, Field(ge=1, le=65535)]


class ServiceSpec(_Part):
    """Which pods a Service exposes, and on which ports."""

    selector: _Map = {}
    ports: Annotated[tuple[ServicePort, ...], Field(max_length=128)] = ()


class Service(_Part):
    """A Service."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()


class Variable(_Part):
    """An environment variable; what it takes from elsewhere is not looked up."""

    name: str
    value: str = ""


class Container(_Part):
    """A container."""

    env: tuple[Variable, ...] = ()


class PodSpec(_Part):
    """The containers of a pod."""

    containers: tuple[Container, ...] = ()


class Pod(_Part):
    """A pod."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
