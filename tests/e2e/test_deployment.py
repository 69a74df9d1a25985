"""AC-01: the first deployment of a chaincode, from one applied manifest to a usable chaincode everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e import oracle

if TYPE_CHECKING:
    from e2e.scenario import Scenario


async def test_one_manifest_becomes_a_usable_chaincode_in_every_organization(scenario: Scenario) -> None:
    # When: proposed in the first organization, agreed to in the second
    await scenario.deploy()

    # Then: every peer shows it, it works across organizations, and nothing was done twice
    await oracle.assert_definition_everywhere(scenario)
    await oracle.assert_carried_out(scenario)
    await oracle.assert_decided_and_committed_once(scenario, voters={"Org1MSP", "Org2MSP"})
    await oracle.assert_usable(scenario)
    record = await oracle.read_record(scenario)
    # An approval that nobody waits for may reach the orderer beside the commit, which is then made again.
    lost = {attempt.validation_code for attempt in record.attempts if not attempt.valid}
    assert lost <= {"MVCC_READ_CONFLICT"}
