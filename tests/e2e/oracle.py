"""What must be true on the ledger and on every peer, asked with the organizations' own identities, not of operators."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_admin.definition import Definition, channel_policy_parameter
from fabric_admin.errors import GatewayError
from opssc_tools.environment.readback import commits_of, facts_of

if TYPE_CHECKING:
    from e2e.scenario import Scenario

    from fabric_admin.blocks import TransactionView
    from fabric_admin.gateway import Submitted
    from opssc_tools.environment import Member
    from opssc_tools.environment.readback import PeerReader

GOVERNANCE = "ops-channel"
GOSSIP_SECONDS = 60.0
NOT_KNOWN_YET = ("not installed on sufficient peers", "no combination of peers can be derived")
"""What a Gateway says while the peers it needs have not told it of the chaincode, or of themselves, lately."""
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """What the blocks hold of one proposal: facts of it, and the transactions that commit its definition."""

    proposals: int
    votes: tuple[str, ...]
    commits: tuple[TransactionView, ...]
    attempts: tuple[TransactionView, ...]


async def read_record(scenario: Scenario, *, sequence: int = 1) -> LedgerRecord:
    """Count from the blocks of the creator's peer; `attempts` are commits valid or not."""
    reader = scenario.creator.reader
    facts = facts_of(await reader.transactions(GOVERNANCE), scenario.ref.creator, scenario.ref.id)
    found = await reader.transactions(scenario.channel)
    return LedgerRecord(
        proposals=facts.count("proposal"),
        votes=tuple(sorted(fact.removeprefix("vote ") for fact in facts if fact.startswith("vote "))),
        commits=tuple(commits_of(found, scenario.chaincode, sequence)),
        attempts=tuple(commits_of(found, scenario.chaincode, sequence, valid_only=False)),
    )


def expected_definition(scenario: Scenario, *, version: str = "1.0", sequence: int = 1) -> Definition:
    """The definition the scenario's manifest asks for."""
    return Definition(
        name=scenario.chaincode,
        version=version,
        sequence=sequence,
        validation_parameter=channel_policy_parameter("/Channel/Application/Endorsement"),
    )


async def assert_definition_everywhere(scenario: Scenario, *, sequence: int = 1) -> None:
    """Every peer of every member shows exactly the proposed definition."""
    wanted = expected_definition(scenario, sequence=sequence)
    for member in scenario.members:
        for reader in member.readers:
            assert await reader.definition(scenario.channel, scenario.chaincode) == wanted, reader.name


async def assert_carried_out(scenario: Scenario, *members: Member) -> None:
    """The members' peers have the package, and their organizations approved the definition with it."""
    for member in members or scenario.members:
        for reader in member.readers:
            assert scenario.package.package_id in await reader.installed(), reader.name
            approved = await reader.lifecycle.query_approved(scenario.channel, scenario.chaincode, 1)
            assert approved is not None, reader.name
            assert (approved.definition, approved.package_id) == (
                expected_definition(scenario),
                scenario.package.package_id,
            )


async def assert_decided_and_committed_once(scenario: Scenario, *, voters: set[str]) -> None:
    """One proposal, one vote of each voter (the proposal is the proposer's), one commit."""
    record = await read_record(scenario)
    assert record.proposals == 1
    assert set(record.votes) == voters
    assert len(record.votes) == len(voters)
    assert len(record.commits) == 1


async def assert_usable(scenario: Scenario) -> None:
    """A value set through the first organization is read through the last one."""
    first, last = scenario.members[0].reader, scenario.members[-1].reader
    submitted = await submit_once_known(first, scenario, "Set", "colour", "blue")
    await last.gateway.commit_status(scenario.channel, submitted.transaction_id)
    assert await last.evaluate(scenario.channel, scenario.chaincode, "Get", "colour") == b"blue"


async def submit_once_known(
    reader: PeerReader, scenario: Scenario, *arguments: str, is_init: bool = False
) -> Submitted:
    """Submit as soon as the peers have told each other what they run, which they do by gossip in their own time."""
    async with asyncio.timeout(GOSSIP_SECONDS):
        while True:
            try:
                given = [argument.encode() for argument in arguments]
                return await reader.gateway.submit(scenario.channel, scenario.chaincode, given, is_init=is_init)
            except GatewayError as exc:
                if not any(phrase in str(exc) for phrase in NOT_KNOWN_YET):
                    raise
                await asyncio.sleep(POLL_SECONDS)


async def assert_nothing_done(scenario: Scenario) -> None:
    """No peer of any organization has the package, an approval or a definition."""
    for member in scenario.consortium.members:
        for reader in member.readers:
            assert scenario.package.package_id not in await reader.installed(), reader.name
    for member in scenario.members:
        for reader in member.readers:
            assert await reader.definition(scenario.channel, scenario.chaincode) is None, reader.name
            assert await reader.lifecycle.query_approved(scenario.channel, scenario.chaincode) is None, reader.name
