"""Changes that Fabric accepts and that then break the channel or its nodes.

Works on configs as they are, without setting them up, so that a hostile update can be looked at too. Only what a
change makes worse counts: a channel that is in trouble already can still be mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from fabric_protos.common import configtx_pb2, configuration_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from google.protobuf.message import Message

from fabric_admin.capabilities import KNOWN_LEVELS
from fabric_admin.channelconfig import authorization, elements, values
from fabric_admin.channelconfig.bft import block_validation_policy
from fabric_admin.channelconfig.consensus import BFT, ETCDRAFT, Consenter, bft_consenters, raft_metadata
from fabric_admin.channelconfig.satisfiability import NOBODY, Reach, policy_reach
from fabric_admin.channelconfig.signing import update_bytes
from fabric_admin.errors import ConfigError, HazardousChange

if TYPE_CHECKING:
    from fabric_admin.channelconfig.channel import ChannelConfig

CONFIG_MARGIN_BYTES: Final = 8 * 1024
_CONSENSUS: Final = "/Channel/Orderer/ConsensusType"
_ESSENTIAL: Final = (
    "/Channel/Readers",
    "/Channel/Writers",
    "/Channel/Orderer/Readers",
    "/Channel/Orderer/Writers",
    "/Channel/Orderer/BlockValidation",
    "/Channel/Application/Readers",
    "/Channel/Application/Writers",
    "/Channel/Application/Endorsement",
    "/Channel/Application/LifecycleEndorsement",
)
_ASKED_ALONE: Final = tuple(path for path in _ESSENTIAL if path.endswith(("/Readers", "/Writers")))
"""Policies on requests, which one identity signs."""
_SECTIONS: Final = ("Orderer", "Application")
_VICTIMS: Final = {"Application": "peer panics", "Orderer": "orderer refuses it", "Channel": "node refuses it"}
_LEVELS: Final = ("V1_1", "V1_2", "V1_3", "V1_4_2", "V1_4_3", "V2_0", "V2_5", "V3_0")

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True)
class Hazard:
    """What would happen, to which element, and what to do instead."""

    element: str
    hazard: str
    remedy: str


def find_hazards(
    original: configtx_pb2.Config, updated: configtx_pb2.Config, *, governance: bool = False
) -> tuple[Hazard, ...]:
    """Return what ``updated`` makes worse; ``governance`` marks the channel on which the consortium votes."""
    before, after = original.channel_group, updated.channel_group
    return (
        *_capability_hazards(before, after),
        *_policy_hazards(before, after),
        *_consensus_hazards(before, after, governance=governance),
        *_size_hazards(before, updated),
    )


def find_update_hazards(
    config: ChannelConfig, config_update: configtx_pb2.ConfigUpdate | bytes, *, governance: bool = False
) -> tuple[Hazard, ...]:
    """Return the hazards of an update somebody else computed; raises ConfigUpdateRefused when it does not fit."""
    changes = authorization.find_changes(config, authorization.read_update(update_bytes(config_update)))
    updated = configtx_pb2.Config(sequence=config.sequence + 1, channel_group=changes.apply())
    remaining = elements.flatten(updated.channel_group)
    lost = tuple(
        Hazard(
            each.location,
            "it is set without its parent's version being raised, so orderers would accept and silently discard it",
            "compute the update from the whole changed config",
        )
        for each in changes.delta
        if each.key not in remaining
    )
    return (*lost, *find_hazards(config.config, updated, governance=governance))


def refuse_hazards(original: configtx_pb2.Config, updated: configtx_pb2.Config, *, governance: bool = False) -> None:
    """Raise HazardousChange for the first hazard of a change, if it has any."""
    refuse_first(find_hazards(original, updated, governance=governance))


def refuse_first(hazards: Iterable[Hazard]) -> None:
    """Raise HazardousChange for the first of these hazards, if there is any."""
    for each in hazards:
        raise HazardousChange(each.element, each.hazard, each.remedy)


def _capability_hazards(before: configtx_pb2.ConfigGroup, after: configtx_pb2.ConfigGroup) -> Iterator[Hazard]:
    sections = (("Channel", before, after), *((name, _child(before, name), _child(after, name)) for name in _SECTIONS))
    for section, old_group, new_group in sections:
        path = "/Channel/Capabilities" if section == "Channel" else f"/Channel/{section}/Capabilities"
        old, new = _capabilities(old_group), _capabilities(new_group)
        for level in sorted(new - old - KNOWN_LEVELS[section]):
            yield Hazard(
                path,
                f"no node knows the {section.lower()} capability {level}: every {_VICTIMS[section]}",
                f"require one of {', '.join(sorted(KNOWN_LEVELS[section] & frozenset(_LEVELS)))}",
            )
        if _rank(new) < _rank(old):
            yield Hazard(
                path,
                f"the required level falls below {_LEVELS[_rank(old)]}: what nodes already do by it stops working",
                f"keep {_LEVELS[_rank(old)]} or a higher level",
            )


def _policy_hazards(before: configtx_pb2.ConfigGroup, after: configtx_pb2.ConfigGroup) -> Iterator[Hazard]:
    old_reach, new_reach = policy_reach(before), policy_reach(after)
    locked = _newly_locked(before, after, old_reach, new_reach)
    for path, element in locked.items():
        missing = "does not exist" if path not in new_reach else "can be satisfied by nobody on the channel"
        yield Hazard(
            path,
            f"the policy {missing}, so {element} and all it governs would be locked for ever",
            "name a policy and sub-policies that exist and that members can satisfy",
        )
    new_references = frozenset(_acl_policies(after)) - frozenset(_acl_policies(before))
    for path in (*_ESSENTIAL, *sorted(_acl_policies(after))):
        was = path in new_references or old_reach.get(path, NOBODY).somebody
        if was and path not in locked and not new_reach.get(path, NOBODY).somebody:
            yield Hazard(
                path, "nobody on the channel could satisfy the policy any more", "keep it satisfiable by the members"
            )
    for path in (*_ASKED_ALONE, *sorted(_acl_policies(after))):
        reach = new_reach.get(path, NOBODY)
        was = path in new_references or bool(old_reach.get(path, NOBODY).alone)
        if was and path not in locked and reach.somebody and not reach.alone:
            yield Hazard(
                path,
                "it takes several organizations, but a request has one signature: nobody could ask any more",
                "let any one of them satisfy it",
            )
    for path, reach in new_reach.items():
        if reach.anybody and not old_reach.get(path, NOBODY).anybody:
            yield Hazard(
                path,
                "the policy asks for nobody's signature, so anybody satisfies it",
                "a group without sub-groups needs a signature policy; a section needs at least one organization",
            )


def _newly_locked(
    before: configtx_pb2.ConfigGroup,
    after: configtx_pb2.ConfigGroup,
    old_reach: Mapping[str, Reach],
    new_reach: Mapping[str, Reach],
) -> Mapping[str, str]:
    """Return, by policy nobody can satisfy, the first element it locks; the policies that changed come first."""
    old, new = elements.flatten(before), elements.flatten(after)
    found: dict[str, str] = {}
    for key, element in new.items():
        path, standing = element.policy_path, old.get(key)
        was_locked = standing is not None and not old_reach.get(standing.policy_path, NOBODY).somebody
        if path and not was_locked and not new_reach.get(path, NOBODY).somebody:
            found.setdefault(path, element.location)

    def is_consequence(path: str) -> bool:
        key = f"{elements.Kind.POLICY}{path}"
        return key in old and key in new and old[key].item == new[key].item

    return {path: found[path] for path in sorted(found, key=is_consequence)}


def _consensus_hazards(
    before: configtx_pb2.ConfigGroup, after: configtx_pb2.ConfigGroup, *, governance: bool
) -> Iterator[Hazard]:
    orderer = _child(after, "Orderer")
    old = _read(_child(before, "Orderer"), "ConsensusType", orderer_pb2.ConsensusType)
    new = _read(orderer, "ConsensusType", orderer_pb2.ConsensusType)
    if new.type != old.type and new.type not in (ETCDRAFT, BFT):
        yield Hazard(
            _CONSENSUS,
            f"no orderer knows the consensus type '{new.type}': it would fail without an answer",
            f"keep {old.type}",
        )
    maintenance = orderer_pb2.ConsensusType.STATE_MAINTENANCE
    if governance and new.state == maintenance != old.state:
        yield Hazard(
            _CONSENSUS,
            "in maintenance mode no transaction is ordered, so on the governance channel nobody could vote to leave it",
            "change the governance channel's consensus by hand, with every orderer organization present",
        )
    if new.type == ETCDRAFT and new.metadata != old.metadata and not _has_raft_consenters(new.metadata):
        yield Hazard(_CONSENSUS, "no consenter would be left to order blocks", "keep at least one consenter")
    if new.type == BFT and (orderer != _child(before, "Orderer")):
        policy = orderer.policies["BlockValidation"].policy if "BlockValidation" in orderer.policies else None
        if policy != block_validation_policy(_mapping(orderer)):
            yield Hazard(
                "/Channel/Orderer/BlockValidation",
                "it is not the quorum of the consenter mapping, so blocks could not be validated as BFT needs",
                "compute it from the mapping",
            )


def _size_hazards(before: configtx_pb2.ConfigGroup, updated: configtx_pb2.Config) -> Iterator[Hazard]:
    old = _read(_child(before, "Orderer"), "BatchSize", orderer_pb2.BatchSize).absolute_max_bytes
    new = _read(_child(updated.channel_group, "Orderer"), "BatchSize", orderer_pb2.BatchSize).absolute_max_bytes
    needed = updated.ByteSize() + CONFIG_MARGIN_BYTES
    if 0 < new < min(old, needed):
        yield Hazard(
            "/Channel/Orderer/BatchSize",
            f"no config transaction would fit into {new} bytes, so the channel could never be changed again",
            f"allow at least {needed} bytes",
        )


def _acl_policies(root: configtx_pb2.ConfigGroup) -> Iterator[str]:
    for resource in _read(_child(root, "Application"), "ACLs", peer_pb2.ACLs).acls.values():
        reference = resource.policy_ref
        yield reference if reference.startswith("/") else f"/Channel/Application/{reference}"


def _capabilities(group: configtx_pb2.ConfigGroup) -> frozenset[str]:
    return frozenset(_read(group, "Capabilities", configuration_pb2.Capabilities).capabilities)


def _rank(levels: frozenset[str]) -> int:
    return max((_LEVELS.index(level) for level in levels if level in _LEVELS), default=-1)


def _has_raft_consenters(metadata: bytes) -> bool:
    try:
        return bool(raft_metadata(metadata).consenters)
    except ConfigError:
        return False


def _mapping(orderer: configtx_pb2.ConfigGroup) -> tuple[Consenter, ...]:
    try:
        return bft_consenters(orderer)
    except ConfigError:
        return ()


def _child(group: configtx_pb2.ConfigGroup, name: str) -> configtx_pb2.ConfigGroup:
    groups: Mapping[str, configtx_pb2.ConfigGroup] = group.groups
    return groups[name] if name in groups else configtx_pb2.ConfigGroup()


def _read(group: configtx_pb2.ConfigGroup, name: str, kind: type[MessageT]) -> MessageT:
    """Return a value, empty when it is missing or unreadable: loading the config will refuse that."""
    try:
        return values.value(group, name, kind, "")
    except ConfigError:
        return kind()
