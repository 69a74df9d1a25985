"""Where every node of a network lives: names, directories and addresses, decided before anything starts."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fabric_devnet.ports import LOOPBACK, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fabric_devnet.spec import NetworkSpec

ORDERER_MSP_ID = "OrdererMSP"
ORDERER_DOMAIN = "example.com"


@dataclass(frozen=True, slots=True)
class PeerNode:
    """One peer: gRPC services on `address`, `msp/` and `tls/` in `directory`, ledgers in `data_directory`."""

    name: str
    msp_id: str
    address: str
    chaincode_address: str
    operations_address: str
    directory: Path
    data_directory: Path
    log_file: Path
    builder_config: tuple[tuple[str, str], ...]

    @property
    def builder_config_json(self) -> str:
        """The value of CHAINCODE_AS_A_SERVICE_BUILDER_CONFIG, the context of connection templates."""
        return json.dumps(dict(self.builder_config))


@dataclass(frozen=True, slots=True)
class OrdererNode:
    """One orderer: gRPC on `address`, channel participation with mutual TLS on `admin_address`.

    A `spare` one is in no channel from the start.
    """

    name: str
    msp_id: str
    address: str
    admin_address: str
    operations_address: str
    directory: Path
    data_directory: Path
    log_file: Path
    spare: bool = False


@dataclass(frozen=True, slots=True)
class OrganizationPlan:
    """One peer organization; `chaincode_host` is a loopback address that is its own in this network."""

    msp_id: str
    name: str
    domain: str
    directory: Path
    chaincode_host: str
    peers: tuple[PeerNode, ...]


@dataclass(frozen=True, slots=True)
class OrdererOrganizationPlan:
    """An organization that runs orderers; `name` is its config group, `has_peers` whether it is a peer organization."""

    msp_id: str
    name: str
    domain: str
    directory: Path
    orderers: tuple[OrdererNode, ...]
    has_peers: bool


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The whole network."""

    spec: NetworkSpec
    organizations: tuple[OrganizationPlan, ...]
    orderer_organizations: tuple[OrdererOrganizationPlan, ...]

    @property
    def orderer_organization(self) -> OrdererOrganizationPlan:
        """The first organization that runs orderers."""
        return self.orderer_organizations[0]

    @property
    def peers(self) -> tuple[PeerNode, ...]:
        """Every peer of every organization."""
        return tuple(peer for organization in self.organizations for peer in organization.peers)

    @property
    def orderers(self) -> tuple[OrdererNode, ...]:
        """Every orderer."""
        return tuple(node for organization in self.orderer_organizations for node in organization.orderers)


def build_plan(spec: NetworkSpec) -> NetworkPlan:
    """Choose addresses that are free now for every node of `spec`; writes nothing."""
    ports = iter(free_ports(3 * (spec.organizations * spec.peers + spec.orderers)))
    network_prefix = f"127.{1 + secrets.randbelow(254)}.{1 + secrets.randbelow(254)}"
    organizations = tuple(
        _plan_organization(spec, number, network_prefix, ports) for number in range(1, spec.organizations + 1)
    )
    return NetworkPlan(spec, organizations, _plan_orderers(spec, organizations, ports))


def _plan_organization(spec: NetworkSpec, number: int, network_prefix: str, ports: Iterator[int]) -> OrganizationPlan:
    msp_id, name = f"Org{number}MSP", f"org{number}"
    domain = f"{name}.example.com"
    directory = spec.directory / "organizations" / "peerOrganizations" / domain
    chaincode_host = f"{network_prefix}.{number}"
    peers = []
    for index in range(spec.peers):
        peer = f"peer{index}.{domain}"
        builder_config = {
            "peername": f"peer{index}-{name}",
            "orgname": name,
            "mspid": msp_id,
            "chaincode_host": chaincode_host,
            **spec.builder_fields.get(msp_id, {}),
        }
        node = PeerNode(
            name=peer,
            msp_id=msp_id,
            address=f"{LOOPBACK}:{next(ports)}",
            chaincode_address=f"{LOOPBACK}:{next(ports)}",
            operations_address=f"{LOOPBACK}:{next(ports)}",
            directory=directory / "peers" / peer,
            data_directory=spec.directory / "nodes" / peer,
            log_file=spec.directory / "logs" / f"{peer}.log",
            builder_config=tuple(builder_config.items()),
        )
        peers.append(node)
    return OrganizationPlan(msp_id, name, domain, directory, chaincode_host, tuple(peers))


def _plan_orderers(
    spec: NetworkSpec, organizations: tuple[OrganizationPlan, ...], ports: Iterator[int]
) -> tuple[OrdererOrganizationPlan, ...]:
    """All orderers of an organization of their own, or dealt out in turn to the owners."""
    if not spec.orderer_owners:
        directory = spec.directory / "organizations" / "ordererOrganizations" / ORDERER_DOMAIN
        alone = OrdererOrganizationPlan(ORDERER_MSP_ID, "orderers", ORDERER_DOMAIN, directory, (), has_peers=False)
        return (_with_nodes(alone, spec, range(spec.orderers), ports),)
    plans = []
    for turn, msp_id in enumerate(spec.orderer_owners):
        owner = next(each for each in organizations if each.msp_id == msp_id)
        plan = OrdererOrganizationPlan(msp_id, owner.name, owner.domain, owner.directory, (), has_peers=True)
        plans.append(_with_nodes(plan, spec, range(turn, spec.orderers, len(spec.orderer_owners)), ports))
    return tuple(plans)


def _with_nodes(
    plan: OrdererOrganizationPlan, spec: NetworkSpec, numbers: range, ports: Iterator[int]
) -> OrdererOrganizationPlan:
    """Give an organization the orderers of these numbers within the network."""
    orderers = []
    for index, number in enumerate(numbers):
        name = f"orderer{index}.{plan.domain}"
        node = OrdererNode(
            name=name,
            msp_id=plan.msp_id,
            address=f"{LOOPBACK}:{next(ports)}",
            admin_address=f"{LOOPBACK}:{next(ports)}",
            operations_address=f"{LOOPBACK}:{next(ports)}",
            directory=plan.directory / "orderers" / name,
            data_directory=spec.directory / "nodes" / name,
            log_file=spec.directory / "logs" / f"{name}.log",
            spare=number >= spec.orderers - spec.spare_orderers,
        )
        orderers.append(node)
    return replace(plan, orderers=tuple(orderers))
