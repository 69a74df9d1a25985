"""What a local manifest would put on the ledger: sequence, package, snapshot and deadline resolved. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from fabric_admin.definition import Definition
from opssc_chaincode.model import DEFAULT_CHARTER, SCHEMA, Content, Kind, ProposalDocument, Rule, Snapshot
from opssc_chaincode.model.document import describe
from opssc_operator.api.chaincode_proposal import ChaincodeProposalSpec
from opssc_operator.api.conditions import Reason
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


@dataclass(frozen=True, slots=True)
class Preview:
    """What a manifest would propose, shown and not sent: the kind's own ``review``, and a word on it."""

    review: object
    message: str


@dataclass(frozen=True, slots=True)
class PlanningObserved:
    """What planning needs: the target channel and the committed definition, both from the own peer.

    ``fetched`` is the package of a source that has to be fetched, or why there is none (yet).
    """

    own_msp_id: str
    proposal_id: str
    spec: ChaincodeProposalSpec
    channel: ChannelView
    committed: Definition | None
    now: datetime
    fetched: BuiltPackage | Verdict | None = None


def plan_proposal(observed: PlanningObserved) -> Plan | Verdict:
    """The document for a manifest, or why there can be none."""
    channel, spec = observed.channel, observed.spec
    if observed.own_msp_id not in channel.members:
        message = f"{observed.own_msp_id} is not a member of channel {channel.channel}, so it cannot propose there"
        return no(Reason.NOT_A_MEMBER, message)
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
    channel, spec = observed.channel, observed.spec
    try:
        content = build_content(spec, sequence, fetched)
        document = ProposalDocument(
            schema_version=SCHEMA,
            id=observed.proposal_id,
            kind=Kind.CHAINCODE,
            content=content,
            snapshot=Snapshot(
                channel=channel.channel,
                config_block=channel.config_block,
                config_sequence=channel.config_sequence,
                config_hash=channel.config_hash,
                members=channel.members,
                rule=rule,
                charter=DEFAULT_CHARTER,
            ),
            deadline=resolve_deadline(spec, observed.now),
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


def resolve_deadline(spec: ProposalSpec, now: datetime) -> datetime:
    """When voting ends, in whole seconds; raises ContentError for a period longer than the charter's."""
    longest = timedelta(seconds=DEFAULT_CHARTER.voting_period.max)
    period = spec.voting_period or timedelta(seconds=DEFAULT_CHARTER.voting_period.default)
    if period > longest:
        hours = int(longest.total_seconds()) // 3600
        raise ContentError(f"votingPeriod: the charter allows {hours}h at most; shorten it")
    return (now + period).replace(microsecond=0)
