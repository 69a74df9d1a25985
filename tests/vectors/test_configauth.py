"""Every stage of an orderer's decision on a config update, against recorded decisions."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from fabric_protos.common import common_pb2, configtx_pb2

from fabric_admin.channelconfig import ChannelConfig, acceptance, authorization
from fabric_admin.channelconfig.compatibility import check_compatible
from fabric_admin.channelconfig.maintenance import check_maintenance
from fabric_admin.channelconfig.submission import check_submission
from fabric_admin.errors import ConfigUpdateRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Case = dict[str, Any]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
"""Between the end of the expired certificates and that of all others."""


@functools.cache
def _config(source: Path) -> ChannelConfig:
    return ChannelConfig.from_block(common_pb2.Block.FromString(source.read_bytes()))


class Recorded:
    """One case: the channel as it stands, the envelope, and what each stage said."""

    def __init__(self, case: Case, folder: Path, fabric_cause: Callable[[str], str]) -> None:
        self.config = _config(folder / case["config_block"])
        self.envelope = common_pb2.Envelope.FromString((folder / case["envelope"]).read_bytes())
        self.update = configtx_pb2.ConfigUpdateEnvelope.FromString(
            (folder / case["config_update_envelope"]).read_bytes()
        )
        self.expected = case["expected"]
        self._cause = fabric_cause

    def expect(self, stage: str, act: Callable[[], object]) -> bool:
        """Run a stage that was recorded, and tell whether it passed."""
        verdict = self.expected.get(stage)
        if verdict is None or verdict["ok"]:
            act()
            return True
        with pytest.raises(ConfigUpdateRefused) as refused:
            act()
        texts = verdict.get("error_one_of") or [verdict["error"]]
        assert any(self._cause(text) in str(refused.value) for text in texts)
        assert refused.value.stage == stage
        assert refused.value.remedy
        return False


@pytest.fixture
def recorded(case: Case, vectors: Path, fabric_cause: Callable[[str], str]) -> Recorded:
    return Recorded(case, vectors / "configauth", fabric_cause)


@pytest.mark.vectors
@pytest.mark.vector_cases("configauth", "cases")
def test_the_envelope_is_let_in_or_not_as_an_orderer_does(recorded: Recorded) -> None:
    recorded.expect("submit_checks", lambda: check_submission(recorded.config, recorded.envelope, NOW))


@pytest.mark.vectors
@pytest.mark.vector_cases("configauth", "cases")
def test_an_update_is_authorized_and_applied_as_an_orderer_does(recorded: Recorded, case: Case, vectors: Path) -> None:
    config = recorded.config

    def authorize() -> configtx_pb2.Config:
        return authorization.authorize(config, authorization.update_envelope(recorded.envelope))

    if not recorded.expect("authorize", authorize):
        return
    result = authorize()
    assert result == configtx_pb2.Config.FromString(
        (vectors / "configauth" / case["expected"]["result_config"]).read_bytes()
    )
    if not recorded.expect("new_config", lambda: acceptance.load_result(config, result)):
        return
    proposed = acceptance.load_result(config, result)
    if not recorded.expect("compatible", lambda: check_compatible(config, proposed)):
        return
    update = authorization.read_update(recorded.update.config_update)
    recorded.expect("maintenance_checks", lambda: check_maintenance(config, proposed, update))


@pytest.mark.vectors
@pytest.mark.vector_cases("configauth", "cases")
def test_the_whole_decision_is_the_orderers(recorded: Recorded, case: Case, vectors: Path) -> None:
    expected = case["expected"]
    if not expected["accepted"]:
        with pytest.raises(ConfigUpdateRefused) as refused:
            recorded.config.propose(recorded.envelope, now=NOW)
        assert not expected.get(refused.value.stage, {"ok": False})["ok"]
        return

    result = recorded.config.propose(recorded.envelope, now=NOW)

    assert result == configtx_pb2.Config.FromString((vectors / "configauth" / expected["result_config"]).read_bytes())


@pytest.mark.vectors
@pytest.mark.vector_cases("configauth", "cases")
def test_the_forecast_from_update_and_signatures_agrees(recorded: Recorded) -> None:
    later = ("authorize", "new_config", "compatible", "maintenance_checks")
    passed = {name: verdict["ok"] for name, verdict in recorded.expected.items() if name in later}

    def forecast() -> None:
        signed = authorization.update_envelope(recorded.envelope)
        found = recorded.config.forecast(signed.config_update, signed.signatures, now=NOW)
        assert all(verdict.satisfied != bool(verdict.problem) for verdict in found.verdicts)
        assert not any(verdict.satisfied and verdict.missing for verdict in found.verdicts)
        if found.refusal is not None:
            raise found.refusal

    if all(passed.values()):
        forecast()
        return
    with pytest.raises(ConfigUpdateRefused) as refused:
        forecast()
    assert not passed[refused.value.stage]


@pytest.mark.vectors
@pytest.mark.vector_cases("lifecycle", "cases", kind="config-update")
def test_an_update_recorded_on_a_running_channel_gets_the_orderers_answer(case: Case, vectors: Path) -> None:
    folder = vectors / "lifecycle"
    expected = case["expected"]
    original = configtx_pb2.Config.FromString((folder / case["original_config"]).read_bytes())
    config = ChannelConfig.from_config(original, case["channel"])
    envelope = common_pb2.Envelope.FromString((folder / case["envelope"]).read_bytes())
    if expected["broadcast_status"] != "SUCCESS":
        with pytest.raises(ConfigUpdateRefused) as refused:
            config.propose(envelope, now=NOW)
        assert (refused.value.status, str(refused.value)) == (expected["broadcast_status"], expected["broadcast_info"])
        return

    result = config.propose(envelope, now=NOW)

    assert result.sequence == expected["sequence"]
    assert result == configtx_pb2.Config.FromString((folder / expected["new_config"]).read_bytes())
