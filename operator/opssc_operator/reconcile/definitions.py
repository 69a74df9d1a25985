"""Reading organization definitions that a manifest keeps in a ConfigMap or a Secret of its namespace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from opssc_chaincode.model import OrganizationDefinition
from opssc_chaincode.model.document import describe
from opssc_operator.api.changes import DefinitionSource
from opssc_operator.api.conditions import Reason
from opssc_operator.errors import TerminalError
from opssc_operator.kube.client import KubeClient


async def read_definitions(
    kube: KubeClient, namespace: str, sources: Iterable[DefinitionSource]
) -> dict[DefinitionSource, OrganizationDefinition]:
    """The definition behind every source; raises TerminalError naming the object and the key, TransientError."""
    return {source: await _read(kube, namespace, source) for source in sources}


async def _read(kube: KubeClient, namespace: str, source: DefinitionSource) -> OrganizationDefinition:
    reference = source.config_map_ref or source.secret_ref
    if reference is None:
        raise TerminalError(Reason.INVALID_SPEC, "definitionFrom names no ConfigMap and no Secret")
    kind = "ConfigMap" if source.config_map_ref is not None else "Secret"
    where = f"{kind} {namespace}/{reference.name}"
    data: Mapping[str, str] | Mapping[str, bytes] | None
    if source.config_map_ref is not None:
        data = await kube.get_config_map(namespace, reference.name)
    else:
        data = await kube.get_secret(namespace, reference.name)
    if data is None:
        raise TerminalError(Reason.DEFINITION_NOT_FOUND, f"{where} with an organization's definition does not exist")
    if reference.key not in data:
        raise TerminalError(Reason.DEFINITION_NOT_FOUND, f"{where} has no key {reference.key}")
    try:
        return OrganizationDefinition.model_validate_json(data[reference.key])
    except ValidationError as exc:
        raise TerminalError(Reason.DEFINITION_INVALID, f"key {reference.key} of {where}: {describe(exc)}") from exc
