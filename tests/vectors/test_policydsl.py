"""The policy language and policy evaluation, against recorded results."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from fabric_protos.common import configtx_pb2, policies_pb2
from fabric_protos.msp import identities_pb2, msp_config_pb2

from fabric_admin import policy
from fabric_admin.errors import PolicyNotSatisfied, PolicySyntaxError
from fabric_admin.msp import MSP, MSPManager

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Case = dict[str, Any]
DATA = b"policy evaluation sample"


@functools.cache
def _manager(folder: Path) -> MSPManager:
    loaded = [
        MSP.from_config(msp_config_pb2.MSPConfig.FromString(source.read_bytes())) for source in folder.glob("msps/*.pb")
    ]
    return MSPManager({msp.msp_id: msp for msp in loaded})


def _signed(case: Case, folder: Path) -> list[policy.SignedData]:
    return [
        policy.SignedData(
            DATA,
            identities_pb2.SerializedIdentity(
                mspid=signer["mspid"], id_bytes=(folder / signer["cert"]).read_bytes()
            ).SerializeToString(),
            bytes.fromhex(signer["signature_hex"]),
        )
        for signer in case["signers"]
    ]


def _expect(expected: Case, evaluate: Callable[[], None]) -> None:
    if expected["satisfied"]:
        evaluate()
        return
    with pytest.raises(PolicyNotSatisfied) as refused:
        evaluate()
    assert str(refused.value) == expected["error"]


@pytest.mark.vectors
@pytest.mark.vector_cases("policydsl", "parse")
def test_a_policy_text_is_read_as_fabric_reads_it(case: Case) -> None:
    expected = case["expected"]
    if not expected["ok"]:
        with pytest.raises(PolicySyntaxError) as refused:
            policy.parse(case["policy"])
        assert str(refused.value) == expected.get("error_first_line", expected["error"])
        return

    parsed = policy.parse(case["policy"])

    assert parsed == policies_pb2.SignaturePolicyEnvelope.FromString(bytes.fromhex(expected["envelope_hex"]))
    assert policy.parse(policy.format(parsed)) == parsed


@pytest.mark.vectors
@pytest.mark.vector_cases("policydsl", "implicit_meta_parse")
def test_an_implicit_meta_text_is_read_as_fabric_reads_it(case: Case) -> None:
    expected = case["expected"]
    if not expected["ok"]:
        with pytest.raises(PolicySyntaxError) as refused:
            policy.parse_implicit_meta(case["policy"])
        assert str(refused.value) == expected["error"]
        return

    parsed = policy.parse_implicit_meta(case["policy"])

    assert parsed.SerializeToString() == bytes.fromhex(expected["implicit_meta_hex"])


@pytest.mark.vectors
@pytest.mark.vector_cases("policydsl", "evaluate")
def test_signatures_satisfy_a_policy_exactly_when_fabric_says_so(case: Case, vectors: Path) -> None:
    folder = vectors / "policydsl"
    expected, data = case["expected"], bytes.fromhex(case["envelope_hex"])
    if not expected["compiles"]:
        with pytest.raises(PolicySyntaxError) as refused:
            policy.compile_policy(data)
        assert str(refused.value) == expected["error"]
        return
    envelope = policies_pb2.SignaturePolicyEnvelope.FromString(data)

    _expect(expected, lambda: policy.evaluate(envelope, _signed(case, folder), _manager(folder)))


@pytest.mark.vectors
@pytest.mark.vector_cases("policydsl", "implicit_meta_evaluate")
def test_policies_of_a_config_tree_count_as_fabric_counts(case: Case, vectors: Path) -> None:
    folder = vectors / "policydsl"
    expected = case["expected"]
    group = configtx_pb2.ConfigGroup.FromString((folder / case["group"]).read_bytes())
    if not expected["compiles"]:
        with pytest.raises(PolicySyntaxError) as refused:
            policy.PolicyManager.from_group(group, _manager(folder))
        assert str(refused.value) == expected["error"]
        return
    policies = policy.PolicyManager.from_group(group, _manager(folder))

    found = policies.get(case["policy_path"])

    assert policies.has(case["policy_path"]) == expected["found"]
    if "threshold" in expected:
        assert isinstance(found, policy.ImplicitMetaPolicy)
        assert (found.threshold, len(found.sub_policies)) == (expected["threshold"], expected["sub_policies"])
    _expect(expected, lambda: policies.evaluate(case["policy_path"], _signed(case, folder)))
