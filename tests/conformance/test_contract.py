"""The contract on a network: real proposals, endorsements, blocks and MVCC, one chaincode server per organization."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from unit.chaincode.strategies import chaincode_content, document

from fabric_admin.blocks import transactions
from fabric_admin.errors import GatewayError
from fabric_admin.gateway import Gateway
from fabric_admin.lifecycle import Definition, Lifecycle
from fabric_admin.package import build_ccaas
from fabric_admin.system import System
from fabric_admin.transport import Connection
from fabric_devnet.network import Network, Organization
from fabric_devnet.spec import BackendName, NetworkSpec
from opssc_chaincode.contract import OpsscChaincode
from opssc_chaincode.model import Facts, FactsPage, Proposal, ProposalDocument
from opssc_chaincode.ranking import LedgerPosition
from opssc_chaincode.shim.server import Server
from opssc_chaincode.state import ProposalKey, proposal_of
from opssc_chaincode.tally import Phase, derive

CHANNEL = "ops-channel"
NAME = "opssc"
pytestmark = pytest.mark.asyncio(loop_scope="session")
ORGANIZATIONS = 7
DEADLINE_SECONDS = 30.0


def now() -> datetime:
    return datetime.now(UTC)


class Member:
    """One organization's gateway to the contract, as its administrator."""

    def __init__(self, organization: Organization, connection: Connection) -> None:
        self.msp_id = organization.msp_id
        self.lifecycle = Lifecycle(connection, organization.admin)
        self.system = System(connection, organization.admin)
        self._gateway = Gateway(connection, organization.admin)

    async def submit(self, *args: str | bytes) -> bytes:
        return (await self._gateway.submit(CHANNEL, NAME, encoded(*args))).payload

    async def evaluate(self, *args: str | bytes) -> bytes:
        return await self._gateway.evaluate(CHANNEL, NAME, encoded(*args), target_organizations=(self.msp_id,))

    async def caught_up(self, height: int) -> None:
        """Wait until the own peer has all blocks below `height`."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await self.system.chain_info(CHANNEL)).height < height:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    async def usable(self) -> None:
        """Wait until the own gateway has heard by gossip which peers run the contract."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                try:
                    await self._gateway.endorse(CHANNEL, NAME, [b"GetInfo"])
                except GatewayError as unready:
                    if unready.code != "FAILED_PRECONDITION":
                        raise
                    await asyncio.sleep(0.1)
                else:
                    return


def encoded(*args: str | bytes) -> list[bytes]:
    return [arg.encode() if isinstance(arg, str) else arg for arg in args]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def members(
    backend: BackendName, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, Member]]:
    """A network on which every organization runs, approved and committed the contract."""
    package = build_ccaas("opssc-1", "{{.chaincode_host}}:9998")
    directory = tmp_path_factory.mktemp(f"contract-{backend}")
    spec = NetworkSpec(directory=directory, organizations=ORGANIZATIONS, backend=backend)
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(Network.start(spec))
        everyone = {}
        for msp_id, organization in network.organizations.items():
            connection = await stack.enter_async_context(Connection(organization.peers[0].endpoint))
            everyone[msp_id] = Member(organization, connection)
        package_ids = await asyncio.gather(*(member.lifecycle.install(package) for member in everyone.values()))
        for organization in network.organizations.values():
            address = f"{organization.chaincode_host}:9998"
            server = Server(OpsscChaincode(now), address=address, package_id=package_ids[0])
            await stack.enter_async_context(server)
        definition = Definition(name=NAME, version="1.0", sequence=1)
        await asyncio.gather(
            *(member.lifecycle.approve(CHANNEL, definition, package_ids[0]) for member in everyone.values())
        )
        await next(iter(everyone.values())).lifecycle.commit(CHANNEL, definition)
        await level(everyone)
        await asyncio.gather(*(member.usable() for member in everyone.values()))
        yield everyone


def given(msp_ids: tuple[str, ...], proposal_id: str) -> ProposalDocument:
    deadline = now().replace(microsecond=0) + timedelta(days=1)
    return document(msp_ids, proposal_id=proposal_id, content=chaincode_content(), deadline=deadline)


async def level(members: Mapping[str, Member]) -> int:
    """Wait until every peer has all blocks that any of them has now, and give their height."""
    infos = await asyncio.gather(*(member.system.chain_info(CHANNEL) for member in members.values()))
    height = max(info.height for info in infos)
    await asyncio.gather(*(member.caught_up(height) for member in members.values()))
    return height


async def facts(member: Member, of: Proposal) -> Facts:
    return Facts.parse(await member.evaluate("GetProposal", of.creator.msp_id, of.id))


async def test_all_organizations_vote_at_once_and_every_peer_derives_the_same(members: Mapping[str, Member]) -> None:
    # Given a proposal of the first organization
    names = tuple(sorted(members))
    first = members[names[0]]
    of = Proposal.parse(await first.submit("Propose", given(names, "voted").canonical()))

    # and every peer that may endorse has it
    await level(members)

    # When all others vote at the same moment
    votes = [members[name].submit("Vote", names[0], of.id, of.hash, "Agree") for name in names[1:]]
    await asyncio.gather(*votes)

    # Then every vote counts, on every organization's own peer, and none needed a second try
    height = await level(members)
    seen = await asyncio.gather(*(facts(member, of) for member in members.values()))
    assert len({known.canonical() for known in seen}) == 1
    tally = derive(seen[0], now())
    assert (tally.phase, tally.agreed) == (Phase.ACCEPTED, names)

    # And the blocks say which proposal changed, and which vote decided
    order = {}
    for number in range(height):
        block = await first.system.block_by_number(CHANNEL, number)
        for position, transaction in enumerate(transactions(block)):
            written = {proposal_of(write.key) for write in transaction.writes if write.namespace == NAME}
            if written == {ProposalKey(names[0], of.id)}:
                assert transaction.validation_code == "VALID"
                order[transaction.tx_id] = LedgerPosition(number, position)
    assert len(order) == len(names)
    deciding = derive(seen[0], now(), order).deciding
    assert deciding is not None
    assert sum(position <= deciding.position for position in order.values()) == len(names) // 2 + 1


async def test_refusals_reach_the_caller_with_their_code(members: Mapping[str, Member]) -> None:
    names = tuple(sorted(members))
    of = Proposal.parse(await members[names[0]].submit("Propose", given(names, "refused").canonical()))
    await level(members)

    with pytest.raises(GatewayError) as refused:
        await members[names[1]].submit("Vote", names[0], of.id, "0" * 64, "Agree")

    assert any("chaincode response 409, HASH_MISMATCH: " in detail.message for detail in refused.value.details)


async def test_a_list_is_read_page_by_page(members: Mapping[str, Member]) -> None:
    names = tuple(sorted(members))
    await asyncio.gather(
        *(
            members[name].submit("Propose", given(names, f"p-{number}").canonical())
            for name in names
            for number in (1, 2)
        )
    )

    reader = members[names[-1]]
    await level(members)
    found: list[str] = []
    bookmark = ""
    while True:
        answer = await reader.evaluate("ListProposals", "{}", "3", bookmark)
        page = FactsPage.from_state(answer)
        found += [known.proposal.name for known in page.proposals if known.proposal.id.startswith("p-")]
        bookmark = page.bookmark
        if not bookmark:
            break

    assert found == [f"{name}/p-{number}" for name in names for number in (1, 2)]
