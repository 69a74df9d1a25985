"""What an operator sees of its own orderers, and how it has them join: a real orderer, real TLS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from component.orderersite import CHANNEL, MEMBER, OUTSIDER, Site
from unit.fabric.authority import authority

from fabric_admin.blocks import header_hash
from fabric_devnet.material import issue_tls, replace_tls
from opssc_operator.domain.channels.consenter_tasks import ConsenterTask, Task
from opssc_operator.domain.kinds.creation_work import OrdererSeen, other_channels, unshown_channels
from opssc_operator.errors import PartialError
from opssc_operator.ledger.new_channels import REFUSAL, NewChannels
from opssc_operator.ledger.own_orderers import OrdererAccess, OwnOrderers
from opssc_operator.ledger.peers import OwnPeers

if TYPE_CHECKING:
    from pathlib import Path

    from opssc_operator.domain.kinds.consenter_work import ConsenterNode

IDENTITY = authority(MEMBER).issue("client")
NO_PEERS = OwnPeers((), IDENTITY, IDENTITY)


def access_to(site: Site) -> OrdererAccess:
    organization, node = site.plan.orderer_organization, site.orderer.node
    tls: Path = organization.directory / "users" / f"Admin@{organization.domain}" / "tls"
    roots, certificate, key = ((tls / name).read_bytes() for name in ("ca.crt", "client.crt", "client.key"))
    return OrdererAccess(node.address, node.admin_address, roots, certificate, key)


def task_of(site: Site) -> ConsenterTask:
    """The orderer is to be a consenter with the certificate it has."""
    certificate = (site.orderer.node.directory / "tls" / "server.crt").read_text()
    return ConsenterTask(Task.ADD, site.orderer.node.address, certificate)


def shown(node: ConsenterNode) -> tuple[str, str, bool]:
    assert not node.problem, node.problem
    return node.relation, node.status, node.presents


async def test_an_own_orderer_is_seen_before_and_after_it_joined(site: Site) -> None:
    orderers, task = OwnOrderers([access_to(site)]), task_of(site)

    before = await orderers.see_consenter(CHANNEL, task)
    await orderers.join(task.address, site.genesis)
    await orderers.join(task.address, site.genesis)
    after = await orderers.see_consenter(CHANNEL, task)

    assert (before.joined, shown(before)) == (False, ("", "", True))
    assert (after.joined, shown(after)) == (True, ("consenter", "active", True))


async def test_the_certificate_it_runs_with_is_compared_not_the_one_it_will_have(site: Site) -> None:
    # Given a new certificate that is in place, and an orderer that runs with the old one
    orderers, node = OwnOrderers([access_to(site)]), site.orderer.node
    owner = site.plan.orderer_organization
    replace_tls(node.directory, issue_tls(owner.directory, owner.domain, node.name))
    task = task_of(site)

    # When it is restarted
    before = await orderers.see_consenter(CHANNEL, task)
    await site.orderer.stop()
    await site.orderer.start()
    after = await orderers.see_consenter(CHANNEL, task)

    # Then
    assert (before.presents, after.presents) == (False, True)


async def test_who_is_not_asked_about_a_certificate_presents_any(site: Site) -> None:
    node = await OwnOrderers([access_to(site)]).see_consenter(CHANNEL, replace(task_of(site), certificate=""))

    assert shown(node) == ("", "", True)


async def test_an_orderer_that_does_not_answer_is_an_answer(site: Site) -> None:
    # Given
    orderers, task = OwnOrderers([access_to(site)]), task_of(site)
    await site.orderer.stop()

    # When
    node = await orderers.see_consenter(CHANNEL, task)
    with pytest.raises(PartialError) as refused:
        await orderers.join(task.address, site.genesis)

    # Then
    assert node.problem
    assert not node.joined
    assert f"orderer {task.address} did not join" in refused.value.message


async def test_another_name_in_the_certificate_is_no_match_unless_it_is_said(site: Site) -> None:
    access, task = access_to(site), task_of(site)
    named = replace(access, server_name=site.orderer.node.name)
    wrong = replace(access, server_name="elsewhere.example.com")

    assert shown(await OwnOrderers([named]).see_consenter(CHANNEL, task)) == ("", "", True)
    assert "elsewhere.example.com" in (await OwnOrderers([wrong]).see_consenter(CHANNEL, task)).problem


async def test_the_first_block_of_what_an_orderer_is_in_is_seen_by_its_members_alone(site: Site) -> None:
    # Given
    orderers, address = OwnOrderers([access_to(site)]), site.orderer.node.address
    owner, stranger = (NewChannels(NO_PEERS, orderers, site.user(msp_id)) for msp_id in (MEMBER, OUTSIDER))
    expected = header_hash(site.genesis.header).hex()

    # When
    before = await owner.see_orderers(CHANNEL, [address])
    await orderers.join(address, site.genesis)
    (after,) = await owner.see_orderers(CHANNEL, [address])
    (outside,) = await stranger.see_orderers(CHANNEL, [address])

    # Then
    assert before == (OrdererSeen(address),)
    assert after == OrdererSeen(address, joined=True, block_hash=expected)
    assert outside == OrdererSeen(address, joined=True, problem=REFUSAL)
    assert other_channels([after, outside], (), expected) == ()
    assert unshown_channels([after, outside]) == (f"orderer {address}: {REFUSAL}",)


async def test_a_block_that_cannot_be_fetched_is_no_agreed_one(site: Site) -> None:
    access = access_to(site)
    orderers = OwnOrderers([replace(access, server_name="elsewhere.example.com")])
    await orderers.join(access.address, site.genesis)

    (seen,) = await NewChannels(NO_PEERS, orderers, site.user(MEMBER)).see_orderers(CHANNEL, orderers.addresses)

    assert (seen.joined, seen.block_hash) == (True, "")
    assert seen.problem
    assert seen.problem != REFUSAL


async def test_an_orderer_that_is_not_listed_is_said_to_be_so() -> None:
    orderers = OwnOrderers([])

    node = await orderers.see_consenter(CHANNEL, ConsenterTask(Task.ADD, "orderer9:7050"))

    assert not orderers.know("orderer9:7050")
    assert not node.listed
