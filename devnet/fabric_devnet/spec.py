"""What a development network shall look like, as data; knows nothing of files, ports or processes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from fabric_devnet.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CHANNEL_NAME = re.compile(r"[a-z][a-z0-9.-]{0,248}")
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|s|m))+")
MAX_ORGANIZATIONS = 100


class BackendName(StrEnum):
    """Who plays the peers and orderers."""

    EMBEDDED = "embedded"
    FABRIC = "fabric"


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One application channel; empty `members` means every organization.

    `absent` names peers of members that do not join, such as `peer1.org1.example.com`.
    """

    name: str
    members: tuple[str, ...] = ()
    lifecycle_endorsement: str = "MAJORITY Endorsement"
    absent: frozenset[str] = frozenset()
    consensus: Literal["etcdraft", "BFT"] = "etcdraft"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Size and channels of a network; everything it writes goes below `directory`.

    Organizations are `Org1MSP`, `Org2MSP`, ... with `peers` peers each; the orderers belong to `OrdererMSP`, or in turn
    to the `orderer_owners`, which are some of the organizations. The last `spare_orderers` run and are in no channel.
    `batch_timeout` is a Go duration; `channel_capability` is the newest one the nodes know unless given.
    `builder_fields` are further fields of connection templates, for the peers of each MSP ID.
    Raises SpecError when built with values no network can have.
    """

    directory: Path
    organizations: int = 3
    peers: int = 1
    orderers: int = 1
    orderer_owners: tuple[str, ...] = ()
    spare_orderers: int = 0
    channels: tuple[ChannelSpec, ...] = (ChannelSpec("ops-channel"), ChannelSpec("mychannel"))
    backend: BackendName | Literal["embedded", "fabric"] = BackendName.EMBEDDED
    batch_timeout: str = "200ms"
    max_message_count: int = 500
    channel_capability: str | None = None
    ready_seconds: float = 60.0
    builder_fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Settle the directory and the backend's name; refuse what cannot be built."""
        object.__setattr__(self, "directory", self.directory.resolve())
        try:
            object.__setattr__(self, "backend", BackendName(self.backend))
        except ValueError as exc:
            raise SpecError(f"backend must be one of {', '.join(BackendName)}, not {self.backend!r}") from exc
        _refuse_counts(self)
        _refuse_owners(self)
        if not _DURATION.fullmatch(self.batch_timeout):
            raise SpecError(f"batch_timeout {self.batch_timeout!r} is no duration such as 200ms or 2s")
        names = [channel.name for channel in self.channels]
        if len(set(names)) != len(names):
            raise SpecError(f"channel names must be unique: {', '.join(names)}")
        for channel in self.channels:
            _refuse_channel(channel, self.msp_ids)

    @property
    def msp_ids(self) -> tuple[str, ...]:
        """MSP IDs of the peer organizations, in order."""
        return tuple(f"Org{number}MSP" for number in range(1, self.organizations + 1))

    def members(self, channel: ChannelSpec) -> tuple[str, ...]:
        """MSP IDs of the channel's members."""
        return channel.members or self.msp_ids


def _refuse_counts(spec: NetworkSpec) -> None:
    if not 1 <= spec.organizations <= MAX_ORGANIZATIONS:
        raise SpecError(f"organizations must be between 1 and {MAX_ORGANIZATIONS}, not {spec.organizations}")
    for name, value in (
        ("peers", spec.peers),
        ("orderers", spec.orderers),
        ("max_message_count", spec.max_message_count),
    ):
        if value < 1:
            raise SpecError(f"{name} must be at least 1, not {value}")


def _refuse_owners(spec: NetworkSpec) -> None:
    owners = spec.orderer_owners
    unknown = [msp_id for msp_id in owners if msp_id not in spec.msp_ids]
    if unknown:
        raise SpecError(f"orderer_owners names organizations the network lacks: {', '.join(unknown)}")
    if len(set(owners)) != len(owners) or len(owners) > spec.orderers:
        raise SpecError(
            f"orderer_owners must be different organizations, at most one for each of {spec.orderers} orderers"
        )
    needed = max(1, len(owners))
    if not 0 <= spec.spare_orderers <= spec.orderers - needed:
        raise SpecError(f"spare_orderers must leave {needed} of {spec.orderers} orderers, not be {spec.spare_orderers}")


def _refuse_channel(channel: ChannelSpec, msp_ids: tuple[str, ...]) -> None:
    if not _CHANNEL_NAME.fullmatch(channel.name):
        raise SpecError(
            f"channel name {channel.name!r} must start with a-z and go on with a-z, 0-9, '.' or '-', 249 at most"
        )
    unknown = [msp_id for msp_id in channel.members if msp_id not in msp_ids]
    if unknown:
        raise SpecError(f"channel {channel.name} names members the network lacks: {', '.join(unknown)}")
