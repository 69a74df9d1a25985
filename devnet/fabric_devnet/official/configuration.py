"""Configuration of official nodes: the release's own sample files with a network's addresses and paths put in.

Starting from the sample keeps every default of the release at hand (2.5 and 3.x differ).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import yaml

from fabric_devnet.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fabric_devnet.plan import OrdererNode, PeerNode

BUILDER_VARIABLE = "CHAINCODE_AS_A_SERVICE_BUILDER_CONFIG"
# Fabric's defaults suit a wide-area network; on one machine organizations should find each other in a second.
_GOSSIP = {
    "membershipTrackerInterval": "1s",
    "pullInterval": "1s",
    "digestWaitTime": "100ms",
    "requestWaitTime": "150ms",
    "responseWaitTime": "200ms",
    "requestStateInfoInterval": "500ms",
    "publishStateInfoInterval": "500ms",
    "publishCertPeriod": "1s",
    "aliveTimeInterval": "1s",
    "aliveExpirationTimeout": "20s",
    "reconnectInterval": "1s",
}


def write_peer_configuration(node: PeerNode, bootstrap: Sequence[str], sample: Path, builder: Path) -> dict[str, str]:
    """Write the peer's `core.yaml` and return its environment; `bootstrap` lists its organization's other peers."""
    tls = node.directory / "tls"
    changes: dict[str, object] = {
        "peer.id": node.name,
        "peer.networkId": "devnet",
        "peer.address": node.address,
        "peer.listenAddress": node.address,
        "peer.chaincodeAddress": node.chaincode_address,
        "peer.chaincodeListenAddress": node.chaincode_address,
        "peer.localMspId": node.msp_id,
        "peer.mspConfigPath": str(node.directory / "msp"),
        "peer.fileSystemPath": str(node.data_directory / "production"),
        "peer.gossip.bootstrap": list(bootstrap) or [node.address],
        "peer.gossip.endpoint": node.address,
        "peer.gossip.externalEndpoint": node.address,
        "peer.tls.enabled": True,
        "peer.tls.cert.file": str(tls / "server.crt"),
        "peer.tls.key.file": str(tls / "server.key"),
        "peer.tls.rootcert.file": str(tls / "ca.crt"),
        "peer.tls.clientRootCAs.files": [str(tls / "ca.crt")],
        "peer.gateway.enabled": True,
        "peer.gateway.dialTimeout": "10s",
        "peer.deliveryclient.reConnectBackoffThreshold": "2s",
        "peer.discovery.enabled": True,
        "vm.endpoint": "",
        "chaincode.externalBuilders": [
            {"name": "ccaas_builder", "path": str(builder), "propagateEnvironment": [BUILDER_VARIABLE]}
        ],
        "ledger.state.stateDatabase": "goleveldb",
        "ledger.snapshots.rootDir": str(node.data_directory / "snapshots"),
        "operations.listenAddress": node.operations_address,
        "metrics.provider": "disabled",
    }
    changes |= {f"peer.gossip.{name}": value for name, value in _GOSSIP.items()}
    _write(node.data_directory / "config" / "core.yaml", sample, changes)
    return {
        "FABRIC_CFG_PATH": str(node.data_directory / "config"),
        "FABRIC_LOGGING_SPEC": "info",
        BUILDER_VARIABLE: node.builder_config_json,
    }


def write_orderer_configuration(node: OrdererNode, sample: Path) -> dict[str, str]:
    """Write the orderer's `orderer.yaml` and return its environment."""
    host, _, port = node.address.rpartition(":")
    tls = node.directory / "tls"
    certificate, key, root = str(tls / "server.crt"), str(tls / "server.key"), str(tls / "ca.crt")
    changes: dict[str, object] = {
        "General.ListenAddress": host,
        "General.ListenPort": int(port),
        "General.TLS.Enabled": True,
        "General.TLS.Certificate": certificate,
        "General.TLS.PrivateKey": key,
        "General.TLS.RootCAs": [root],
        "General.Cluster.ClientCertificate": certificate,
        "General.Cluster.ClientPrivateKey": key,
        "General.Cluster.RootCAs": [root],
        "General.BootstrapMethod": "none",
        "General.LocalMSPID": node.msp_id,
        "General.LocalMSPDir": str(node.directory / "msp"),
        "FileLedger.Location": str(node.data_directory / "ledger"),
        "Consensus.WALDir": str(node.data_directory / "etcdraft" / "wal"),
        "Consensus.SnapDir": str(node.data_directory / "etcdraft" / "snapshot"),
        "Operations.ListenAddress": node.operations_address,
        "Metrics.Provider": "disabled",
        "Admin.ListenAddress": node.admin_address,
        "Admin.TLS.Enabled": True,
        "Admin.TLS.Certificate": certificate,
        "Admin.TLS.PrivateKey": key,
        "Admin.TLS.ClientAuthRequired": True,
        "Admin.TLS.ClientRootCAs": [root],
        "ChannelParticipation.Enabled": True,
    }
    _write(node.data_directory / "config" / "orderer.yaml", sample, changes)
    return {"FABRIC_CFG_PATH": str(node.data_directory / "config"), "FABRIC_LOGGING_SPEC": "info"}


def _write(target: Path, sample: Path, changes: Mapping[str, object]) -> None:
    tree = yaml.safe_load(sample.read_text(encoding="utf-8"))
    if not isinstance(tree, dict):
        raise BackendUnavailable(f"{sample} is not a configuration file")
    for path, value in changes.items():
        _put(tree, path.split("."), value)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")


def _put(tree: dict[str, object], path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
        tree = cast("dict[str, object]", tree[name])
    tree[path[-1]] = value
