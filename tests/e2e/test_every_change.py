"""AC-20: every kind of change, one by one and five at once, gives the configuration a person would expect.

What is expected is stated here by hand, element by element; every element that is not named has to stay as it is to the
byte. Consenters have scenarios of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from e2e.channel_story import ChannelStory, read_config
from e2e.elements import any_of, changed_paths, plain, read_elements, rule
from fabric_protos.msp import msp_config_pb2
from unit.fabric.authority import authority

from opssc_chaincode.model import change_types
from opssc_operator.api.conditions import ConditionType
from opssc_operator.domain.channels.definitions import read_definition
from opssc_tools.environment.founding import split
from opssc_tools.environment.manifests import build_change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from e2e.elements import Plain

    from opssc_tools.environment import Consortium

CHANNEL: Final = "every"
APPLICATION, ORDERER = "/Channel/Application", "/Channel/Orderer"
ORG4 = f"{APPLICATION}/Org4MSP"
NEW_CA = authority("Org1MSP").pem.decode()
GONE: Final = "gone"
Edit = "Callable[[Plain], Plain] | str"


@dataclass(frozen=True, slots=True)
class Case:
    """Changes, who has to agree beside organization 1, and per path what the element says afterwards.

    `mod_policies` are those that change. `proposed_to` are organizations whose peers have the block it is computed on,
    `seen_by` those that get the one it leads to, `unseen_by` those that do not and say so; `shown_now` names an earlier
    case that these see applied only afterwards.
    """

    changes: list[dict[str, Any]]
    elements: Mapping[str, Any]
    voters: tuple[int, ...] = (2,)
    mod_policies: Mapping[str, str] = field(default_factory=dict)
    proposed_to: tuple[int, ...] = (1, 2, 3)
    seen_by: tuple[int, ...] = (1, 2, 3)
    unseen_by: tuple[int, ...] = ()
    shown_now: str = ""


def same(before: Plain) -> Plain:
    return before


def becomes(value: Plain) -> Callable[[Plain], Plain]:
    return lambda _: value


def having(**fields: Any) -> Callable[[Plain], Plain]:
    return lambda before: {**before, **fields}


def definition() -> msp_config_pb2.FabricMSPConfig:
    return msp_config_pb2.FabricMSPConfig.FromString(authority("Org4MSP").config().config)


def msp_of_org4(before: Plain) -> Plain:
    del before
    hashes = msp_config_pb2.FabricCryptoConfig(signature_hash_family="SHA2", identity_identifier_hash_function="SHA256")
    config = definition()
    config.crypto_config.CopyFrom(hashes)
    return plain(config)


def addresses_of(consortium: Consortium) -> list[str]:
    """Of the first organization's orderers."""
    return [orderer.address for orderer in consortium.member(1).organization.orderers]


def add_organization(_: Consortium) -> Case:
    change = build_change(
        "addOrganization",
        mspID="Org4MSP",
        definitionFrom={"inline": read_definition(definition()).to_json()},
        anchorPeers=[{"host": "peer0.org4.example.com", "port": 7051}],
    )
    usual = {
        "Readers": [("Org4MSP", "ADMIN"), ("Org4MSP", "PEER"), ("Org4MSP", "CLIENT")],
        "Writers": [("Org4MSP", "ADMIN"), ("Org4MSP", "CLIENT")],
        "Admins": [("Org4MSP", "ADMIN")],
        "Endorsement": [("Org4MSP", "PEER")],
    }
    anchors = {"anchor_peers": [{"host": "peer0.org4.example.com", "port": 7051}]}
    return Case(
        [change],
        {
            APPLICATION: same,
            ORG4: same,
            f"{ORG4}.MSP": msp_of_org4,
            f"{ORG4}.AnchorPeers": becomes(anchors),
            **{f"{ORG4}:{name}": becomes(any_of(*principals)) for name, principals in usual.items()},
        },
    )


def remove_organization(consortium: Consortium) -> Case:
    there = {path for path in add_organization(consortium).elements if path.startswith(ORG4)}
    change = build_change("removeOrganization", mspID="Org4MSP")
    return Case([change], {APPLICATION: same, **dict.fromkeys(there, GONE)}, voters=(2, 3))


def set_anchor_peers(consortium: Consortium) -> Case:
    own = split(consortium.member(1).organization.peers[0].address)
    other = {"host": "peer9.org1.example.com", "port": 7051}
    change = build_change("setAnchorPeers", mspID="Org1MSP", anchorPeers=[own, other])
    anchors = {"anchor_peers": [own, other]}
    return Case([change], {f"{APPLICATION}/org1.AnchorPeers": becomes(anchors)}, voters=())


def set_organization_msp(consortium: Consortium) -> Case:
    own = (consortium.member(1).organization.directory / "msp" / "tlscacerts").glob("*.pem")
    roots = [*(path.read_text() for path in own), NEW_CA]
    change = build_change("setOrganizationMSP", mspID="Org1MSP", tlsRootCerts=roots)
    encoded = plain(msp_config_pb2.FabricMSPConfig(tls_root_certs=[root.encode() for root in roots]))
    return Case(
        [change],
        {f"{section}/org1.MSP": having(**encoded) for section in (APPLICATION, ORDERER)},
        voters=(),
    )


def set_orderer_endpoints(consortium: Consortium) -> Case:
    own = addresses_of(consortium)
    addresses = [*own, f"{own[0].rpartition(':')[0]}:9"]
    change = build_change("setOrdererEndpoints", mspID="Org1MSP", endpoints=addresses)
    return Case([change], {f"{ORDERER}/org1.Endpoints": becomes({"addresses": addresses})}, voters=())


def set_batch(_: Consortium) -> Case:
    change = build_change("setBatch", timeout="150ms", maxMessageCount=17)
    return Case(
        [change],
        {
            f"{ORDERER}.BatchSize": having(max_message_count=17),
            f"{ORDERER}.BatchTimeout": becomes({"timeout": "150ms"}),
        },
    )


def set_raft_options(_: Consortium) -> Case:
    def smaller(before: Plain) -> Plain:
        metadata = before["metadata"]
        options = {**metadata["options"], "snapshot_interval_size": 1048576}
        return {**before, "metadata": {**metadata, "options": options}}

    change = build_change("setRaftOptions", snapshotIntervalSize=1048576)
    return Case([change], {f"{ORDERER}.ConsensusType": smaller})


def set_capability(_: Consortium) -> Case:
    change = build_change("setCapability", section="Channel", level="V3_0")
    return Case([change], {"/Channel.Capabilities": becomes({"capabilities": {"V3_0": {}}})}, voters=(2,))


def set_policy(_: Consortium) -> Case:
    path = f"{APPLICATION}/Endorsement"
    change = build_change("setPolicy", path=path, rule="ANY Endorsement")
    return Case([change], {f"{APPLICATION}:Endorsement": becomes(rule("ANY", "Endorsement"))})


def set_mod_policy(_: Consortium) -> Case:
    path, policy = f"{ORDERER}/BatchSize", f"{APPLICATION}/Admins"
    change = build_change("setModPolicy", path=path, modPolicy=policy)
    return Case([change], {f"{ORDERER}.BatchSize": same}, mod_policies={f"{ORDERER}.BatchSize": policy})


def set_acl(_: Consortium) -> Case:
    change = build_change("setACL", resource="qscc/GetChainInfo", policy="/Channel/Application/Writers")
    acls = {"acls": {"qscc/GetChainInfo": {"policy_ref": "/Channel/Application/Writers"}}}
    return Case([change], {APPLICATION: same, f"{APPLICATION}.ACLs": becomes(acls)})


def enter_maintenance(_: Consortium) -> Case:
    change = build_change("setMaintenance", enabled=True)
    # Only organizations that run orderers get blocks from now on; the third agrees, and signs, before the last of them.
    elements = {f"{ORDERER}.ConsensusType": having(state="STATE_MAINTENANCE")}
    return Case([change], elements, voters=(3, 2), seen_by=(1, 2), unseen_by=(3,))


def leave_maintenance(_: Consortium) -> Case:
    def normal(before: Plain) -> Plain:
        return {name: value for name, value in before.items() if name != "state"}

    change = build_change("setMaintenance", enabled=False)
    elements = {f"{ORDERER}.ConsensusType": normal}
    return Case([change], elements, proposed_to=(1, 2), shown_now="setMaintenance")


def five_at_once(consortium: Consortium) -> Case:
    own = split(consortium.member(1).organization.peers[0].address)
    changes = [
        build_change("setOrdererEndpoints", mspID="Org1MSP", endpoints=addresses_of(consortium)),
        build_change("setAnchorPeers", mspID="Org1MSP", anchorPeers=[own]),
        build_change("setACL", resource="qscc/GetChainInfo"),
        build_change("setBatch", maxMessageCount=500),
        build_change("setPolicy", path=f"{APPLICATION}/Endorsement", rule="MAJORITY Endorsement"),
    ]
    return Case(
        changes,
        {
            f"{ORDERER}/org1.Endpoints": becomes({"addresses": addresses_of(consortium)}),
            f"{APPLICATION}/org1.AnchorPeers": becomes({"anchor_peers": [own]}),
            f"{APPLICATION}.ACLs": becomes({}),
            f"{ORDERER}.BatchSize": having(max_message_count=500),
            f"{APPLICATION}:Endorsement": becomes(rule("MAJORITY", "Endorsement")),
        },
    )


CASES: Final[Mapping[str, Callable[[Consortium], Case]]] = {
    "addOrganization": add_organization,
    "removeOrganization": remove_organization,
    "setAnchorPeers": set_anchor_peers,
    "setOrganizationMSP": set_organization_msp,
    "setOrdererEndpoints": set_orderer_endpoints,
    "setBatch": set_batch,
    "setRaftOptions": set_raft_options,
    "setCapability": set_capability,
    "setPolicy": set_policy,
    "setModPolicy": set_mod_policy,
    "setACL": set_acl,
    "setMaintenance": enter_maintenance,
    "setMaintenance-off": leave_maintenance,
    "five-at-once": five_at_once,
}
CONSENTERS: Final = {"addConsenter", "removeConsenter", "replaceConsenterCertificates"}


def test_every_kind_of_change_has_a_case() -> None:
    assert set(change_types()) - CONSENTERS <= set(CASES)


@pytest.mark.parametrize("name", CASES)
async def test_a_change_leads_to_what_it_says_and_leaves_the_rest_as_it_is(owners: Consortium, name: str) -> None:
    # Given
    case = CASES[name](owners)
    before = await read_config(owners, CHANNEL)
    story = ChannelStory(owners, owners.members, CHANNEL, name.lower(), {"changes": case.changes})

    # When
    await story.propose(*(owners.member(number) for number in case.proposed_to))
    for number in case.voters:
        await story.vote(owners.member(number))
    await story.until_true(ConditionType.READY, *(owners.member(number) for number in case.seen_by))
    for number in case.unseen_by:
        await story.until(ConditionType.APPLIED, "Unknown", "InMaintenance", owners.member(number))
    if case.shown_now:
        await replace(story, proposal_id=case.shown_now.lower()).until_true(ConditionType.READY)

    # Then
    after = await read_config(owners, CHANNEL)
    assert after.sequence == before.sequence + 1
    old, new = read_elements(before.config), read_elements(after.config)
    assert changed_paths(old, new) == set(case.elements)
    for path, expected in case.elements.items():
        if expected == GONE:
            assert path not in new
            continue
        standing, found = old.get(path), new[path]
        assert found.plain == expected(standing.plain if standing else {}), path
        assert found.version == (0 if standing is None else standing.version + 1), path
        mod_policy = case.mod_policies.get(path) or ("Admins" if standing is None else standing.mod_policy)
        assert found.mod_policy == mod_policy, path
