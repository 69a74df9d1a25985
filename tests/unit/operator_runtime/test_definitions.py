"""Definitions that a manifest keeps elsewhere: found, missing, or not to be read, with the object and key named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest
from unit.operator_channels.changes import definition

from opssc_operator.api.changes import DefinitionSource
from opssc_operator.api.conditions import Reason
from opssc_operator.errors import TerminalError
from opssc_operator.reconcile.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opssc_operator.kube.client import KubeClient

ORG4 = json.dumps(definition("Org4MSP"))
IN_CONFIG_MAP = DefinitionSource.model_validate({"configMapRef": {"name": "org4"}})
IN_SECRET = DefinitionSource.model_validate({"secretRef": {"name": "org4", "key": "msp.json"}})


class Namespace:
    """What one namespace has of ConfigMaps and Secrets."""

    def __init__(self, config_map: Mapping[str, str] | None, secret: Mapping[str, bytes] | None = None) -> None:
        self._config_map, self._secret = config_map, secret

    async def get_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        assert (namespace, name) == ("org1", "org4")
        return self._config_map

    async def get_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        assert (namespace, name) == ("org1", "org4")
        return self._secret


async def read(cluster: Namespace, *sources: DefinitionSource) -> dict[DefinitionSource, object]:
    return dict(await read_definitions(cast("KubeClient", cluster), "org1", sources))


async def test_definitions_are_read_from_where_they_are() -> None:
    found = await read(Namespace({"definition.json": ORG4}, {"msp.json": ORG4.encode()}), IN_CONFIG_MAP, IN_SECRET)

    assert found[IN_CONFIG_MAP] == found[IN_SECRET]


@pytest.mark.parametrize(
    ("cluster", "source", "reason", "said"),
    [
        pytest.param(
            Namespace(None), IN_CONFIG_MAP, Reason.DEFINITION_NOT_FOUND, "ConfigMap org1/org4", id="no ConfigMap"
        ),
        pytest.param(Namespace(None), IN_SECRET, Reason.DEFINITION_NOT_FOUND, "Secret org1/org4", id="no Secret"),
        pytest.param(
            Namespace({"other": ORG4}), IN_CONFIG_MAP, Reason.DEFINITION_NOT_FOUND, "definition.json", id="no such key"
        ),
        pytest.param(
            Namespace({"definition.json": "no JSON"}),
            IN_CONFIG_MAP,
            Reason.DEFINITION_INVALID,
            "key definition.json of ConfigMap org1/org4",
            id="no JSON",
        ),
        pytest.param(
            Namespace({"definition.json": "{}"}), IN_CONFIG_MAP, Reason.DEFINITION_INVALID, "rootCerts", id="no roots"
        ),
        pytest.param(
            Namespace(None, {"msp.json": b"\xff\xfe"}), IN_SECRET, Reason.DEFINITION_INVALID, "msp.json", id="bytes"
        ),
    ],
)
async def test_what_is_not_there_or_no_definition_is_named(
    cluster: Namespace, source: DefinitionSource, reason: Reason, said: str
) -> None:
    with pytest.raises(TerminalError) as refused:
        await read(cluster, source)

    assert refused.value.reason == reason
    assert said in refused.value.message
