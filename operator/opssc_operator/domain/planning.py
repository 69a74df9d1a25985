"""What a local manifest would put on the ledger: sequence, package, snapshot and deadline resolved. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from fabric_admin.definition import Definition
from opssc_chaincode.model import SCHEMA, Charter, CharterInForce, Content, Kind, ProposalDocument, Rule, Snapshot
from opssc_chaincode.model.document import describe
from opssc_operator.api.chaincode_proposal import ChaincodeProposalSpec
from opssc_operator.api.conditions import Reason
from opssc_operator.api.durations import format_duration
from opssc_operator.api.package import PackageType
from opssc_operator.api.proposal import ProposalSpec
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.content import BuiltPackage, ContentError, build_content, invalid
from opssc_operator.domain.verdict import Verdict, no


@dataclass(frozen=True, slots=True)
class Plan:
    """A document ready for ``Propose``: canonical JSON, and the hash that votes will be bound to."""

    document: bytes
    content: Content
    content_hash: str
    proposal_id: str = ""
    """Set where the proposal is another one than that it is planned for."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a manifest would propose, shown and not sent: the kind's own ``review``, and a word on it."""

    review: object
    message: str


@dataclass(frozen=True, slots=True)
class Outset:
    """What every proposal starts from: the channel it is about and the charter in force, as the own peer shows them."""

    own_msp_id: str
    proposal_id: str
    channel: ChannelView
    charter: CharterInForce
    now: datetime


@dataclass(frozen=True, slots=True)
class PlanningObserved:
    """What planning a chaincode needs: the outset at the target channel, and the committed definition.

    ``fetched`` is the package of a source that has to be fetched, or why there is none (yet).
    """

    outset: Outset
    spec: ChaincodeProposalSpec
    committed: Definition | None
    fetched: BuiltPackage | Verdict | None = None


def plan_proposal(observed: PlanningObserved) -> Plan | Verdict:
    """The document for a manifest, or why there can be none."""
    channel, spec = observed.outset.channel, observed.spec
    stranger = judge_membership(observed.outset)
    if stranger is not None:
        return stranger
    rule = channel.pinned_rule
    if rule is None:
        return no(Reason.UNSUPPORTED_BY_THIS_VERSION, f"LifecycleEndorsement: {channel.rule_problem}")
    sequence = resolve_sequence(spec, observed.committed)
    if isinstance(sequence, Verdict):
        return sequence
    if isinstance(observed.fetched, Verdict):
        return observed.fetched
    return _draft(observed, rule, sequence, observed.fetched)


def _draft(observed: PlanningObserved, rule: Rule, sequence: int, fetched: BuiltPackage | None) -> Plan | Verdict:
    spec = observed.spec
    try:
        content = build_content(spec, sequence, fetched)
    except ContentError as exc:
        return invalid(exc)
    return plan_document(observed.outset, spec, content, rule, kind=Kind.CHAINCODE)


def judge_membership(outset: Outset) -> Verdict | None:
    """Why this organization cannot propose for the channel at all."""
    channel = outset.channel
    if outset.own_msp_id in channel.members:
        return None
    message = f"{outset.own_msp_id} is not a member of channel {channel.channel}, so it cannot propose there"
    return no(Reason.NOT_A_MEMBER, message)


def plan_document(outset: Outset, spec: ProposalSpec, content: Content, rule: Rule, *, kind: Kind) -> Plan | Verdict:
    """The document with its snapshot and deadline, or what is wrong with it."""
    channel = outset.channel
    try:
        document = ProposalDocument(
            schema_version=SCHEMA,
            id=outset.proposal_id,
            kind=kind,
            content=content,
            snapshot=Snapshot(
                channel=channel.channel,
                config_block=channel.config_block,
                config_sequence=channel.config_sequence,
                config_hash=channel.config_hash,
                members=channel.members,
                rule=rule,
                charter=outset.charter,
            ),
            deadline=resolve_deadline(spec, outset.charter, outset.now),
            description=spec.description or None,
        )
    except ContentError as exc:
        return invalid(exc)
    except ValidationError as exc:
        return no(Reason.INVALID_SPEC, describe(exc))
    return Plan(document.canonical(), content, document.content_hash)


def resolve_sequence(spec: ChaincodeProposalSpec, committed: Definition | None) -> int | Verdict:
    """The next sequence of the channel, which is the only one Fabric accepts."""
    name, channel = spec.chaincode.name, spec.channel
    current = 0 if committed is None else committed.sequence
    if committed is None and spec.package.type is PackageType.UNCHANGED:
        message = f"{name} was never deployed on channel {channel}, so there is no package to keep"
        return no(Reason.INVALID_SPEC, f"package.type unchanged: {message}; give the first package")
    wanted = spec.chaincode.sequence
    if wanted in (None, current + 1):
        return current + 1
    if committed is None:
        message = f"{name} was never deployed on channel {channel}, so its first sequence is 1, not {wanted}"
    else:
        message = (
            f"{name} is at sequence {current} on channel {channel}, so the next one is {current + 1}, not {wanted}"
        )
    return no(Reason.SEQUENCE_CONFLICT, f"{message}; leave chaincode.sequence out, or propose anew with that one")


def resolve_deadline(spec: ProposalSpec, charter: Charter, now: datetime) -> datetime:
    """When voting ends, in whole seconds; raises ContentError for a period longer than the charter's."""
    longest = timedelta(seconds=charter.voting_period.max)
    period = spec.voting_period or timedelta(seconds=charter.voting_period.default)
    if period > longest:
        raise ContentError(f"votingPeriod: the charter allows {format_duration(longest)} at most; shorten it")
    return (now + period).replace(microsecond=0)
