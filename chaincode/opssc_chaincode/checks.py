"""Who may call, and what must hold between the parts of a call. Nothing is read from the state here."""

from datetime import datetime, timedelta

from opssc_chaincode import configsignature
from opssc_chaincode.errors import Code, RefusedError
from opssc_chaincode.identity import Caller, parse_creator
from opssc_chaincode.model import fact
from opssc_chaincode.model.channel import ChannelContent, Recipe
from opssc_chaincode.model.charter import Charter, Role
from opssc_chaincode.model.fact import Cause, Evidence, Outcome, Step
from opssc_chaincode.model.fields import format_time
from opssc_chaincode.model.proposal import Proposal, ProposalDocument, Snapshot
from opssc_chaincode.model.rule import Rule, majority
from opssc_chaincode.shim.stub import Stub


def voter(stub: Stub, proposal: ProposalDocument) -> Caller:
    """Identify the caller as a member with the charter's `vote` role; raises RefusedError(FORBIDDEN)."""
    caller, role = _member(stub, proposal), proposal.snapshot.charter.roles.vote
    if not caller.may_vote(role):
        raise _lacks(role, "voter")
    return caller


def reporter(stub: Stub, proposal: ProposalDocument) -> Caller:
    """Identify the caller as a member with the charter's `report` role; raises RefusedError(FORBIDDEN)."""
    caller, role = _member(stub, proposal), proposal.snapshot.charter.roles.report
    if not caller.may_report(role):
        raise _lacks(role, "agent")
    return caller


def kind(given: ProposalDocument, governance_channel: str) -> None:
    """Refuse as INVALID a content that its snapshot does not fit."""
    snapshot, content = given.snapshot, given.content
    if isinstance(content, ChannelContent) and content.create is not None:
        _new_channel(snapshot, content, content.create, governance_channel)
        return
    if not isinstance(content, Charter):
        if content.channel != snapshot.channel:
            raise RefusedError(
                Code.INVALID, f"content.channel is {content.channel}, but the snapshot is of {snapshot.channel}"
            )
        return
    if snapshot.channel != governance_channel:
        raise RefusedError(Code.INVALID, f"the snapshot of a charter is of {governance_channel}")
    if snapshot.rule != majority(snapshot.members):
        raise RefusedError(Code.INVALID, "the rule of a charter is floor(N/2)+1 of all members, in their order")
    if (content.version, content.previous) != (snapshot.charter.version + 1, snapshot.charter.proposal):
        raise RefusedError(Code.INVALID, "content.version and content.previous must follow the snapshot's charter")


def _new_channel(snapshot: Snapshot, content: ChannelContent, recipe: Recipe, governance_channel: str) -> None:
    """The snapshot of a new channel is of the governance channel, its members are those to be, and all must agree."""
    if snapshot.channel != governance_channel:
        raise RefusedError(Code.INVALID, f"the snapshot of a new channel is of {governance_channel}")
    if content.channel == governance_channel:
        raise RefusedError(Code.INVALID, f"content.channel is {governance_channel}, which exists")
    if snapshot.members != recipe.organizations:
        raise RefusedError(Code.INVALID, "snapshot.members must be the organizations of content.create")
    if snapshot.rule != Rule(n=len(snapshot.members), of=snapshot.members):
        raise RefusedError(Code.INVALID, "the rule of a new channel is all of its members, in their order")


def signature(stub: Stub, proposal: Proposal, evidence: Evidence | None) -> None:
    """Refuse as BAD_SIGNATURE a config signature that the caller did not make over the proposal's update."""
    content = proposal.content
    if not isinstance(content, ChannelContent) or content.config_update is None:
        raise RefusedError(Code.INVALID, f"{proposal.name} has no config update to sign")
    if evidence is not None and evidence.config_signature is not None:
        configsignature.check(evidence.config_signature, stub.creator, content.update_bytes)


def deadline(given: ProposalDocument, now: datetime) -> None:
    """Refuse as INVALID a deadline outside the charter's voting period."""
    longest = timedelta(seconds=given.snapshot.charter.voting_period.max)
    # By subtraction: a deadline may be the last second of year 9999.
    if not timedelta(0) < given.deadline - now <= longest:
        raise RefusedError(
            Code.INVALID,
            f"deadline must be after {format_time(now)} and at most {int(longest.total_seconds())} s later",
        )


def cause(stub: Stub, proposal: Proposal, caller: Caller, cause: Cause) -> None:
    """Refuse as FORBIDDEN a withdrawal by another than the creator, and an expiry before its time."""
    if cause is Cause.WITHDRAWN and caller.msp_id != proposal.creator.msp_id:
        raise RefusedError(Code.FORBIDDEN, f"only {proposal.creator.msp_id} may withdraw {proposal.name}")
    skew = proposal.snapshot.charter.max_clock_skew
    if cause is Cause.EXPIRED and stub.timestamp - proposal.deadline <= skew:
        raise RefusedError(
            Code.FORBIDDEN,
            f"{proposal.name} expires {int(skew.total_seconds())} s after {format_time(proposal.deadline)}",
        )


def evidence(step: Step, outcome: Outcome, evidence: Evidence | None) -> None:
    """Refuse as INVALID evidence that is not that of the step."""
    try:
        fact.check_evidence(step, outcome, evidence)
    except ValueError as exc:
        raise RefusedError(Code.INVALID, f"evidence: {exc}") from exc


def _member(stub: Stub, proposal: ProposalDocument) -> Caller:
    caller = parse_creator(stub.creator)
    if caller.msp_id not in proposal.snapshot.members:
        raise RefusedError(Code.FORBIDDEN, f"{caller.msp_id} is not among the proposal's members")
    return caller


def _lacks(role: Role, attribute: str) -> RefusedError:
    text = f"the caller's certificate needs OU {role} or the attribute opssc.role={attribute}"
    return RefusedError(Code.FORBIDDEN, text)
