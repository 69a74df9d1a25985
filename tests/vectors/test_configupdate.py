"""Update computation, against what the translator computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fabric_protos.common import configtx_pb2

from fabric_admin import channelconfig
from fabric_admin.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

Case = dict[str, Any]


@pytest.mark.vectors
@pytest.mark.vector_cases("configupdate", "cases")
def test_an_update_is_computed_as_the_translator_does(case: Case, vectors: Path) -> None:
    folder = vectors / "configupdate"
    original, updated = (
        configtx_pb2.Config.FromString((folder / case[name]).read_bytes()) for name in ("original", "updated")
    )
    expected = case["expected"]
    if "error" in expected:
        with pytest.raises(ConfigError) as refused:
            channelconfig.compute_update(case["channel_id"], original, updated)
        assert expected["error"].endswith(str(refused.value))
        return

    delta = channelconfig.compute_update(case["channel_id"], original, updated)

    assert delta == configtx_pb2.ConfigUpdate.FromString((folder / expected["delta"]).read_bytes())
