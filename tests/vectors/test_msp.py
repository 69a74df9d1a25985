"""MSP set-up, validation, roles and signatures, against recorded verdicts."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from fabric_protos.msp import identities_pb2, msp_config_pb2

from fabric_admin.errors import IdentityError
from fabric_admin.msp import MSP, MSPVersion
from fabric_admin.principals import Role, check, role_principal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Case = dict[str, Any]
VERSIONS = {"MSPv1_4_3": (MSPVersion.V1_4_3,), "MSPv3_0": (MSPVersion.V3_0,), "any_version": tuple(MSPVersion)[-2:]}


@functools.cache
def _msp(source: Path, version: MSPVersion) -> MSP:
    return MSP.from_config(msp_config_pb2.MSPConfig.FromString(source.read_bytes()), version)


def _serialized(msp_id: str, pem: bytes) -> bytes:
    return identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=pem).SerializeToString()


@pytest.mark.vectors
@pytest.mark.vector_cases("msp", "definitions")
@pytest.mark.parametrize("origin", ["config", "directory"])
def test_a_definition_is_set_up_or_refused_as_fabric_does(
    case: Case, origin: str, vectors: Path, fabric_cause: Callable[[str], str]
) -> None:
    folder = vectors / "msp"
    if "load_error" in case:
        with pytest.raises(IdentityError):
            MSP.from_directory(folder / case["dir"], case.get("mspid", "SampleMSP"))
        return
    for name, expected in case["setup"].items():
        for version in VERSIONS[name]:

            def set_up(version: MSPVersion = version) -> MSP:
                if origin == "directory":
                    return MSP.from_directory(folder / case["dir"], case["mspid"], version)
                return _msp(folder / case["msp_config"], version)

            if expected["ok"]:
                assert set_up().msp_id == case["mspid"]
                continue
            with pytest.raises(IdentityError) as refused:
                set_up()
            assert fabric_cause(expected["error"]) in str(refused.value)


@pytest.mark.vectors
@pytest.mark.vector_cases("msp", "cases")
def test_a_certificate_is_judged_as_fabric_does(case: Case, vectors: Path, fabric_cause: Callable[[str], str]) -> None:
    folder = vectors / "msp"
    pem = (folder / case["cert"]).read_bytes()
    for name, expected in case["expected"].items():
        for version in VERSIONS[name]:
            msp = _msp(folder / "defs" / f"{case['msp']}.pb", version)
            _judge(msp, pem, expected, fabric_cause)


def _judge(msp: MSP, pem: bytes, expected: Case, fabric_cause: Callable[[str], str]) -> None:
    if "deserialize_error" in expected:
        with pytest.raises(IdentityError) as refused:
            msp.deserialize(_serialized(msp.msp_id, pem))
        assert fabric_cause(expected["deserialize_error"]) in str(refused.value)
        return

    identity = msp.deserialize(_serialized(msp.msp_id, pem))

    if "identifier" in expected:
        assert (identity.identifier, identity.msp_id) == (expected["identifier"]["id"], expected["identifier"]["mspid"])
    if "ous" in expected:
        assert [unit.name for unit in msp.organizational_units(identity)] == (expected["ous"] or [])
    if "roles" in expected:
        assert {role.name for role in msp.roles(identity)} == set(expected["roles"] or [])
    for role, text in expected.get("role_errors", {}).items():
        with pytest.raises(IdentityError) as refused:
            check(msp, identity, role_principal(msp.msp_id, Role[role]))
        assert fabric_cause(text) in str(refused.value)
    if expected.get("valid"):
        msp.validate(identity)
        return
    with pytest.raises(IdentityError) as refused:
        msp.validate(identity)
    assert fabric_cause(expected["error"]) in str(refused.value)


@pytest.mark.vectors
@pytest.mark.vector_cases("msp", "signature_checks")
def test_a_signature_is_verified_as_fabric_does(case: Case, vectors: Path, fabric_cause: Callable[[str], str]) -> None:
    folder = vectors / "msp"
    msp = _msp(folder / "defs" / f"{case['msp']}.pb", MSPVersion.V3_0)
    message, signature = bytes.fromhex(case["message_hex"]), bytes.fromhex(case["signature_hex"])

    def verify() -> None:
        msp.deserialize(_serialized(msp.msp_id, (folder / case["cert"]).read_bytes())).verify(message, signature)

    if case["expected"]["ok"]:
        verify()
        return
    with pytest.raises(IdentityError) as refused:
        verify()
    assert fabric_cause(case["expected"].get("deserialize_error") or case["expected"]["error"]) in str(refused.value)
