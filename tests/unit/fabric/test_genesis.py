from __future__ import annotations

from dataclasses import replace

import pytest
from fabric_protos.common import common_pb2
from unit.fabric.authority import authority
from unit.fabric.test_channelconfig import PROFILE

from fabric_admin import blocks, genesis
from fabric_admin.errors import ConfigError
from fabric_admin.genesis import OrdererOrganization, Profile, RaftOptions


def test_the_same_profile_gives_the_same_block() -> None:
    assert genesis.build(PROFILE) == genesis.build(PROFILE)
    assert genesis.build(PROFILE) != genesis.build(replace(PROFILE, channel_id="other"))


def test_nonce_and_time_are_the_callers() -> None:
    block = genesis.build(PROFILE, nonce=b"n" * 24, unix_nanoseconds=1_700_000_000_000_000_001)

    (view,) = blocks.transactions(block)
    assert view.timestamp is not None
    assert view.timestamp.isoformat() == "2023-11-14T22:13:20+00:00"
    assert (view.type, view.channel_id) == ("CONFIG", "ops-channel")


def test_a_genesis_block_starts_a_chain() -> None:
    block = genesis.build(PROFILE)

    assert (block.header.number, block.header.previous_hash) == (0, b"")
    assert block.header.data_hash == blocks.data_hash(block.data)
    assert blocks.is_config_block(block)
    assert blocks.last_config_index(block) == 0
    assert blocks.envelope(block).signature == b""
    assert len(block.metadata.metadata) == len(common_pb2.BlockMetadataIndex.keys())


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        pytest.param(replace(PROFILE, consenters=()), "did not specify any consenter", id="no-consenters"),
        pytest.param(
            replace(PROFILE, consenters=(replace(PROFILE.consenters[0], client_tls_cert=b""),)),
            "did not specify client TLS cert",
            id="consenter-certificate",
        ),
        pytest.param(
            replace(PROFILE, orderers=(OrdererOrganization("Orderers", authority("OrdererMSP").config()),)),
            "orderer endpoints for organization Orderers are missing",
            id="no-endpoints",
        ),
        pytest.param(replace(PROFILE, raft=RaftOptions(election_tick=1)), "election tick must be greater", id="ticks"),
        pytest.param(
            replace(PROFILE, raft=RaftOptions(tick_interval="soon")), "must be in time duration format", id="interval"
        ),
        pytest.param(replace(PROFILE, channel_policies={}), "no policies defined", id="no-policies"),
        pytest.param(
            replace(PROFILE, channel_policies={"Readers": "ANY Readers"}), "no Admins policy defined", id="no-admins"
        ),
        pytest.param(
            replace(PROFILE, orderer_policies=genesis.CHANNEL_POLICIES), "no BlockValidation policy", id="validation"
        ),
        pytest.param(
            replace(PROFILE, lifecycle_endorsement="OR(x)"),
            r"invalid signature policy rule 'OR\(x\)': unknown name x",
            id="policy-text",
        ),
        pytest.param(
            replace(PROFILE, lifecycle_endorsement="ALL of us"), "invalid implicit meta policy rule", id="implicit-text"
        ),
        pytest.param(
            replace(PROFILE, organizations=PROFILE.organizations[:1] * 2), "Organization1 appears twice", id="twice"
        ),
    ],
)
def test_a_profile_no_orderer_would_take_is_refused(profile: Profile, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        genesis.build(profile)


@pytest.mark.parametrize(
    ("channel_id", "legal"),
    [
        pytest.param("ops-channel", True, id="usual"),
        pytest.param("a.b-1", True, id="dots"),
        pytest.param("a" * 249, True, id="longest"),
        pytest.param("a" * 250, False, id="too-long"),
        pytest.param("", False, id="empty"),
        pytest.param("Ops", False, id="capital"),
        pytest.param("1ops", False, id="digit-first"),
        pytest.param("ops\n", False, id="newline"),
    ],
)
def test_a_channel_name_is_checked_as_fabric_checks_it(channel_id: str, legal: bool) -> None:
    if legal:
        genesis.check_channel_id(channel_id)
        return
    with pytest.raises(ConfigError):
        genesis.check_channel_id(channel_id)
