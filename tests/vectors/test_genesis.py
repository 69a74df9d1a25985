"""Genesis blocks: what a recorded block says, put into a profile again, gives the same configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.peer import configuration_pb2

from fabric_admin import blocks, genesis
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.genesis import ApplicationOrganization, OrdererOrganization, Profile

if TYPE_CHECKING:
    from pathlib import Path


def _recorded(vectors: Path, name: str) -> common_pb2.Block:
    return common_pb2.Block.FromString((vectors / "blocks" / "genesis" / f"{name}.block.pb").read_bytes())


def _policies(config: ChannelConfig, section: str, name: str) -> dict[str, str]:
    group = config.config.channel_group.groups[section].groups[name]
    return {policy: config.policy_text(f"/Channel/{section}/{name}/{policy}") for policy in group.policies}


def _profile(config: ChannelConfig) -> Profile:
    assert config.batch is not None
    return Profile(
        channel_id=config.channel_id,
        organizations=tuple(
            ApplicationOrganization(
                each.name, each.msp.to_config(), each.anchor_peers, _policies(config, "Application", each.name)
            )
            for each in config.organizations.values()
        ),
        orderers=tuple(
            OrdererOrganization(
                each.name, each.msp.to_config(), each.endpoints, _policies(config, "Orderer", each.name)
            )
            for each in config.orderer_organizations.values()
        ),
        consenters=config.consenters,
        batch=config.batch,
        capabilities=config.capabilities,
        acls=config.acls,
    )


def _with_ordered_maps(envelope: configtx_pb2.ConfigEnvelope) -> configtx_pb2.ConfigEnvelope:
    """ACLs are a map inside opaque bytes, and maps have no order on the wire."""
    acls = envelope.config.channel_group.groups["Application"].values["ACLs"]
    acls.value = configuration_pb2.ACLs.FromString(acls.value).SerializeToString(deterministic=True)
    return envelope


@pytest.mark.vectors
@pytest.mark.parametrize("name", ["raft2", "raft3", "raft5", "defaults-raft-options", "no-acls", "anchor-peers"])
def test_a_profile_builds_the_configuration_configtxgen_builds(vectors: Path, name: str) -> None:
    block = _recorded(vectors, name)
    _, recorded = blocks.config_envelope(block)

    built = genesis.build(_profile(ChannelConfig.from_block(block)))

    channel_id, envelope = blocks.config_envelope(built)
    assert _with_ordered_maps(envelope) == _with_ordered_maps(recorded)
    assert channel_id == blocks.config_envelope(block)[0]
    assert built.metadata == block.metadata
    assert built.header.data_hash == blocks.data_hash(built.data)
