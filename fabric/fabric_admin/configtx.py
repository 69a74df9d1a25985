"""Reading profiles of a ``configtx.yaml``, with the MSP folders and certificates it points to.

Gives what ``configtxgen`` would have worked with, or its reason to refuse (``fabric: internal/configtxgen``). Touches
files, nothing else; environment variables do not override anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fabric_protos.msp import msp_config_pb2
from fabric_protos.orderer.smartbft import configuration_pb2 as smartbft_pb2

from fabric_admin import configtx_schema, duration, msp_directory, yamldoc
from fabric_admin.batch import Batch
from fabric_admin.capabilities import Capabilities
from fabric_admin.channelconfig import BFT, ETCDRAFT, Address, Consenter, RaftOptions
from fabric_admin.channelconfig.bft import DEFAULT_OPTIONS
from fabric_admin.channelconfig.consenters import build_mapping, build_raft_metadata
from fabric_admin.configtree import Policies, Rule
from fabric_admin.errors import ConfigError, IdentityError
from fabric_admin.genesis import ApplicationOrganization, OrdererOrganization, Profile

SOLO: Final = "solo"
MAX_FILE_BYTES: Final = 1 << 20
_SMART_BFT_FIELDS: Final = {
    "".join(part.capitalize() for part in field.name.split("_")): field.name
    for field in smartbft_pb2.Options.DESCRIPTOR.fields
}

Section = Mapping[str, Any]


def read_profile(path: Path, profile: str, channel_id: str) -> Profile:
    """Return a profile of the file at ``path``, ready for ``genesis.build``.

    Relative paths in it are relative to its folder. Raises ConfigError in the words of the genesis tool.
    """
    document = _load(path)
    section = document.get("Profiles", {}).get(profile)
    if section is None:
        raise ConfigError(f"Could not find profile: {profile}")
    return _Reader(path.parent, channel_id).read(section)


def _load(path: Path) -> dict[str, Any]:
    prefix = "Error loading config from config cache: Error unmarshalling config into struct"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"Error reading configuration: open {path}: {_reason(exc)}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"Error reading configuration: {path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        document = yamldoc.load(data)
    except yamldoc.MalformedYaml as exc:
        raise ConfigError(f"Error reading configuration: {path}: {exc}") from exc
    try:
        return configtx_schema.read_document(document)
    except ConfigError as exc:
        raise ConfigError(f"{prefix}: {exc}") from exc


class _Reader:
    """One profile being read, with the folder its paths start from."""

    def __init__(self, folder: Path, channel_id: str) -> None:
        self._folder = folder
        self._channel_id = channel_id

    def read(self, section: Section) -> Profile:
        orderer, application, consortiums = (section.get(name) for name in ("Orderer", "Application", "Consortiums"))
        if orderer is None:
            raise ConfigError("refusing to generate block which is missing orderer section")
        if application is None and consortiums is None:
            raise ConfigError("refusing to generate application channel block which is missing application section")
        _refuse_foreign(orderer, application or {}, consortiums or {})
        kind = orderer.get("OrdererType") or SOLO
        consenters, raft = self._consensus(kind, orderer)
        sections = {"Channel": section, "Orderer": orderer, "Application": application or {}}
        levels = {name: each.get("Capabilities", {}) for name, each in sections.items()}
        required = {name: frozenset(key for key, on in each.items() if on) for name, each in levels.items()}
        return Profile(
            channel_id=self._channel_id,
            organizations=self._members(application or {}),
            has_application=application is not None,
            orderers=self._orderers(orderer),
            consenters=consenters,
            batch=_batch(orderer),
            raft=raft,
            capabilities=Capabilities(required["Channel"], required["Orderer"], required["Application"]),
            empty_capabilities=frozenset(name for name, each in levels.items() if each and not required[name]),
            acls=(application or {}).get("ACLs", {}),
            channel_policies=_policies(section),
            orderer_policies=_policies(orderer),
            application_policies=_policies(application or {}),
            consensus_type=kind,
            bft=_bft_options(orderer),
            global_orderer_addresses=tuple(orderer.get("Addresses", ())),
            max_channels=orderer.get("MaxChannels", 0),
            consortium=section.get("Consortium", ""),
            consortiums=None if consortiums is None else self._consortiums(consortiums),
        )

    def _consensus(self, kind: str, orderer: Section) -> tuple[tuple[Consenter, ...], RaftOptions]:
        if kind == SOLO:
            return (), RaftOptions()
        if kind == BFT:
            listed = orderer.get("ConsenterMapping", [])
            build_mapping(tuple(map(_consenter, listed)))
            return self._load_certificates(
                listed, f"cannot load consenter config for orderer type {kind}"
            ), RaftOptions()
        if kind != ETCDRAFT:
            raise ConfigError(f"unknown orderer type: {kind}")
        raft = orderer.get("EtcdRaft")
        if raft is None:
            raise ConfigError(f"{ETCDRAFT} configuration missing")
        options = _raft_options(raft.get("Options", {}))
        listed = raft.get("Consenters", [])
        build_raft_metadata(tuple(map(_consenter, listed)), options)
        return self._load_certificates(listed, f"cannot marshal metadata for orderer type {kind}"), options

    def _load_certificates(self, listed: Sequence[Section], step: str) -> tuple[Consenter, ...]:
        """Return consenters with the certificates their entries name files of."""
        prefix = (
            f"could not create bootstrapper: could not create channel group: could not create orderer group: {step}"
        )
        found = []
        for entry in listed:
            files: dict[str, bytes] = {}
            for key, what in (
                ("ClientTLSCert", "client cert"),
                ("ServerTLSCert", "server cert"),
                ("Identity", "identity"),
            ):
                try:
                    files[key] = _read_file(self._folder / entry[key]) if entry.get(key) else b""
                except (OSError, ValueError) as exc:
                    where = f"{entry.get('Host', '')}:{entry.get('Port', 0)}"
                    reason = f"open {self._folder / entry[key]}: {_reason(exc)}"
                    raise ConfigError(f"{prefix}: cannot load {what} for consenter {where}: {reason}") from exc
            found.append(_consenter({**entry, **files}))
        return tuple(found)

    def _members(self, application: Section) -> tuple[ApplicationOrganization, ...]:
        step = "could not create application group: failed to create application org"
        return tuple(
            ApplicationOrganization(
                name=each.get("Name", ""),
                msp=self._msp(each, step, each.get("Name", "")),
                anchor_peers=tuple(
                    Address(peer.get("Host", ""), peer.get("Port", 0)) for peer in each.get("AnchorPeers", [])
                ),
                policies=_policies(each),
            )
            for each in application.get("Organizations", [])
        )

    def _orderers(self, orderer: Section) -> tuple[OrdererOrganization, ...]:
        step = "could not create orderer group: failed to create orderer org"
        return tuple(
            OrdererOrganization(
                name=each.get("Name", ""),
                msp=self._msp(each, step, f": {each.get('Name', '')}"),
                endpoints=tuple(each.get("OrdererEndpoints", ())),
                policies=_policies(each),
            )
            for each in orderer.get("Organizations", [])
        )

    def _consortiums(self, consortiums: Section) -> dict[str, tuple[ApplicationOrganization, ...]]:
        found: dict[str, tuple[ApplicationOrganization, ...]] = {}
        for name, consortium in consortiums.items():
            step = f"could not create consortiums group: failed to create consortium {name}: "
            step += "failed to create consortium org"
            found[name] = tuple(
                ApplicationOrganization(
                    name=each.get("Name", ""),
                    msp=self._msp(each, step, f": {each.get('Name', '')}"),
                    policies=_policies(each),
                )
                for each in consortium.get("Organizations", [])
            )
        return found

    def _msp(self, organization: Section, step: str, shown: str) -> msp_config_pb2.MSPConfig:
        try:
            return msp_directory.read_config(self._folder / organization.get("MSPDir", ""), organization.get("ID", ""))
        except IdentityError as exc:
            shown = shown if shown.startswith(":") else f" {shown}"
            raise ConfigError(
                f"could not create bootstrapper: could not create channel group: {step}: "
                f"1 - Error loading MSP configuration for org{shown}: {exc}"
            ) from exc


def _refuse_foreign(orderer: Section, application: Section, consortiums: Section) -> None:
    for section in (orderer, application, *consortiums.values()):
        for organization in section.get("Organizations", []):
            if organization.get("SkipAsForeign"):
                raise ConfigError(
                    "could not create bootstrapper: all org definitions must be local during bootstrapping: "
                    f"organization '{organization.get('Name', '')}' is marked to be skipped as foreign"
                )


def _batch(orderer: Section) -> Batch:
    default, size = Batch(), orderer.get("BatchSize", {})
    timeout = orderer.get("BatchTimeout")
    return Batch(
        timeout=duration.text(timeout) if timeout else default.timeout,
        max_message_count=size.get("MaxMessageCount") or default.max_message_count,
        absolute_max_bytes=size.get("AbsoluteMaxBytes") or default.absolute_max_bytes,
        preferred_max_bytes=size.get("PreferredMaxBytes") or default.preferred_max_bytes,
    )


def _raft_options(section: Section) -> RaftOptions:
    default = RaftOptions()
    return RaftOptions(
        tick_interval=section.get("TickInterval") or default.tick_interval,
        election_tick=section.get("ElectionTick") or default.election_tick,
        heartbeat_tick=section.get("HeartbeatTick") or default.heartbeat_tick,
        max_inflight_blocks=section.get("MaxInflightBlocks") or default.max_inflight_blocks,
        snapshot_interval_size=section.get("SnapshotIntervalSize") or default.snapshot_interval_size,
    )


def _bft_options(orderer: Section) -> smartbft_pb2.Options:
    section = orderer.get("SmartBFT")
    if section is None:
        return DEFAULT_OPTIONS
    return smartbft_pb2.Options(**{_SMART_BFT_FIELDS[key]: value for key, value in section.items()})


def _consenter(entry: Section) -> Consenter:
    return Consenter(
        Address(entry.get("Host", ""), entry.get("Port", 0)),
        _bytes(entry.get("ClientTLSCert", b"")),
        _bytes(entry.get("ServerTLSCert", b"")),
        id=entry.get("ID", 0),
        msp_id=entry.get("MSPID", ""),
        identity=_bytes(entry.get("Identity", b"")),
    )


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _policies(section: Section) -> Policies:
    return {
        name: Rule(each.get("Type", ""), each.get("Rule", "")) for name, each in section.get("Policies", {}).items()
    }


def _read_file(path: Path) -> bytes:
    """Return a file's content; raises OSError, ValueError when it is too large or no name a file can have."""
    if path.exists() and not path.is_file():
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    return data


def _reason(exc: OSError | ValueError) -> str:
    """Return the operating system's reason as Go prints it."""
    return ((exc.strerror if isinstance(exc, OSError) else "") or str(exc)).lower()
