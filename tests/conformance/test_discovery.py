"""Discovery through the library: row 67 of the checklist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conformance.consortium import eventually

from fabric_admin.discovery import Discovery
from fabric_admin.errors import RequestRefused
from fabric_admin.identity import SigningIdentity

if TYPE_CHECKING:
    from component.rawdeployment import RawDeployment
    from conformance.consortium import Consortium

pytestmark = pytest.mark.asyncio(loop_scope="session")
MEMBERS = {"Org1MSP", "Org2MSP", "Org3MSP"}


async def test_a_member_learns_config_peers_and_endorsers(consortium: Consortium, raw: RawDeployment) -> None:  # 67
    discovery = Discovery(consortium.first.connection, consortium.first.organization.client)

    config = await discovery.config(consortium.channel)
    assert set(config.msps) == {*MEMBERS, "OrdererMSP"}
    assert config.orderers == {"OrdererMSP": (consortium.network.orderers[0].address,)}

    async def announced() -> bool:
        peers = await discovery.peers(consortium.channel)
        return {each.msp_id for each in peers if each.chaincodes.get(raw.name) == "1"} == MEMBERS

    await eventually(announced)
    peers = await discovery.peers(consortium.channel)
    addresses = {member.msp_id: member.organization.peers[0].address for member in consortium.members}
    assert {each.msp_id: each.address for each in peers} == addresses
    assert all(each.ledger_height > 1 for each in peers)

    plan = await discovery.endorsers(consortium.channel, [raw.name])
    assert plan.chaincode == raw.name
    assert {peer.msp_id for group in plan.groups.values() for peer in group} == MEMBERS
    assert sorted(sum(layout.values()) for layout in plan.layouts) == [2, 2, 2]
    local = await Discovery(consortium.first.connection, consortium.first.organization.admin).local_peers()
    assert {each.msp_id for each in local} == MEMBERS


async def test_who_may_not_ask_is_denied(consortium: Consortium) -> None:  # 67
    client = consortium.first.organization.client
    stranger = SigningIdentity("Org2MSP", client.certificate, client.private_key)

    with pytest.raises(RequestRefused, match="access denied"):
        await Discovery(consortium.first.connection, stranger).config(consortium.channel)
    with pytest.raises(RequestRefused, match="access denied"):
        await Discovery(consortium.first.connection, client).config("nosuch")
    with pytest.raises(RequestRefused, match="access denied"):
        await Discovery(consortium.first.connection, client).local_peers()
    with pytest.raises(RequestRefused, match="failed constructing descriptor for chaincodes"):
        await Discovery(consortium.first.connection, client).endorsers(consortium.channel, ["nocc"])
