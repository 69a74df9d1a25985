from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fabric_protos.msp import identities_pb2, msp_config_pb2
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric.authority import authority, refusal

from fabric_admin.errors import IdentityError
from fabric_admin.msp import MSP, MSPManager, MSPVersion
from fabric_admin.principals import Role, role_principal

if TYPE_CHECKING:
    from pathlib import Path

ORG1, ORG2 = authority("Org1MSP"), authority("Org2MSP")
MSP1 = ORG1.msp()
CHANNEL = MSPManager({"Org1MSP": MSP1, "Org2MSP": ORG2.msp()})
ADMIN = ORG1.issue("admin")


@pytest.mark.parametrize(
    ("unit", "roles"),
    [
        pytest.param("admin", {Role.MEMBER, Role.ADMIN}, id="admin"),
        pytest.param("client", {Role.MEMBER, Role.CLIENT}, id="client"),
        pytest.param("peer", {Role.MEMBER, Role.PEER}, id="peer"),
        pytest.param("orderer", {Role.MEMBER, Role.ORDERER}, id="orderer"),
        pytest.param("gardener", set(), id="no-role"),
    ],
)
def test_the_organizational_unit_decides_the_role(unit: str, roles: set[Role]) -> None:
    identity = MSP1.deserialize(ORG1.issue(unit).creator)

    assert MSP1.roles(identity) == roles


def test_a_definition_survives_being_read_and_written() -> None:
    assert MSP1.to_config() == ORG1.config()
    assert MSP.from_config(MSP1.to_config()).msp_id == "Org1MSP"


def test_another_organizations_certificate_is_refused_before_any_signature_is_looked_at() -> None:
    stolen = identities_pb2.SerializedIdentity(mspid="Org2MSP", id_bytes=ADMIN.certificate_pem)

    assert "signed by unknown authority" in refusal(lambda: CHANNEL.deserialize(stolen.SerializeToString()))


def test_an_organization_the_channel_does_not_know_is_refused_by_name() -> None:
    outsider = identities_pb2.SerializedIdentity(mspid="Org9MSP", id_bytes=ADMIN.certificate_pem)

    assert refusal(lambda: CHANNEL.deserialize(outsider.SerializeToString())) == "MSP Org9MSP is not defined on channel"


def test_a_principal_of_another_organization_is_not_satisfied() -> None:
    identity = CHANNEL.deserialize(ADMIN.creator)

    reason = refusal(lambda: CHANNEL.satisfies(identity, role_principal("Org2MSP", Role.ADMIN)))

    assert reason == "the identity is a member of a different MSP (expected Org2MSP, got Org1MSP)"


def test_ed25519_needs_the_newest_channel_capability() -> None:
    creator = ORG1.issue("client", ed25519_key=True).creator
    older = MSP.from_config(ORG1.config(), MSPVersion.V1_4_3)

    MSP1.validate(MSP1.deserialize(creator))
    assert "Ed25519 is not supported" in refusal(lambda: older.validate(older.deserialize(creator)))


def test_an_msp_folder_means_the_same_as_its_definition(tmp_path: Path) -> None:
    for folder in ("cacerts", "tlscacerts"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ca.pem").write_bytes(ORG1.pem)
    roles = ("Client", "Peer", "Admin", "Orderer")
    entries = "".join(
        f"  {role}OUIdentifier:\n    OrganizationalUnitIdentifier: {role.lower()}\n    Certificate: cacerts/ca.pem\n"
        for role in roles
    )
    (tmp_path / "config.yaml").write_text(f"NodeOUs:\n  Enable: true\n{entries}")

    loaded = MSP.from_directory(tmp_path, "Org1MSP")

    assert loaded.roles(loaded.deserialize(ADMIN.creator)) == {Role.MEMBER, Role.ADMIN}
    assert loaded.tls_root_certs == (ORG1.pem,)


@given(st.binary(max_size=400))
def test_any_bytes_as_a_definition_give_a_typed_error(junk: bytes) -> None:
    with pytest.raises(IdentityError):
        MSP.from_config(msp_config_pb2.MSPConfig(type=0, config=junk))


@given(st.binary(max_size=400))
def test_any_bytes_as_an_identity_give_a_typed_error(junk: bytes) -> None:
    with pytest.raises(IdentityError):
        CHANNEL.deserialize(junk)
    with pytest.raises(IdentityError):
        MSP1.deserialize(identities_pb2.SerializedIdentity(mspid="Org1MSP", id_bytes=junk).SerializeToString())


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_a_damaged_certificate_gives_a_typed_error_or_a_refused_identity(position: int, byte: int) -> None:
    pem = bytearray(ADMIN.certificate_pem)
    pem[position % len(pem)] = byte
    serialized = identities_pb2.SerializedIdentity(mspid="Org1MSP", id_bytes=bytes(pem)).SerializeToString()

    def read() -> None:
        MSP1.validate(MSP1.deserialize(serialized))

    assert bytes(pem) == ADMIN.certificate_pem or refusal(read) or _same_certificate(serialized)


def _same_certificate(serialized: bytes) -> bool:
    return MSP1.deserialize(serialized) == MSP1.deserialize(ADMIN.creator)
