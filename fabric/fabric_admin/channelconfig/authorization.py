"""Whether an update may be laid over a config: versions, mod_policies and signatures, and the config that results.

Follows ``fabric: common/configtx/update.go`` and ``validator.go`` step by step and word for word. Where Fabric walks a
map in random order, this one takes names in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_protos.common import common_pb2, configtx_pb2

from fabric_admin.channelconfig import elements
from fabric_admin.channelconfig.elements import Element
from fabric_admin.channelconfig.shortfall import shortfall
from fabric_admin.errors import ConfigError, ConfigUpdateRefused, PolicyNotSatisfied
from fabric_admin.policy import SignedData, valid_identities
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from fabric_admin.channelconfig.channel import ChannelConfig
    from fabric_admin.msp import Identity

STAGE: Final = "authorize"
GARBAGE: Final = "proto: cannot parse invalid wire-format data"


@dataclass(frozen=True, slots=True)
class Changes:
    """An update that fits the config it was made for, by version: what it changes."""

    standing: Mapping[str, Element]
    """Every element of the current config by key."""
    delta: tuple[Element, ...]
    """What the update sets, in order of key."""

    def apply(self) -> configtx_pb2.ConfigGroup:
        """Return the config tree with the changes laid over it."""
        return elements.assemble({**self.standing, **{each.key: each for each in self.delta}})


def update_envelope(envelope: common_pb2.Envelope) -> configtx_pb2.ConfigUpdateEnvelope:
    """Return the config update in an envelope; raises ConfigUpdateRefused."""
    try:
        payload = decode(common_pb2.Payload, envelope.payload, ConfigError, "error unmarshalling Payload")
        if not payload.HasField("header"):
            raise ConfigError("envelope must have a Header")
        header = decode(
            common_pb2.ChannelHeader, payload.header.channel_header, ConfigError, "error unmarshalling ChannelHeader"
        )
        if header.type != common_pb2.CONFIG_UPDATE:
            known = common_pb2.HeaderType.DESCRIPTOR.values_by_number.get(header.type)
            shown = str(header.type) if known is None else known.name
            raise ConfigError(f"invalid type {shown}, expected CONFIG_UPDATE")
        what = "error unmarshalling message for type CONFIG_UPDATE"
        return decode(configtx_pb2.ConfigUpdateEnvelope, payload.data, ConfigError, what)
    except ConfigError as exc:
        remedy = "send an envelope of type CONFIG_UPDATE around a ConfigUpdateEnvelope"
        raise ConfigUpdateRefused(STAGE, f"error converting envelope to config update: {exc}", remedy=remedy) from exc


def authorize(config: ChannelConfig, signed_update: configtx_pb2.ConfigUpdateEnvelope) -> configtx_pb2.Config:
    """Return the config that results, its sequence one higher; raises ConfigUpdateRefused."""
    changes = compare(config, read_update(signed_update.config_update))
    signers = valid_signers(config, signed_update)
    require_delta(changes)
    for element in changes.delta:
        check_change(config, changes.standing, element, signers)
    return configtx_pb2.Config(sequence=config.sequence + 1, channel_group=changes.apply())


def read_update(data: bytes) -> configtx_pb2.ConfigUpdate:
    """Decode a config update; raises ConfigUpdateRefused."""
    try:
        return decode(configtx_pb2.ConfigUpdate, data, ConfigError, "")
    except ConfigError as exc:
        raise refused(GARBAGE, remedy="the config update's bytes must be a ConfigUpdate message") from exc


def find_changes(config: ChannelConfig, update: configtx_pb2.ConfigUpdate) -> Changes:
    """Return what an update changes; raises ConfigUpdateRefused when it is nothing, or does not fit the config."""
    changes = compare(config, update)
    require_delta(changes)
    return changes


def compare(config: ChannelConfig, update: configtx_pb2.ConfigUpdate) -> Changes:
    """Return what an update sets; raises ConfigUpdateRefused when its read set is not the standing config."""
    if update.channel_id != config.channel_id:
        raise refused(
            f"ConfigUpdate for channel '{update.channel_id}' but envelope for channel '{config.channel_id}'",
            remedy=f"compute the update for channel {config.channel_id}",
        )
    standing = elements.flatten(config.config.channel_group)
    read = _flatten(update.read_set if update.HasField("read_set") else None, "ReadSet")
    for key, element in read.items():
        _check_read(standing, key, element)
    written = _flatten(update.write_set if update.HasField("write_set") else None, "WriteSet")
    delta = [
        element
        for key, element in sorted(written.items())
        if key not in read or read[key].item.version != element.item.version
    ]
    return Changes(standing, tuple(delta))


def require_delta(changes: Changes) -> None:
    """Refuse an update without effect; raises ConfigUpdateRefused. Fabric reads the signatures before."""
    if not changes.delta:
        raise refused(
            "error validating DeltaSet: delta set was empty -- update would have no effect",
            element="/Channel",
            remedy="the write set must raise the version of what it changes",
        )


def valid_signers(config: ChannelConfig, signed_update: configtx_pb2.ConfigUpdateEnvelope) -> tuple[Identity, ...]:
    """Return the distinct identities with a valid signature; raises ConfigUpdateRefused for an unreadable header."""
    return valid_identities(signed_data(signed_update.config_update, signed_update.signatures), config.msp_manager)


def signed_data(update: bytes, signatures: Iterable[configtx_pb2.ConfigSignature]) -> list[SignedData]:
    """Return what each signature covers and by whom; raises ConfigUpdateRefused for an unreadable header."""
    found: list[SignedData] = []
    for each in signatures:
        try:
            header = decode(common_pb2.SignatureHeader, each.signature_header, ConfigError, "")
        except ConfigError as exc:
            raise refused(GARBAGE, remedy="leave out the signature whose header is unreadable") from exc
        found.append(SignedData(each.signature_header + update, header.creator, each.signature))
    return found


def check_change(
    config: ChannelConfig, standing: Mapping[str, Element], element: Element, signers: Sequence[Identity]
) -> None:
    """Check one changed element: its mod_policy, its version, and the signatures; raises ConfigUpdateRefused."""
    check_version(standing, element)
    current = standing.get(element.key)
    if current is not None:
        _check_policy(config, current, signers)


def check_version(standing: Mapping[str, Element], element: Element) -> None:
    """Check one changed element but for who signed: its mod_policy and its version; raises ConfigUpdateRefused."""
    try:
        elements.check_mod_policy(element.item.mod_policy)
    except ConfigError as exc:
        raise _in_delta(
            f"invalid mod_policy for element {element.key}: {exc}",
            element,
            "give it a mod_policy such as Admins",
        ) from exc
    current, version = standing.get(element.key), element.item.version
    if current is None:
        if version != 0:
            raise _in_delta(
                f"attempted to set key {element.key} to version {version}, but key does not exist",
                element,
                "a new element starts at version 0",
            )
        return
    if version != current.item.version + 1:
        raise _in_delta(
            f"attempt to set key {element.key} to version {version}, but key is at version {current.item.version}",
            element,
            "compute the update anew from the current config",
        )


def _check_policy(config: ChannelConfig, current: Element, signers: Sequence[Identity]) -> None:
    path = current.policy_path
    if not config.policies.has(path):
        raise _in_delta(
            f"unexpected missing policy {current.item.mod_policy} for item {current.key}",
            current,
            "nobody can change it while its mod_policy names no policy",
        )
    policy = config.policies.get(path)
    try:
        policy.check(signers, config.msp_manager)
    except PolicyNotSatisfied as exc:
        lacking = shortfall(policy, signers, config.msp_manager)
        raise _in_delta(
            f"policy for {current.key} not satisfied: {exc}", current, f"{path} still needs signatures by {lacking}"
        ) from exc


def _check_read(standing: Mapping[str, Element], key: str, element: Element) -> None:
    current = standing.get(key)
    if current is None:
        reason = f"existing config does not contain element for {key} but was in the read set"
    elif current.item.version != element.item.version:
        reason = (
            f"proposed update requires that key {key} be at version {element.item.version}, "
            f"but it is currently at version {current.item.version}"
        )
    else:
        return
    raise refused(
        f"error validating ReadSet: {reason}",
        element=element.location,
        remedy="compute the update anew from the current config",
    )


def _flatten(group: configtx_pb2.ConfigGroup | None, name: str) -> dict[str, Element]:
    try:
        return {} if group is None else elements.flatten(group)
    except ConfigError as exc:
        raise refused(
            f"error mapping {name}: {exc}",
            element=exc.element,
            remedy="names are made of letters, digits, dots and dashes, at most 249 of them",
        ) from exc


def refused(reason: str, *, element: str = "", remedy: str = "") -> ConfigUpdateRefused:
    """Return a refusal of the authorization stage."""
    return ConfigUpdateRefused(STAGE, f"error authorizing update: {reason}", element=element, remedy=remedy)


def _in_delta(reason: str, element: Element, remedy: str) -> ConfigUpdateRefused:
    return refused(f"error validating DeltaSet: {reason}", element=element.location, remedy=remedy)
