"""The contract's reading functions: facts as they are stored, nothing derived."""

from collections.abc import Sequence

from opssc_chaincode import arguments, state
from opssc_chaincode.errors import Code, RefusedError
from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fact import STEPS, FactsPage, Info, ListFilter
from opssc_chaincode.model.proposal import SCHEMA, Proposal
from opssc_chaincode.shim.stub import Stub
from opssc_chaincode.state import ProposalKey

VERSION = "1.0.0"
MAX_PAGE_SIZE = 100
_MAX_PAGE_BYTES = 8 * 1024 * 1024


async def get_proposal(stub: Stub, args: Sequence[bytes]) -> Document:
    """Answer `GetProposal(creator, id)` with all facts of one proposal."""
    creator, proposal_id = arguments.texts(args, "creator id")
    proposal = await find(stub, arguments.proposal_key(creator, proposal_id))
    (facts,) = await state.read_facts(stub, [proposal])
    return facts


async def list_proposals(stub: Stub, args: Sequence[bytes]) -> Document:
    """Answer `ListProposals(filter, pageSize, bookmark)` with a page of proposals and their facts."""
    given_filter, given_size, bookmark = arguments.texts(args, "filter pageSize [bookmark]")
    wanted = arguments.document("filter", given_filter.encode(), ListFilter)
    size = arguments.number("pageSize", given_size, at_most=MAX_PAGE_SIZE)
    start, end = state.proposal_range(wanted.creator)
    if bookmark:
        creator, _, proposal_id = bookmark.partition("/")
        first = arguments.proposal_key(creator, proposal_id).proposal
        if not start <= first < end:
            raise RefusedError(Code.INVALID, "bookmark belongs to another filter")
        start = first
    page = await stub.get_state_page(start, end, page_size=size)
    following = page.bookmark
    proposals: list[Proposal] = []
    total = 0
    for entry in page.items:
        total += len(entry.value)
        # A page of hostile, large proposals must not become too large for a message; one is always given.
        if total > _MAX_PAGE_BYTES and entry is not page.items[0]:
            following = entry.key
            break
        proposal = state.proposal_from(entry)
        if _matches(proposal, wanted):
            proposals.append(proposal)
    following_key = state.proposal_of(following)
    return FactsPage(
        proposals=await state.read_facts(stub, proposals),
        bookmark="" if following_key is None else f"{following_key.creator}/{following_key.id}",
    )


async def get_info(_stub: Stub, args: Sequence[bytes]) -> Document:
    """Answer `GetInfo()`."""
    arguments.texts(args, "")
    return Info(version=VERSION, schema_version=SCHEMA, kinds=tuple(sorted(STEPS)))


async def find(stub: Stub, key: ProposalKey) -> Proposal:
    """Read a proposal; raises RefusedError(NOT_FOUND)."""
    proposal = await state.read(stub, key.proposal, Proposal)
    if proposal is None:
        raise RefusedError(Code.NOT_FOUND, f"there is no proposal {key.creator}/{key.id}")
    return proposal


def _matches(proposal: Proposal, wanted: ListFilter) -> bool:
    return wanted.kind in {None, proposal.kind} and wanted.channel in {None, proposal.snapshot.channel}
