"""Specifications that no network can have are refused with a sentence; plans give every node its own place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fabric_devnet.errors import SpecError
from fabric_devnet.network import Network
from fabric_devnet.plan import build_plan
from fabric_devnet.spec import BackendName, ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("field", "said"),
    [
        pytest.param({"organizations": 0}, "organizations must be between 1 and 100, not 0", id="no-organization"),
        pytest.param({"organizations": 101}, "organizations must be between 1 and 100, not 101", id="too-many"),
        pytest.param({"peers": 0}, "peers must be at least 1, not 0", id="no-peer"),
        pytest.param({"orderers": -1}, "orderers must be at least 1, not -1", id="negative-orderers"),
        pytest.param({"batch_timeout": "soon"}, "batch_timeout 'soon' is no duration", id="no-duration"),
        pytest.param({"backend": "docker"}, "backend must be one of embedded, fabric", id="unknown-backend"),
        pytest.param({"channels": (ChannelSpec("Upper"),)}, "channel name 'Upper' must start with", id="bad-channel"),
        pytest.param({"channels": (ChannelSpec("a"), ChannelSpec("a"))}, "must be unique: a, a", id="channel-twice"),
        pytest.param({"orderer_owners": ("Org9MSP",)}, "organizations the network lacks: Org9MSP", id="unknown-owner"),
        pytest.param(
            {"orderer_owners": ("Org1MSP", "Org2MSP")}, "at most one for each of 1 orderers", id="owner-without-orderer"
        ),
        pytest.param({"spare_orderers": 1}, "must leave 1 of 1 orderers, not be 1", id="nobody-orders"),
        pytest.param(
            {"channels": (ChannelSpec("a", ("Org9MSP",)),)}, "members the network lacks: Org9MSP", id="unknown-member"
        ),
    ],
)
def test_a_network_that_cannot_be_is_refused(tmp_path: Path, field: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as refusal:
        NetworkSpec(directory=tmp_path, **field)

    assert said in str(refusal.value)


def test_a_backend_may_be_named_by_its_text(tmp_path: Path) -> None:
    spec = NetworkSpec(directory=tmp_path, backend="fabric")

    assert spec.backend is BackendName.FABRIC


def test_every_node_gets_addresses_and_a_directory_of_its_own(tmp_path: Path) -> None:
    plan = build_plan(NetworkSpec(directory=tmp_path, organizations=4, peers=2, orderers=3))

    peers, orderers = plan.peers, plan.orderers
    addresses = [each for peer in peers for each in (peer.address, peer.chaincode_address, peer.operations_address)]
    addresses += [each for node in orderers for each in (node.address, node.admin_address, node.operations_address)]
    assert len(peers) == 8
    assert len(set(addresses)) == len(addresses) == 33
    assert len({*(peer.data_directory for peer in peers), *(node.data_directory for node in orderers)}) == 11


def test_orderers_are_dealt_out_to_the_organizations_that_own_them(tmp_path: Path) -> None:
    plan = build_plan(NetworkSpec(directory=tmp_path, orderers=3, orderer_owners=("Org3MSP", "Org1MSP")))

    owners = {owner.msp_id: [node.name for node in owner.orderers] for owner in plan.orderer_organizations}
    assert owners == {
        "Org3MSP": ["orderer0.org3.example.com", "orderer1.org3.example.com"],
        "Org1MSP": ["orderer0.org1.example.com"],
    }
    assert [node.msp_id for node in plan.orderers] == ["Org3MSP", "Org3MSP", "Org1MSP"]


def test_chaincode_hosts_are_loopback_addresses_apart_by_organization(tmp_path: Path) -> None:
    plan = build_plan(NetworkSpec(directory=tmp_path, peers=2))

    hosts = [organization.chaincode_host for organization in plan.organizations]
    assert [host.rpartition(".")[2] for host in hosts] == ["1", "2", "3"]
    assert all(host.startswith("127.") for host in hosts)
    for organization in plan.organizations:
        for index, peer in enumerate(organization.peers):
            assert json.loads(peer.builder_config_json) == {
                "peername": f"peer{index}-{organization.name}",
                "orgname": organization.name,
                "mspid": organization.msp_id,
                "chaincode_host": organization.chaincode_host,
            }


async def test_a_directory_with_somebody_elses_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "organizations").mkdir()
    (tmp_path / "organizations" / "precious").write_text("keep me", encoding="utf-8")

    with pytest.raises(SpecError) as refusal:
        async with Network.start(NetworkSpec(directory=tmp_path)):
            pass

    assert "holds organizations/ but no network.json" in str(refusal.value)
    assert (tmp_path / "organizations" / "precious").read_text(encoding="utf-8") == "keep me"


def test_spare_orderers_are_the_last_ones_and_no_consenters(tmp_path: Path) -> None:
    spec = NetworkSpec(directory=tmp_path, orderers=3, orderer_owners=("Org1MSP", "Org2MSP"), spare_orderers=1)

    plan = build_plan(spec)

    assert {node.name for node in plan.orderers if node.spare} == {"orderer1.org1.example.com"}
