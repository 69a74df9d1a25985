"""AC-16 and AC-17: many proposals at once, and several accepted ones for one sequence."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from e2e import oracle

from fabric_admin.package import build_k8s, package_id
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_tools.environment.objects import condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.scenario import Scenario

    from opssc_tools.environment.objects import Change

AT_ONCE = ("mychannel",) * 4 + ("pair",) * 3 + ("quad",) * 3


async def test_ten_proposals_at_once_on_three_channels_all_complete(new_scenario: Callable[..., Scenario]) -> None:
    # Given: ten chaincodes, each with a package of its own; on each channel one of them has servers
    scenarios = [new_scenario(channel) for channel in AT_ONCE]
    served = [scenarios[AT_ONCE.index(channel)] for channel in dict.fromkeys(AT_ONCE)]
    for scenario in served:
        scenario.serve()

    # When
    await asyncio.gather(*(scenario.propose() for scenario in scenarios))
    await asyncio.gather(*(scenario.agree() for scenario in scenarios))

    # Then
    await asyncio.gather(*(scenario.until_true(ConditionType.READY, seconds=120.0) for scenario in scenarios))
    for scenario in scenarios:
        voters = {member.msp_id for member in scenario.members[: len(scenario.members) // 2 + 1]}
        await oracle.assert_definition_everywhere(scenario)
        await oracle.assert_carried_out(scenario)
        await oracle.assert_decided_and_committed_once(scenario, voters=voters)
    await asyncio.gather(*(oracle.assert_usable(scenario) for scenario in served))
    packages = {scenario.package.package_id: scenario for scenario in scenarios}
    assert len(packages) == len(scenarios)
    for member in scenarios[0].consortium.members:
        for reader in member.readers:
            own = {name for name, scenario in packages.items() if member in scenario.members}
            assert packages.keys() & set(await reader.installed()) == own, reader.name


async def test_of_two_accepted_proposals_for_one_sequence_the_later_is_carried_out_and_nobody_flip_flops(
    new_scenario: Callable[..., Scenario],
) -> None:
    # Given: a package that no peer can build is accepted; it would never be installed
    scenario = new_scenario()
    image = {"name": "ghcr.io/opssc/asset", "digest": scenario.package.digest}
    stuck = replace(scenario, ref=ProposalRef("Org1MSP", f"{scenario.chaincode}-stuck"))
    await stuck.propose(package={"type": "k8s", "k8s": {"label": "asset", "image": image}})
    await stuck.agree()
    await stuck.until(ConditionType.INSTALLED, "False", "ExternalBuilderMissing")
    built = package_id("asset", build_k8s("asset", image["name"], image["digest"]))
    assert {(stuck.seen_by(member) or {})["status"]["packageID"] for member in stuck.members} == {built}
    phases = noted_phases(stuck)

    # When: another one for the same sequence is accepted
    scenario.serve()
    await scenario.propose()
    await scenario.agree()

    # Then: it is carried out everywhere, once; the first one stands aside for good
    await scenario.until_true(ConditionType.READY)
    await stuck.until(ConditionType.READY, "False", "Superseded", seconds=60.0)
    await stuck.until(ConditionType.STALLED, "True", "Superseded")
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_carried_out(scenario)
    record = await oracle.read_record(scenario)
    assert len(record.commits) == 1
    await oracle.assert_usable(scenario)
    told = condition(stuck.seen_by(stuck.creator), ConditionType.READY)["message"]
    assert told == f"{scenario.ref} was accepted later for the same sequence"
    for member in stuck.members:
        assert changes(phases[member.msp_id]) in ([], ["Superseded"]), phases


async def test_a_sequence_taken_meanwhile_is_said_and_no_peer_is_changed(
    new_scenario: Callable[..., Scenario],
) -> None:
    # Given: two proposals for sequence 1, of which one is carried out
    scenario = new_scenario()
    late = replace(scenario, ref=ProposalRef("Org1MSP", f"{scenario.chaincode}-late"), package=new_scenario().package)
    await late.propose(chaincode={"name": scenario.chaincode, "version": "9.9"})
    await scenario.deploy()

    # When: the other one is accepted afterwards
    await late.agree()

    # Then
    await late.until(ConditionType.STALLED, "True", "SequenceConflict")
    told = condition(late.seen_by(late.creator), ConditionType.READY)["message"]
    assert told.startswith(f"sequence 1 of {scenario.chaincode} was committed with other version; propose again")
    await oracle.assert_definition_everywhere(scenario)
    for member in late.members:
        assert late.package.package_id not in await member.reader.installed()


def noted_phases(scenario: Scenario) -> dict[str, list[str]]:
    """Every phase that objects of the proposal go through from now on, by MSP ID."""
    noted: dict[str, list[str]] = {member.msp_id: [] for member in scenario.members}

    def listener(msp_id: str) -> Any:
        def note(change: Change) -> None:
            if change.kind is Kind.CHAINCODE_PROPOSAL and change.name.startswith(scenario.ref.id):
                noted[msp_id].append((change.body or {}).get("status", {}).get("phase", ""))

        return note

    for member in scenario.members:
        member.objects.listen(listener(member.msp_id))
    return noted


def changes(phases: list[str]) -> list[str]:
    """The phases after Accepted, each once in a row."""
    told = [phase for number, phase in enumerate(phases) if number == 0 or phases[number - 1] != phase]
    return [phase for phase in told if phase != "Accepted"] if told[:1] == ["Accepted"] else told
