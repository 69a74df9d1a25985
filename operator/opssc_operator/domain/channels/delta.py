"""What the changes of a proposal amount to on one configuration: the update, its lines, who must agree. Pure.

An organization that votes computes all of this for itself from the changes and its own peer's configuration, and
compares it, decoded, with what the proposer wrote.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fabric_protos.common import configtx_pb2
from google.protobuf.message import DecodeError
from pydantic import ValidationError

from fabric_admin.capabilities import KNOWN_LEVELS, Line
from fabric_admin.channelconfig import (
    BFT,
    ChannelConfig,
    Verdict,
    check_consenters,
    compute_update,
    diff,
    find_certificate_hazards,
    find_update_hazards,
    refuse_first,
)
from fabric_admin.errors import ConfigError, ConfigUpdateRefused
from fabric_admin.policy import NOutOf
from opssc_chaincode.model import Change, Rule
from opssc_operator.domain.channel import to_document
from opssc_operator.domain.channels.application import ChangeRefused, apply_changes

MAX_ELEMENTS: Final = 4000
"""Groups, values and policies an update may name, read and written: twice what a channel of 200 organizations has."""
MAX_NEW_ELEMENTS: Final = 640
"""Those of them that the channel does not have yet: half as many again as 32 changes add, and little to go through."""
MAX_POLICY_BYTES: Final = 64 * 1024
"""What the policies that it writes may take together: a rule of thousands of principals is gone through many times."""


@dataclass(frozen=True, slots=True)
class Delta:
    """One update on one configuration.

    ``update`` is pb(ConfigUpdate), ``lines`` the difference for people, ``verdicts`` who decides about each element
    while nobody has signed, ``rule`` the organizations that must agree: every mod_policy that is touched. ``audience``
    are the only ones whom orderers show its block, those that run orderers, when it brings maintenance mode. ``line``
    are the oldest releases whose peers go on after it.
    """

    update: bytes
    lines: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    rule: Rule
    audience: tuple[str, ...] | None = None
    line: Line = Line.FABRIC_2_5


def compute_delta(config: ChannelConfig, changes: Sequence[Change], *, governance: bool, at: datetime) -> Delta:
    """The delta of ``changes``; raises ChangeRefused naming the change or the element, and what to do instead.

    ``at`` is the moment new certificates have to be valid: the same for whoever computes a proposal's delta again.
    """
    updated = apply_changes(config.config, changes, governance=governance)
    try:
        update = compute_update(config.channel_id, config.config, updated)
    except ConfigError as exc:
        raise ChangeRefused(f"changes: the channel has all of this already ({exc})", exc.element) from exc
    return judge_update(config, update.SerializeToString(deterministic=True), governance=governance, at=at)


def judge_update(config: ChannelConfig, update: bytes, *, governance: bool, at: datetime) -> Delta:
    """The delta an update is; raises ChangeRefused when it does not fit, harms the channel, or nobody can decide it.

    What an orderer would refuse whoever signs is refused here, before anybody is asked.
    """
    _refuse_flood(update, config.config.channel_group)
    try:
        refuse_first(find_update_hazards(config, update, governance=governance))
        updated = config.rehearse(update, now=at)
        check_consenters(config, updated, at)
        refuse_first(find_certificate_hazards(config, updated, at))
        lines = diff(config.config, updated.config)
        verdicts = config.evaluate(update)
        for verdict in verdicts:
            if verdict.mod_policy and not config.policies.has(verdict.mod_policy):
                raise ChangeRefused(f"{verdict.path}: there is no policy {verdict.mod_policy}", verdict.path)
    except ConfigUpdateRefused as exc:
        raise ChangeRefused(exc.explanation, exc.element) from exc
    except ConfigError as exc:
        raise ChangeRefused(str(exc), exc.element) from exc
    return Delta(update, lines, verdicts, _rule(config, verdicts), _audience(updated), _line(config, updated))


def _audience(updated: ChannelConfig) -> tuple[str, ...] | None:
    """Who alone gets the block of an update, if not every member (Fabric: common/deliver/acl.go)."""
    return updated.orderer_members if updated.consensus.in_maintenance else None


def _line(config: ChannelConfig, updated: ChannelConfig) -> Line:
    """The oldest releases whose peers go on after an update; a channel that is newer already has no older ones."""
    return Line.FABRIC_3 if _is_newer(updated) and not _is_newer(config) else Line.FABRIC_2_5


def _is_newer(config: ChannelConfig) -> bool:
    """Whether peers of Fabric 2.5 stop at a configuration, or at the blocks that follow it."""
    unknown = any(config.capabilities.unknown(section, Line.FABRIC_2_5) for section in KNOWN_LEVELS)
    return unknown or config.consensus_type == BFT


def same_update(one: bytes, other: bytes) -> bool:
    """Whether two updates mean the same: compared decoded, since one meaning has many encodings."""
    first, second = configtx_pb2.ConfigUpdate(), configtx_pb2.ConfigUpdate()
    try:
        first.ParseFromString(one)
        second.ParseFromString(other)
    except DecodeError:
        return False
    # What is said twice decodes to the last word here; nodes must not be left to read another one.
    return bool(first == second) and len(second.SerializeToString(deterministic=True)) == len(other)


def _refuse_flood(update: bytes, standing: configtx_pb2.ConfigGroup) -> None:
    """Refuse what would keep every organization busy, before anything is computed from it."""
    decoded = configtx_pb2.ConfigUpdate()
    try:
        decoded.ParseFromString(update)
    except DecodeError as exc:
        raise ChangeRefused("the update is no ConfigUpdate message") from exc
    nothing = configtx_pb2.ConfigGroup()
    waiting, found, new, rules = [(decoded.read_set, standing), (decoded.write_set, standing)], 0, 0, 0
    while waiting:
        group, before = waiting.pop()
        found += 1 + len(group.values) + len(group.policies)
        new += (before is nothing) + _absent(group.values, before.values) + _absent(group.policies, before.policies)
        rules += sum(len(item.policy.value) for item in group.policies.values())
        waiting += [(child, before.groups.get(name, nothing)) for name, child in group.groups.items()]
        if found + len(waiting) > MAX_ELEMENTS:
            raise ChangeRefused(f"the update names more than {MAX_ELEMENTS} elements; split it")
        if new > MAX_NEW_ELEMENTS:
            raise ChangeRefused(f"the update adds more than {MAX_NEW_ELEMENTS} elements; split it")
        if rules > MAX_POLICY_BYTES:
            raise ChangeRefused(f"the policies of the update take more than {MAX_POLICY_BYTES} bytes; split it")


def _absent(names: Iterable[str], standing: Container[str]) -> int:
    return sum(name not in standing for name in names)


def _rule(config: ChannelConfig, verdicts: Sequence[Verdict]) -> Rule:
    """Every policy that decides about an element of the update, as one rule over organizations."""
    paths = sorted({verdict.mod_policy for verdict in verdicts if verdict.mod_policy})
    try:
        rules = [config.organization_rule(path, with_orderers=True) for path in paths]
    except ConfigError as exc:
        raise ChangeRefused(f"{exc}; it cannot be decided by organizations", exc.element) from exc
    parts = tuple(dict.fromkeys(_simplest(rule) for rule in rules))
    joined = parts[0] if len(parts) == 1 and isinstance(parts[0], NOutOf) else NOutOf(len(parts), parts)
    try:
        return to_document(joined)
    except ValidationError as exc:
        names = ", ".join(paths)
        raise ChangeRefused(f"{names}: no set of organizations can satisfy what is asked", paths[0]) from exc


def _simplest(rule: NOutOf) -> str | NOutOf:
    """A rule of a single organization as that organization."""
    only = rule.of[0] if len(rule.of) == 1 and rule.n == 1 else rule
    return only if isinstance(only, str) else rule
