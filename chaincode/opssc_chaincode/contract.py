"""The contract: one coroutine per transaction over the `Stub` port. No gRPC, no clock but the one it is given.

Every call gives the same bytes and the same writes on every peer; the clock only ever refuses.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from opssc_chaincode import arguments, canonical, checks, queries, state
from opssc_chaincode.errors import Code, RefusedError
from opssc_chaincode.identity import Caller
from opssc_chaincode.model.charter import Charter
from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fact import (
    STEPS,
    Cause,
    Closing,
    Decision,
    Evidence,
    Facts,
    Outcome,
    Report,
    Step,
    Vote,
)
from opssc_chaincode.model.fields import format_time
from opssc_chaincode.model.proposal import Creator, Proposal, ProposalDocument
from opssc_chaincode.shim.stub import Response, Stub
from opssc_chaincode.state import ProposalKey
from opssc_chaincode.tally import Phase, derive

EVENT = "opssc.changed"

_Function = Callable[[Stub, Sequence[bytes]], Awaitable[Document]]


class OpsscChaincode:
    """The contract as a chaincode; `clock` gives the endorser's own time in UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._functions: dict[bytes, _Function] = {
            b"Propose": self._propose,
            b"Vote": self._vote,
            b"Close": self._close,
            b"Report": self._report,
            b"GetProposal": queries.get_proposal,
            b"ListProposals": queries.list_proposals,
            b"GetInfo": queries.get_info,
        }

    async def invoke(self, stub: Stub) -> Response:
        """Carry out one transaction; a refusal has status 400 to 409 and the message `CODE: text`."""
        try:
            function = self._functions.get(stub.args[0] if stub.args else b"")
            if function is None:
                names = ", ".join(name.decode() for name in self._functions)
                raise RefusedError(Code.INVALID, f"the function is one of {names}")
            answer = await function(stub, stub.args[1:])
        except RefusedError as exc:
            return Response(exc.code.status, str(exc))
        return Response(payload=answer.canonical())

    async def _propose(self, stub: Stub, args: Sequence[bytes]) -> Document:
        arguments.texts(args, "document")
        given = arguments.document("document", args[0], ProposalDocument)
        self._check_clock(stub, given.snapshot.charter)
        caller = checks.voter(stub, given)
        checks.kind(given, stub.channel)
        key = ProposalKey(caller.msp_id, given.id)
        stored = await state.read(stub, key.proposal, Proposal)
        if stored is not None:
            if stored.same_meaning(given):
                return stored
            raise RefusedError(Code.CONFLICT, f"{stored.name} exists with other kind or content: choose another id")
        now = _time(stub)
        checks.deadline(given, now)
        proposal = Proposal(
            **{name: getattr(given, name) for name in ProposalDocument.model_fields},
            creator=Creator(msp_id=caller.msp_id, subject=caller.subject),
            created_time=now,
            tx_id=stub.transaction_id,
            hash=given.content_hash,
        )
        await state.write(stub, key.proposal, proposal)
        await state.write(stub, key.vote(caller.msp_id), _vote_of(stub, caller, proposal, Decision.AGREE, None))
        _emit(stub, key)
        return proposal

    async def _vote(self, stub: Stub, args: Sequence[bytes]) -> Document:
        creator, proposal_id, given_hash, decided, said = arguments.texts(
            args, "creator id contentHash decision [reason]"
        )
        key = arguments.proposal_key(creator, proposal_id)
        content_hash = arguments.content_hash(given_hash)
        decision = arguments.choice("decision", decided, Decision)
        reason = arguments.reason(said)
        proposal = await self._existing(stub, key)
        caller = checks.voter(stub, proposal)
        if content_hash != proposal.hash:
            raise RefusedError(Code.HASH_MISMATCH, f"contentHash of {proposal.name} is {proposal.hash}")
        stored = await state.read(stub, key.vote(caller.msp_id), Vote)
        if stored is not None:
            if stored.decision is decision:
                return stored
            raise RefusedError(Code.CONFLICT, f"{caller.msp_id} voted {stored.decision} already, which is final")
        await _check_open(stub, key)
        if stub.timestamp > proposal.deadline:
            raise RefusedError(Code.CLOSED, f"the deadline was {format_time(proposal.deadline)}")
        vote = _vote_of(stub, caller, proposal, decision, reason)
        await state.write(stub, key.vote(caller.msp_id), vote)
        _emit(stub, key)
        return vote

    async def _close(self, stub: Stub, args: Sequence[bytes]) -> Document:
        creator, proposal_id, given_cause, said = arguments.texts(args, "creator id cause [reason]")
        key = arguments.proposal_key(creator, proposal_id)
        cause = arguments.choice("cause", given_cause, Cause)
        reason = arguments.reason(said)
        proposal = await self._existing(stub, key)
        caller = checks.voter(stub, proposal)
        checks.cause(stub, proposal, caller, cause)
        stored = await state.read(stub, key.closing, Closing)
        if stored is not None:
            if stored.cause is cause:
                return stored
            raise RefusedError(Code.CLOSED, f"{proposal.name} is closed already: {stored.cause}")
        phase = derive(await _with_votes(stub, key, proposal), stub.timestamp).phase
        if phase in {Phase.ACCEPTED, Phase.REJECTED}:
            raise RefusedError(Code.CLOSED, f"{proposal.name} is decided by its votes already: {phase}")
        closing = Closing(cause=cause, msp_id=caller.msp_id, reason=reason, time=_time(stub), tx_id=stub.transaction_id)
        await state.write(stub, key.closing, closing)
        _emit(stub, key)
        return closing

    async def _report(self, stub: Stub, args: Sequence[bytes]) -> Document:
        creator, proposal_id, given_step, given_outcome, shown, said = arguments.texts(
            args, "creator id step outcome [evidence] [message]"
        )
        key = arguments.proposal_key(creator, proposal_id)
        step = arguments.choice("step", given_step, Step)
        outcome = arguments.choice("outcome", given_outcome, Outcome)
        evidence = arguments.document("evidence", shown.encode(), Evidence) if shown else None
        message = arguments.reason(said, "message")
        checks.evidence(step, outcome, evidence)
        proposal = await self._existing(stub, key)
        # A config signature is as good as an approval: it takes who may vote.
        caller = checks.voter(stub, proposal) if step is Step.SIGNED else checks.reporter(stub, proposal)
        if step not in STEPS[proposal.kind]:
            raise RefusedError(Code.INVALID, f"kind {proposal.kind} has no step {step}")
        if step is Step.SIGNED:
            checks.signature(stub, proposal, evidence)
        await _check_open(stub, key)
        stored = await state.read(stub, key.report(caller.msp_id, step), Report)
        if stored is not None and _says_nothing_new(stored, outcome, evidence, message):
            return stored
        report = Report(
            msp_id=caller.msp_id,
            step=step,
            outcome=outcome,
            evidence=evidence,
            message=message,
            time=_time(stub),
            tx_id=stub.transaction_id,
            attempt=1 if stored is None else stored.attempt + 1,
        )
        await state.write(stub, key.report(caller.msp_id, step), report)
        _emit(stub, key)
        return report

    async def _existing(self, stub: Stub, key: ProposalKey) -> Proposal:
        proposal = await queries.find(stub, key)
        self._check_clock(stub, proposal.snapshot.charter)
        return proposal

    def _check_clock(self, stub: Stub, charter: Charter) -> None:
        difference = abs(stub.timestamp - self._clock())
        if difference > charter.max_clock_skew:
            raise RefusedError(
                Code.CLOCK_SKEW,
                f"the transaction's time differs from this endorser's clock by more than "
                f"{charter.max_clock_skew_seconds} s: set the caller's clock",
            )


async def _check_open(stub: Stub, key: ProposalKey) -> None:
    closing = await state.read(stub, key.closing, Closing)
    if closing is not None:
        raise RefusedError(Code.CLOSED, f"{key.creator}/{key.id} is closed: {closing.cause}")


async def _with_votes(stub: Stub, key: ProposalKey, proposal: Proposal) -> Facts:
    """Read every member's vote key, absent ones too: a vote and a closing in one block invalidate each other."""
    votes = [await state.read(stub, key.vote(msp_id), Vote) for msp_id in proposal.snapshot.members]
    return Facts(proposal=proposal, votes=tuple(vote for vote in votes if vote is not None))


def _says_nothing_new(stored: Report, outcome: Outcome, evidence: Evidence | None, message: str | None) -> bool:
    """A failure is counted each time; what is done or skipped is said once, so that a retry is safe."""
    return outcome is not Outcome.FAILED and (stored.outcome, stored.evidence, stored.message) == (
        outcome,
        evidence,
        message,
    )


def _vote_of(stub: Stub, caller: Caller, proposal: Proposal, decision: Decision, reason: str | None) -> Vote:
    return Vote(
        msp_id=caller.msp_id,
        decision=decision,
        reason=reason,
        content_hash=proposal.hash,
        time=_time(stub),
        tx_id=stub.transaction_id,
        subject=caller.subject,
    )


def _time(stub: Stub) -> datetime:
    """Give the transaction's time in whole seconds, the same on every endorser."""
    return stub.timestamp.replace(microsecond=0)


def _emit(stub: Stub, key: ProposalKey) -> None:
    stub.set_event(EVENT, canonical.dumps({"creator": key.creator, "id": key.id}))
