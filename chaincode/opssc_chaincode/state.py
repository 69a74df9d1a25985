"""The contract's keys, and reading and writing documents under them through the stub."""

from dataclasses import dataclass
from typing import TypeVar

from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fact import Closing, Facts, Report, Step, Vote
from opssc_chaincode.model.fields import MspID, ProposalID
from opssc_chaincode.model.proposal import Proposal
from opssc_chaincode.shim.errors import InvalidKeyError
from opssc_chaincode.shim.keys import composite_key, composite_range, split_composite_key
from opssc_chaincode.shim.stub import KeyValue, Stub

_PROPOSAL = "proposal"
_VOTE = "vote"
_CLOSING = "closing"
_REPORT = "report"
_TYPES = frozenset({_PROPOSAL, _VOTE, _CLOSING, _REPORT})
_LAST = "\U0010ffff"

_D = TypeVar("_D", bound=Document)


@dataclass(frozen=True, slots=True, order=True)
class ProposalKey:
    """A proposal's name in two parts, which stand in every key."""

    creator: MspID
    id: ProposalID

    @property
    def proposal(self) -> str:
        """Key of the proposal."""
        return composite_key(_PROPOSAL, self.creator, self.id)

    @property
    def closing(self) -> str:
        """Key of the closing."""
        return composite_key(_CLOSING, self.creator, self.id)

    def vote(self, msp_id: MspID) -> str:
        """Key of an organization's vote."""
        return composite_key(_VOTE, self.creator, self.id, msp_id)

    def report(self, msp_id: MspID, step: Step) -> str:
        """Key of an organization's report on a step."""
        return composite_key(_REPORT, self.creator, self.id, msp_id, step)


def proposal_of(key: str) -> ProposalKey | None:
    """Tell from a key of the contract's write set which proposal changed; None for a key that is not of ours."""
    try:
        object_type, attributes = split_composite_key(key)
    except InvalidKeyError:
        return None
    if object_type not in _TYPES or len(attributes) < 2:  # noqa: PLR2004 - creator and id
        return None
    return ProposalKey(attributes[0], attributes[1])


async def read(stub: Stub, key: str, document: type[_D]) -> _D | None:
    """Read one stored document, None when there is none; raises DocumentError for bytes the contract never wrote."""
    data = await stub.get_state(key)
    return None if data is None else document.from_state(data)


async def write(stub: Stub, key: str, document: Document) -> None:
    """Write one document in its canonical encoding."""
    await stub.put_state(key, document.canonical())


async def read_facts(stub: Stub, proposals: list[Proposal]) -> tuple[Facts, ...]:
    """Read all votes, reports and closings of neighbouring proposals (in key order) with one range query each."""
    if not proposals:
        return ()
    first, last = _key(proposals[0]), _key(proposals[-1])
    votes = await _between(stub, _VOTE, first, last, Vote)
    reports = await _between(stub, _REPORT, first, last, Report)
    closings = await _between(stub, _CLOSING, first, last, Closing)
    return tuple(
        Facts(
            proposal=proposal,
            votes=tuple(votes.get(_key(proposal), ())),
            reports=tuple(reports.get(_key(proposal), ())),
            closing=next(iter(closings.get(_key(proposal), ())), None),
        )
        for proposal in proposals
    )


def proposal_range(creator: MspID | None) -> tuple[str, str]:
    """Give the range of all proposals, or of one organization's."""
    return composite_range(_PROPOSAL) if creator is None else composite_range(_PROPOSAL, creator)


def proposal_from(entry: KeyValue) -> Proposal:
    """Decode a proposal found by a range query."""
    return Proposal.from_state(entry.value)


def _key(proposal: Proposal) -> ProposalKey:
    return ProposalKey(proposal.creator.msp_id, proposal.id)


async def _between(
    stub: Stub, object_type: str, first: ProposalKey, last: ProposalKey, document: type[_D]
) -> dict[ProposalKey, list[_D]]:
    start = composite_key(object_type, first.creator, first.id)
    end = composite_key(object_type, last.creator, last.id) + _LAST
    found: dict[ProposalKey, list[_D]] = {}
    for entry in await stub.get_state_by_range(start, end):
        key = proposal_of(entry.key)
        if key is not None:
            found.setdefault(key, []).append(document.from_state(entry.value))
    return found
