"""The status of a FabricChannel, from what the own peers show of the channel. Pure.

Sorted and bounded, without any moment of looking: nothing here changes unless the channel, or the own part in it, does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fabric_admin.channelconfig import LIFECYCLE_ENDORSEMENT, ChannelConfig
from fabric_admin.definition import Definition, policy_text, read_collection_package
from fabric_admin.errors import ConfigError, PolicySyntaxError
from fabric_admin.policy import NOutOf
from opssc_operator.api.channel import (
    MAX_CHAINCODES,
    MAX_CONSENTERS,
    MAX_MEMBERS,
    CapabilityLevels,
    ChaincodeOrigin,
    ChannelChaincode,
    ChannelMember,
    ChannelPolicy,
    Consensus,
    ConsensusNode,
    FabricChannelStatus,
)
from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.consenterexpiry import ConsenterEnd, judge_ends
from opssc_operator.domain.silence import silence_note, silent_members
from opssc_operator.domain.verdict import Verdict, no, unknown, yes

SHOWN_POLICIES: Final = (
    "/Channel/Admins",
    "/Channel/Application/Admins",
    "/Channel/Application/Endorsement",
    LIFECYCLE_ENDORSEMENT,
    "/Channel/Application/Readers",
    "/Channel/Application/Writers",
    "/Channel/Orderer/Admins",
    "/Channel/Orderer/BlockValidation",
)
LONGEST_CAPABILITY: Final = 64
MOST_CAPABILITIES: Final = 32


@dataclass(frozen=True, slots=True)
class CommittedChaincode:
    """A committed definition: who approved it (MSP IDs), and what the own organization has of it.

    ``package_id`` is what the own approval names; ``origin`` None while the proposals on the ledger are not known.
    """

    definition: Definition
    approvals: frozenset[str]
    package_id: str | None
    installed_on: tuple[str, ...]
    origin: ChaincodeOrigin | None
    proposal: ProposalRef | None = None


@dataclass(frozen=True, slots=True)
class ChannelObserved:
    """What the own peers show of one channel; ``governing`` None while the governance channel cannot be read."""

    config: ChannelConfig
    ends: tuple[ConsenterEnd, ...]
    config_block: int
    height: int
    peers: tuple[str, ...]
    chaincodes: tuple[CommittedChaincode, ...]
    governance_channel: str
    governing: frozenset[str] | None
    now: datetime


def channel_status(observed: ChannelObserved, *, generation: int) -> FabricChannelStatus:
    """Everything but the conditions."""
    config = observed.config
    chaincodes = sorted(observed.chaincodes, key=lambda found: found.definition.name)
    known = all(found.origin is not None for found in chaincodes)
    return FabricChannelStatus(
        observed_generation=generation,
        height=observed.height,
        config_block=observed.config_block,
        config_sequence=config.sequence,
        peers=tuple(sorted(observed.peers)),
        members=tuple(_member(msp_id, observed.governing) for msp_id in config.members[:MAX_MEMBERS]),
        policies=tuple(_policies(config)),
        consensus=_consensus(config),
        capabilities=CapabilityLevels(
            channel=_levels(config.capabilities.channel),
            orderer=_levels(config.capabilities.orderer),
            application=_levels(config.capabilities.application),
        ),
        chaincode_count=len(chaincodes),
        foreign_count=len(foreign_names(chaincodes)) if known else None,
        chaincodes=tuple(_chaincode(found) for found in chaincodes[:MAX_CHAINCODES]),
    )


def channel_conditions(observed: ChannelObserved) -> Mapping[ConditionType, Verdict]:
    """Ready: what the object shows is what the own peers show; the message names what calls for attention.

    ConsentersValid is left out where no consenter can be read.
    """
    notes = []
    silent = silent_members(observed.config.members, observed.governing)
    if silent:
        notes.append(silence_note(silent, observed.governance_channel))
    foreign = foreign_names(observed.chaincodes)
    if foreign:
        notes.append(f"deployed outside OpsSC and left alone: {', '.join(foreign)}")
    problem = lifecycle_problem(observed.config)
    if problem:
        notes.append(f"no chaincode can be proposed: {problem}")
    ready: dict[ConditionType, Verdict] = {
        ConditionType.READY: yes(Reason.READY, "; ".join(notes) or "as the own peers show it"),
        ConditionType.MEMBER: yes(Reason.JOINED, "the own peers show the channel"),
    }
    if not observed.ends:
        return ready
    return {**ready, ConditionType.CONSENTERS_VALID: judge_ends(observed.ends, observed.now)}


def failing_conditions(
    reason: Reason, message: str, standing: Mapping[ConditionType, Verdict]
) -> Mapping[ConditionType, Verdict]:
    """What stands in status may be old: the own peers could not be asked."""
    kept: dict[ConditionType, Verdict] = {kind: said for kind, said in standing.items() if kind is ConditionType.MEMBER}
    return {**kept, ConditionType.READY: no(reason, message), ConditionType.RECONCILING: yes(reason, message)}


def removed_conditions(message: str) -> Mapping[ConditionType, Verdict]:
    """What stands in status is what the own peers showed before this organization was removed."""
    verdict = no(Reason.NOT_A_MEMBER, message)
    return {
        ConditionType.READY: verdict,
        ConditionType.MEMBER: verdict,
        ConditionType.STALLED: yes(verdict.reason, message),
    }


def shut_out_conditions(shown: Mapping[ConditionType, Verdict], channel: str) -> Mapping[ConditionType, Verdict]:
    """What the own peers show may be old: orderers refuse this organization, and no proposal says why."""
    message = (
        f"orderers of {channel} let this organization read nothing: maintenance mode, removed without a proposal, "
        "or not yet let in again"
    )
    verdict = unknown(Reason.ORDERERS_REFUSE, message)
    return {**shown, ConditionType.MEMBER: verdict}


def refusing_conditions(message: str) -> Mapping[ConditionType, Verdict]:
    """An object that the operator did not make."""
    return {
        ConditionType.READY: no(Reason.INVALID_SPEC, message),
        ConditionType.STALLED: yes(Reason.INVALID_SPEC, message),
    }


def keep_height(wanted: FabricChannelStatus, standing: Mapping[str, object]) -> FabricChannelStatus:
    """The wanted status with the height that stands, when the height alone would change: blocks come all the time."""
    height = standing.get("height")
    if isinstance(height, int) and _beside_height(wanted.to_manifest()) == _beside_height(standing):
        return wanted.model_copy(update={"height": height})
    return wanted


def _beside_height(status: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in status.items() if name not in {"height", "conditions"}}


def foreign_names(chaincodes: Iterable[CommittedChaincode]) -> tuple[str, ...]:
    """Names of the chaincodes that were deployed outside OpsSC, sorted."""
    return tuple(sorted(found.definition.name for found in chaincodes if found.origin is ChaincodeOrigin.FOREIGN))


def lifecycle_problem(config: ChannelConfig) -> str:
    """Why LifecycleEndorsement is no matter of organizations alone; empty when it is."""
    try:
        config.organization_rule(LIFECYCLE_ENDORSEMENT)
    except ConfigError as exc:
        return str(exc)
    return ""


def rule_words(rule: NOutOf) -> str:
    """``any 2 of Org1MSP, Org2MSP, Org3MSP``; nested parts in brackets."""
    if len(rule.of) == 1 and rule.n == 1:
        return _part_words(rule.of[0])
    if rule.n > len(rule.of):
        return "nobody: more organizations are asked for than there are"
    if rule.n == len(rule.of):
        return " and ".join(_part_words(part) for part in rule.of)
    if rule.n == 1:
        return " or ".join(_part_words(part) for part in rule.of)
    return f"any {rule.n} of {', '.join(_part_words(part) for part in rule.of)}"


def _part_words(part: str | NOutOf) -> str:
    return part if isinstance(part, str) else f"({rule_words(part)})"


def _member(msp_id: str, governing: frozenset[str] | None) -> ChannelMember:
    return ChannelMember(msp_id=msp_id, on_governance_channel=None if governing is None else msp_id in governing)


def _policies(config: ChannelConfig) -> Iterable[ChannelPolicy]:
    for path in sorted(SHOWN_POLICIES):
        if config.policies.has(path):
            yield ChannelPolicy(path=path, policy=config.policy_text(path), meaning=_meaning(config, path))


def _meaning(config: ChannelConfig, path: str) -> str | None:
    if not path.startswith("/Channel/Application/"):
        return None
    try:
        return rule_words(config.organization_rule(path))
    except ConfigError:
        return None


def _consensus(config: ChannelConfig) -> Consensus:
    try:
        consenters = config.consenters
    except ConfigError:
        consenters = ()
    nodes = tuple(
        ConsensusNode(address=f"{node.address.host[:253]}:{node.address.port}", msp_id=node.msp_id or None)
        for node in consenters[:MAX_CONSENTERS]
    )
    organizations = config.orderer_members[:MAX_MEMBERS]
    return Consensus(type=config.consensus_type, organizations=organizations, consenters=nodes)


def _levels(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in sorted(names) if 0 < len(name) <= LONGEST_CAPABILITY)[:MOST_CAPABILITIES]


def _chaincode(found: CommittedChaincode) -> ChannelChaincode:
    definition = found.definition
    return ChannelChaincode(
        name=definition.name,
        version=definition.version,
        sequence=definition.sequence,
        endorsement_policy=_policy_text(definition.validation_parameter),
        collections=_collection_names(definition.collections)[:MAX_CHAINCODES],
        init_required=definition.init_required,
        origin=found.origin,
        proposal=None if found.proposal is None else str(found.proposal),
        approvals=tuple(sorted(found.approvals))[:MAX_MEMBERS],
        package_id=found.package_id,
        installed_on=tuple(sorted(found.installed_on)),
    )


def _policy_text(parameter: bytes) -> str | None:
    try:
        return policy_text(parameter)
    except PolicySyntaxError:
        return None


def _collection_names(package: bytes) -> tuple[str, ...]:
    if not package:
        return ()
    try:
        return tuple(sorted(collection.name for collection in read_collection_package(package)))
    except PolicySyntaxError:
        return ()
