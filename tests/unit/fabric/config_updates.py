"""Strategies for config updates, valid and broken in one place or several, with signatures that may or may not do.

Given a channel as it stands and the people who may sign, they draw the envelope a client would send. Any network's
channel will do, so that a forecast can be compared with what its orderer then does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from fabric_protos.peer import configuration_pb2 as peer_pb2
from hypothesis import assume
from hypothesis import strategies as st

from fabric_admin import channelconfig, configtree
from fabric_admin.channelconfig import ChannelConfig, elements, find_update_hazards
from fabric_admin.errors import ConfigError, ConfigUpdateRefused
from fabric_admin.identity import SigningIdentity

Config = configtx_pb2.Config
Update = configtx_pb2.ConfigUpdate
Change = Callable[[configtx_pb2.ConfigGroup], None]
Damage = Callable[[Update], None]


@dataclass(frozen=True)
class World:
    """A channel as it stands, who may sign for it, and who may submit."""

    config: ChannelConfig = field(repr=False)
    signers: Sequence[SigningIdentity] = field(repr=False)
    submitters: Sequence[SigningIdentity] = field(repr=False)
    harmless: bool = True
    """Leave out what an orderer would accept and the channel suffer from."""


@dataclass(frozen=True)
class Drawn:
    """One update with its signatures, and the envelope that carries them."""

    update: bytes
    signatures: tuple[configtx_pb2.ConfigSignature, ...]
    envelope: common_pb2.Envelope


def config_updates(world: World) -> st.SearchStrategy[Drawn]:
    """Draw an update to the world's channel."""
    everyone = tuple(world.signers)
    wishes = st.lists(changes(world.config.config.channel_group, harmless=world.harmless), min_size=1, max_size=3)
    some = st.lists(st.sampled_from(everyone), max_size=len(everyone) + 1).map(tuple)
    people = st.one_of(st.just(everyone), some)
    submitters = st.sampled_from(list(world.submitters))

    @st.composite
    def signed(draw: st.DrawFn) -> Drawn:
        update = _computed(world.config, draw(wishes))
        damage = draw(_damages)
        if damage is not None:
            damage(update)
        data = update.SerializeToString(deterministic=True)
        signatures = [channelconfig.sign(each, data) for each in draw(people)]
        spoil = draw(_signature_damages)
        if signatures and spoil is not None:
            spoil(draw(st.sampled_from(signatures)))
        if world.harmless and _hazards(world.config, update):
            # What would be refused does no harm; should it be accepted after all, the test has failed anyway.
            assume(not world.config.forecast(data, signatures).accepted)
        envelope = channelconfig.assemble(world.config.channel_id, data, signatures, submitter=draw(submitters))
        return Drawn(data, tuple(signatures), envelope)

    return signed()


def _computed(config: ChannelConfig, wishes: Sequence[Change]) -> Update:
    updated = Config()
    updated.CopyFrom(config.config)
    for change in wishes:
        change(updated.channel_group)
    try:
        return channelconfig.compute_update(config.channel_id, config.config, updated)
    except ConfigError:
        return Update(channel_id=config.channel_id)


def changes(root: configtx_pb2.ConfigGroup, *, harmless: bool = False) -> st.SearchStrategy[Change]:
    """Draw a change of a config tree; some give what no node loads."""
    paths = sorted(each.location for each in elements.flatten(root).values() if each.kind is elements.Kind.GROUP)
    return _changes(tuple(paths), harmless=harmless)


@functools.cache
def _changes(paths: tuple[str, ...], *, harmless: bool) -> st.SearchStrategy[Change]:
    members = [path for path in paths if path.startswith("/Channel/Application/")]
    # Who may read and write decides whether the rest of a run says anything at all.
    names = ["Admins", "Endorsement", "Auditors", "NoSuch", *([] if harmless else ["Readers", "Writers"])]
    policy_names = st.sampled_from(names)
    rules = st.one_of(
        st.builds("{} {}".format, st.sampled_from(["ANY", "ALL", "MAJORITY"]), policy_names),
        st.just("OR('Org1MSP.admin', 'Org2MSP.admin')"),
    )
    return st.one_of(
        st.builds(_batch_size, st.integers(0, 600), st.sampled_from([0, 99, 1 << 20, 10 << 20])),
        st.builds(_batch_timeout, st.sampled_from(["1s", "300ms", "2s", "1m", "0s", "-1s", "soon", ""])),
        st.builds(_policy, st.sampled_from(paths), policy_names, rules),
        st.builds(_mod_policy, st.sampled_from(paths), st.sampled_from(["Admins", "Writers", "/Channel/Admins", "X"])),
        st.builds(_anchor_peer, st.sampled_from(members or paths), st.integers(1, 9)),
        st.builds(_acl, st.sampled_from(["peer/Propose", "qscc/GetChainInfo", "event/Block"]), policy_names),
        st.builds(_raft, st.sampled_from(["election_tick", "heartbeat_tick"]), st.integers(0, 12)),
        st.builds(_stray_value, st.sampled_from(paths), st.sampled_from(["Extra", "MSP", "Endpoints", "Bad_Name"])),
        st.builds(_remove_policy, st.sampled_from(paths), policy_names),
        st.builds(_capability, st.sampled_from(["/Channel", "/Channel/Orderer"]), st.sampled_from(["V9_9", "V1_1"])),
    )


def _hazards(config: ChannelConfig, update: Update) -> bool:
    try:
        return bool(find_update_hazards(config, update))
    except ConfigUpdateRefused:
        return False


def _at(root: configtx_pb2.ConfigGroup, path: str) -> configtx_pb2.ConfigGroup:
    for name in path.split("/")[2:]:
        root = root.groups[name]
    return root


def _put(group: configtx_pb2.ConfigGroup, name: str, value: bytes) -> None:
    standing = group.values[name]
    standing.value = value
    standing.mod_policy = standing.mod_policy or "Admins"


def _batch_size(count: int, limit: int) -> Change:
    size = orderer_pb2.BatchSize(
        max_message_count=count, absolute_max_bytes=10 << 20, preferred_max_bytes=limit
    ).SerializeToString()
    return lambda root: _put(root.groups["Orderer"], "BatchSize", size)


def _batch_timeout(text: str) -> Change:
    value = orderer_pb2.BatchTimeout(timeout=text).SerializeToString()
    return lambda root: _put(root.groups["Orderer"], "BatchTimeout", value)


def _policy(path: str, name: str, rule: str) -> Change:
    policy = configtx_pb2.ConfigPolicy(policy=configtree.build_policy(rule), mod_policy="Admins")
    return lambda root: _at(root, path).policies[name].CopyFrom(policy)


def _remove_policy(path: str, name: str) -> Change:
    return lambda root: _at(root, path).policies.pop(name, None) and None


def _mod_policy(path: str, mod_policy: str) -> Change:
    return lambda root: setattr(_at(root, path), "mod_policy", mod_policy)


def _anchor_peer(path: str, number: int) -> Change:
    anchors = peer_pb2.AnchorPeers(anchor_peers=[peer_pb2.AnchorPeer(host=f"peer{number}.example.com", port=7051)])
    return lambda root: _put(_at(root, path), "AnchorPeers", anchors.SerializeToString())


def _acl(resource: str, policy: str) -> Change:
    acls = peer_pb2.ACLs(acls={resource: peer_pb2.APIResource(policy_ref=f"/Channel/Application/{policy}")})
    return lambda root: _put(root.groups["Application"], "ACLs", acls.SerializeToString())


def _raft(option: str, number: int) -> Change:
    def change(root: configtx_pb2.ConfigGroup) -> None:
        orderer = root.groups["Orderer"]
        consensus = orderer_pb2.ConsensusType.FromString(orderer.values["ConsensusType"].value)
        if consensus.type != channelconfig.ETCDRAFT:
            return
        metadata = channelconfig.consensus.raft_metadata(consensus.metadata)
        setattr(metadata.options, option, number)
        consensus.metadata = metadata.SerializeToString()
        _put(orderer, "ConsensusType", consensus.SerializeToString())

    return change


def _stray_value(path: str, name: str) -> Change:
    return lambda root: _put(_at(root, path), name, b"")


def _capability(path: str, level: str) -> Change:
    def change(root: configtx_pb2.ConfigGroup) -> None:
        group = _at(root, path)
        names = {level, "V2_0"} if path == "/Channel/Orderer" else {level, "V2_0", "V3_0"}
        configtree.set_capabilities(group, names)

    return change


def _write_items(update: Update) -> list[elements.Item]:
    found: list[elements.Item] = []

    def collect(group: configtx_pb2.ConfigGroup) -> None:
        found.append(group)
        found.extend(group.values.values())
        found.extend(group.policies.values())
        for child in group.groups.values():
            collect(child)

    collect(update.write_set)
    return found


def _raise_version(update: Update) -> None:
    _write_items(update)[-1].version += 1


def _drop_mod_policy(update: Update) -> None:
    _write_items(update)[-1].mod_policy = ""


def _repeat_read_set(update: Update) -> None:
    update.write_set.CopyFrom(update.read_set)


def _drop_read_set(update: Update) -> None:
    update.ClearField("read_set")


def _stale_read_set(update: Update) -> None:
    update.read_set.version += 1


def _unknown_in_read_set(update: Update) -> None:
    update.read_set.values["Nothing"].version = 0


def _other_channel(update: Update) -> None:
    update.channel_id = "elsewhere"


def _illegal_name(update: Update) -> None:
    update.write_set.values["No Name"].mod_policy = "Admins"


def _lost_child(update: Update) -> None:
    update.write_set.groups["Application"].policies["Lost"].mod_policy = "Admins"


_DAMAGES: tuple[Damage | None, ...] = (
    _raise_version,
    _drop_mod_policy,
    _repeat_read_set,
    _drop_read_set,
    _stale_read_set,
    _unknown_in_read_set,
    _other_channel,
    _illegal_name,
    _lost_child,
)


def _flip_signature(signature: configtx_pb2.ConfigSignature) -> None:
    signature.signature = signature.signature[:-1] + bytes([signature.signature[-1] ^ 1])


def _cut_signature(signature: configtx_pb2.ConfigSignature) -> None:
    signature.signature = signature.signature[:10]


def _garbage_header(signature: configtx_pb2.ConfigSignature) -> None:
    signature.signature_header = b"\xff"


def _nobodys_header(signature: configtx_pb2.ConfigSignature) -> None:
    signature.signature_header = common_pb2.SignatureHeader(creator=b"nobody").SerializeToString()


# Mostly nothing is damaged: otherwise hardly any update would get as far as its policies.
_damages = st.sampled_from((*[None] * 18, *_DAMAGES))
_signature_damages = st.sampled_from((*[None] * 12, _flip_signature, _cut_signature, _garbage_header, _nobodys_header))
