"""The genesis block of a new channel, built from a proposal's recipe: the same bytes in every organization. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from fabric_protos.common import common_pb2
from fabric_protos.msp import msp_config_pb2
from google.protobuf.message import DecodeError

from fabric_admin import genesis
from fabric_admin.channelconfig import (
    Address,
    ChannelConfig,
    Consensus,
    Organization,
    check_consenters,
    find_certificate_hazards,
    refuse_first,
    refuse_hazards,
)
from fabric_admin.errors import BlockError, ConfigError
from opssc_chaincode.model import Recipe
from opssc_operator.domain.channels.application import ChangeRefused, build_consenter
from opssc_operator.domain.channels.definitions import build_msp

POLICY_GROUPS: Final = ("/Channel/Application", "/Channel/Orderer", "/Channel")


def build_profile(channel: str, recipe: Recipe) -> genesis.Profile:
    """The profile of a recipe; raises ChangeRefused for a policy outside the three groups every channel has."""
    policies = _policies(recipe.policies)
    batch, raft = recipe.batch, recipe.raft_options
    default_batch, default_raft = genesis.Batch(), genesis.RaftOptions()
    return genesis.Profile(
        channel_id=channel,
        organizations=tuple(
            genesis.ApplicationOrganization(
                member.msp_id,
                build_msp(member.msp_id, member.definition),
                tuple(Address(each.host, each.port) for each in member.anchor_peers),
            )
            for member in recipe.members
        ),
        orderers=tuple(
            genesis.OrdererOrganization(
                orderer.msp_id, build_msp(orderer.msp_id, orderer.definition), tuple(orderer.endpoints)
            )
            for orderer in recipe.orderers
        ),
        consenters=tuple(
            build_consenter(consenter, number, orderer.msp_id)
            for number, (orderer, consenter) in enumerate(
                ((orderer, consenter) for orderer in recipe.orderers for consenter in orderer.consenters), start=1
            )
        ),
        batch=genesis.Batch(
            timeout=batch.timeout or default_batch.timeout,
            max_message_count=_given(batch.max_message_count, default_batch.max_message_count),
            absolute_max_bytes=_given(batch.absolute_max_bytes, default_batch.absolute_max_bytes),
            preferred_max_bytes=_given(batch.preferred_max_bytes, default_batch.preferred_max_bytes),
        ),
        raft=genesis.RaftOptions(
            tick_interval=raft.tick_interval or default_raft.tick_interval,
            election_tick=_given(raft.election_tick, default_raft.election_tick),
            heartbeat_tick=_given(raft.heartbeat_tick, default_raft.heartbeat_tick),
            max_inflight_blocks=_given(raft.max_inflight_blocks, default_raft.max_inflight_blocks),
            snapshot_interval_size=_given(raft.snapshot_interval_size, default_raft.snapshot_interval_size),
        ),
        capabilities=genesis.Capabilities(
            channel=frozenset({recipe.capabilities.channel}),
            orderer=frozenset({recipe.capabilities.orderer}),
            application=frozenset({recipe.capabilities.application}),
        ),
        acls=dict(recipe.acls),
        channel_policies={**genesis.CHANNEL_POLICIES, **policies["/Channel"]},
        orderer_policies={**genesis.ORDERER_POLICIES, **policies["/Channel/Orderer"]},
        application_policies={**genesis.APPLICATION_POLICIES, **policies["/Channel/Application"]},
        consensus_type=recipe.consensus,
    )


def build_genesis(channel: str, recipe: Recipe, *, at: datetime) -> bytes:
    """pb(Block) of the first block; raises ChangeRefused for a recipe that no node would start a channel from.

    ``at`` is the time at which its certificates must be valid: that of the proposal.
    """
    try:
        genesis.check_channel_id(channel)
        block = genesis.build(build_profile(channel, recipe))
        config = ChannelConfig.from_block(block)
        if config.batch is not None:
            config.batch.check()
        plain = ChannelConfig.from_block(genesis.build(build_profile(channel, _plain(recipe))))
        # What is unusual in it must not make it worse than a channel with the usual policies and levels.
        refuse_hazards(plain.config, config.config)
        check_consenters(replace(config, consensus=Consensus()), config, at)
        refuse_first(find_certificate_hazards(None, config, at))
    except (ConfigError, BlockError) as exc:
        element = exc.element if isinstance(exc, ConfigError) else ""
        raise ChangeRefused(f"create: {exc}", element) from exc
    return block.SerializeToString(deterministic=True)


def _plain(recipe: Recipe) -> Recipe:
    """The same organizations and consensus, and everything else as usual."""
    return Recipe(members=recipe.members, orderers=recipe.orderers, consensus=recipe.consensus)


def describe_creation(recipe: Recipe) -> tuple[str, ...]:
    """What a new channel has, in lines for people."""
    members = [f"+ /Channel/Application/{each.msp_id}" for each in recipe.members]
    orderers = [f"+ /Channel/Orderer/{each.msp_id}" for each in recipe.orderers]
    consenters = [
        f"+ consenter {consenter.host}:{consenter.port} of {each.msp_id}"
        for each in recipe.orderers
        for consenter in each.consenters
    ]
    policies = [f"+ policy {path}: {rule}" for path, rule in sorted(recipe.policies.items())]
    return (*members, *orderers, *consenters, *policies)


def same_block(one: bytes, other: bytes) -> bool:
    """Whether two blocks are the same, decoded; equal headers make them one block on every node."""
    first, second = common_pb2.Block(), common_pb2.Block()
    try:
        first.ParseFromString(one)
        second.ParseFromString(other)
    except DecodeError:
        return False
    return bool(first == second)


def check_own_definition(recipe: Recipe, own: Organization) -> str:
    """What is wrong with how a recipe defines the own organization, which the ops channel shows; empty when nothing.

    Compared decoded and in every part: nobody else may give this organization another root of trust.
    """
    for listed in recipe.listed:
        if listed.msp_id != own.msp_id:
            continue
        wanted = msp_config_pb2.FabricMSPConfig.FromString(build_msp(listed.msp_id, listed.definition).config)
        shown = msp_config_pb2.FabricMSPConfig.FromString(own.msp.to_config().config)
        if not shown.HasField("crypto_config"):
            shown.crypto_config.CopyFrom(wanted.crypto_config)
        if wanted != shown:
            return f"create gives {own.msp_id} another definition than the ops channel shows; disagree"
    return ""


def _policies(given: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    sorted_out: dict[str, dict[str, str]] = {group: {} for group in POLICY_GROUPS}
    for path, rule in given.items():
        group, _, name = path.rpartition("/")
        if group not in sorted_out:
            raise ChangeRefused(f"create.policies: {path} is not directly below {', '.join(POLICY_GROUPS)}", path)
        sorted_out[group][name] = rule
    return sorted_out


def _given(number: int | None, default: int) -> int:
    return default if number is None else number
