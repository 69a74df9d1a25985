"""What the API server makes of our objects."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from opssc_operator.api.chaincode_proposal import (
    ChaincodeProposal,
    ChaincodeProposalStatus,
    CommitRecord,
    OrganizationProgress,
    PeerProgress,
    PeerState,
    StepState,
)
from opssc_operator.api.channel import (
    CapabilityLevels,
    ChaincodeOrigin,
    ChannelChaincode,
    ChannelMember,
    ChannelPolicy,
    Consensus,
    ConsensusNode,
    FabricChannel,
    FabricChannelStatus,
)
from opssc_operator.api.channel_proposal import (
    BaseConfig,
    ChannelProgress,
    ChannelProposal,
    ChannelProposalStatus,
    PolicyRecord,
    SignatureRecord,
    SubmissionRecord,
)
from opssc_operator.api.charter_proposal import CharterProposal, CharterProposalStatus
from opssc_operator.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from opssc_operator.api.fields import ApiModel
from opssc_operator.api.group import MIRRORED, ORIGIN_LABEL, Kind
from opssc_operator.api.organization import (
    FabricOrganization,
    FabricOrganizationStatus,
    GovernanceStatus,
    IdentityStatus,
    PeerSource,
    PeerStatus,
)
from opssc_operator.api.proposal import LastError, Origin, Phase, Tally, VoteRecord
from opssc_operator.api.refs import ProposalRef, ProposalReference, mirror_name
from opssc_operator.api.vote import Decision, Vote, VoteStatus

if TYPE_CHECKING:
    from component.crds.conftest import Api

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
CONDITIONS = (
    Condition(
        type=ConditionType.READY,
        status=ConditionStatus.FALSE,
        reason=Reason.AWAITING_VOTES,
        message="waiting for Org3MSP (2/3)",
        last_transition_time=NOW,
        observed_generation=1,
    ),
    Condition(
        type=ConditionType.RECONCILING,
        status=ConditionStatus.TRUE,
        reason=Reason.AWAITING_VOTES,
        last_transition_time=NOW,
    ),
)
PACKAGE_ID = f"asset-4cd9ea28932c:{'0' * 64}"
STATUSES: dict[Kind, ApiModel] = {
    Kind.FABRIC_ORGANIZATION: FabricOrganizationStatus(
        observed_generation=1,
        peers=(
            PeerStatus(
                name="peer0.org1.example.com",
                address="peer0.org1.example.com:7051",
                source=PeerSource.EXPLICIT,
                reachable=True,
                channels=("mychannel", "ops-channel"),
                message="version unknown",
            ),
        ),
        identities=(IdentityStatus(name="admin", subject="CN=Admin,OU=admin", not_after=NOW),),
        governance=GovernanceStatus(block=7, contract_version="0.1.0", charter_version=1, open=2, awaiting_my_vote=1),
        conditions=CONDITIONS,
    ),
    Kind.CHAINCODE_PROPOSAL: ChaincodeProposalStatus(
        observed_generation=1,
        proposal="Org1MSP/asset-1",
        origin=Origin.LOCAL,
        phase=Phase.VOTING,
        content_hash="0" * 64,
        deadline=NOW,
        sequence=2,
        package_id=PACKAGE_ID,
        votes=(VoteRecord(msp_id="Org1MSP", decision=Decision.AGREE, time=NOW, reason="proposed"),),
        tally=Tally(agreed=1, disagreed=0, pending=2, needed=1, summary="1/3"),
        organizations=(
            OrganizationProgress(
                msp_id="Org1MSP", installed=StepState.DONE, message="one peer", mismatches=("Collections",)
            ),
        ),
        peers=(
            PeerProgress(
                name="peer0.org1.example.com",
                state=PeerState.INSTALLED,
                package_id=PACKAGE_ID,
                message="installed",
            ),
        ),
        commit=CommitRecord(by="Org1MSP", tx_id="0" * 64, block=9),
        last_error=LastError(reason=Reason.PEER_UNREACHABLE, message="peer0 does not answer", time=NOW),
        conditions=CONDITIONS,
    ),
    Kind.CHANNEL_PROPOSAL: ChannelProposalStatus(
        observed_generation=1,
        proposal="Org1MSP/stricter-queries",
        origin=Origin.LOCAL,
        phase=Phase.VOTING,
        content_hash="0" * 64,
        deadline=NOW,
        base=BaseConfig(config_sequence=2, config_hash="0" * 64),
        diff=("ACL qscc/GetChainInfo: /Channel/Application/Writers",),
        diff_omitted=1,
        signatures=(SignatureRecord(msp_id="Org1MSP", subject="CN=admin", valid=True),),
        policies=(
            PolicyRecord(
                path="/Channel/Application/ACLs", mod_policy="Admins", satisfied=False, missing=("Org2MSP",), rule="any"
            ),
        ),
        organizations=(ChannelProgress(msp_id="Org1MSP", signed=StepState.DONE, message="as Admin"),),
        submission=SubmissionRecord(by="Org1MSP", block=9),
        successor="Org1MSP/stricter-queries-r2",
        tally=Tally(agreed=1, disagreed=0, pending=2, needed=1, summary="1/3"),
        conditions=CONDITIONS,
    ),
    Kind.CHARTER_PROPOSAL: CharterProposalStatus(
        observed_generation=1,
        proposal="Org1MSP/charter-2",
        origin=Origin.LOCAL,
        phase=Phase.VOTING,
        content_hash="0" * 64,
        deadline=NOW,
        version=2,
        previous=ProposalReference(creator="Org1MSP", id="charter-1"),
        votes=(VoteRecord(msp_id="Org1MSP", decision=Decision.AGREE, time=NOW, reason="proposed"),),
        tally=Tally(agreed=1, disagreed=0, pending=2, needed=1, summary="1/3"),
        last_error=LastError(reason=Reason.PEER_UNREACHABLE, message="peer0 does not answer", time=NOW),
        conditions=CONDITIONS,
    ),
    Kind.VOTE: VoteStatus(
        observed_generation=1,
        submitted=True,
        tx_id="0" * 64,
        counted=True,
        content_hash="0" * 64,
        conditions=CONDITIONS,
    ),
    Kind.FABRIC_CHANNEL: FabricChannelStatus(
        observed_generation=1,
        height=42,
        config_block=3,
        config_sequence=2,
        peers=("peer0.org1.example.com",),
        members=(ChannelMember(msp_id="Org1MSP", on_governance_channel=True),),
        policies=(
            ChannelPolicy(
                path="/Channel/Application/LifecycleEndorsement",
                policy="MAJORITY Endorsement",
                meaning="any 2 of Org1MSP, Org2MSP, Org3MSP",
            ),
        ),
        consensus=Consensus(
            type="etcdraft",
            organizations=("OrdererMSP",),
            consenters=(ConsensusNode(address="orderer0.example.com:7050", msp_id="OrdererMSP"),),
        ),
        capabilities=CapabilityLevels(channel=("V3_0",), orderer=("V2_0",), application=("V2_5",)),
        chaincode_count=2,
        foreign_count=1,
        chaincodes=(
            ChannelChaincode(
                name="asset",
                version="1.0",
                sequence=1,
                endorsement_policy="/Channel/Application/Endorsement",
                collections=("secret",),
                init_required=True,
                origin=ChaincodeOrigin.PROPOSAL,
                proposal="Org1MSP/asset-1",
                approvals=("Org1MSP",),
                package_id=PACKAGE_ID,
                installed_on=("peer0.org1.example.com",),
            ),
        ),
        conditions=CONDITIONS,
    ),
}
SAMPLES = {
    Kind.FABRIC_ORGANIZATION: "org1/fabricorganization.yaml",
    Kind.CHAINCODE_PROPOSAL: "chaincodeproposal.yaml",
    Kind.CHANNEL_PROPOSAL: "channelproposal.yaml",
    Kind.CHARTER_PROPOSAL: "charterproposal.yaml",
    Kind.VOTE: "vote-agree.yaml",
}
CHANNEL = {"apiVersion": "opssc.dev/v1alpha1", "kind": "FabricChannel", "spec": {"channel": "mychannel"}}
COLUMNS = {
    Kind.FABRIC_ORGANIZATION: (
        ["NAME", "MSP", "GOVERNANCE", "READY", "REASON", "AGE"],
        ["Org1MSP", "ops-channel", "False", "AwaitingVotes"],
    ),
    Kind.CHAINCODE_PROPOSAL: (
        ["NAME", "CHANNEL", "CHAINCODE", "SEQUENCE", "VOTES", "PHASE", "READY", "REASON", "AGE"],
        ["mychannel", "asset", "2", "1/3", "Voting", "False", "AwaitingVotes"],
    ),
    Kind.CHANNEL_PROPOSAL: (
        ["NAME", "CHANNEL", "ACTION", "VOTES", "PHASE", "READY", "REASON", "AGE"],
        ["mychannel", "1/3", "Voting", "False", "AwaitingVotes"],
    ),
    Kind.CHARTER_PROPOSAL: (
        ["NAME", "VERSION", "VOTES", "PHASE", "READY", "REASON", "AGE"],
        ["2", "1/3", "Voting", "False", "AwaitingVotes"],
    ),
    Kind.VOTE: (
        ["NAME", "CREATOR", "PROPOSAL", "DECISION", "COUNTED", "READY", "REASON", "AGE"],
        ["Org1MSP", "asset-1", "Agree", "true", "False", "AwaitingVotes"],
    ),
    Kind.FABRIC_CHANNEL: (
        ["NAME", "HEIGHT", "CONFIG", "CHAINCODES", "FOREIGN", "READY", "REASON", "AGE"],
        ["42", "2", "2", "1", "False", "AwaitingVotes"],
    ),
}
WIDE = {
    Kind.FABRIC_ORGANIZATION: ["OPEN", "AWAITING", "MESSAGE"],
    Kind.CHAINCODE_PROPOSAL: ["VERSION", "PROPOSAL", "ORIGIN", "PACKAGE", "MESSAGE"],
    Kind.CHANNEL_PROPOSAL: ["PROPOSAL", "ORIGIN", "BLOCK", "MESSAGE"],
    Kind.CHARTER_PROPOSAL: ["PROPOSAL", "ORIGIN", "REPLACES", "MESSAGE"],
    Kind.VOTE: ["WHY", "TRANSACTION", "MESSAGE"],
    Kind.FABRIC_CHANNEL: ["CONSENSUS", "MESSAGE"],
}
KINDS = pytest.mark.parametrize("kind", Kind, ids=str)


async def created(api: Api, kind: Kind, name: str) -> dict[str, Any]:
    """An object made of the kind's sample, or as the operator makes one where people make none."""
    manifest = {**CHANNEL, "metadata": {"name": name}}
    if kind in SAMPLES:
        manifest = api.sample(SAMPLES[kind], {"metadata.name": name})
    await api.run("apply", "--server-side", "-f", "-", manifest=manifest)
    return await api.read(kind.plural, name)


async def write_status(api: Api, kind: Kind, name: str) -> None:
    manifest = {
        "apiVersion": "opssc.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "status": STATUSES[kind].to_manifest(),
    }
    await api.run("apply", "--server-side", "--subresource=status", "-f", "-", manifest=manifest)


@KINDS
async def test_a_new_object_says_that_nobody_has_looked_at_it(api: Api, kind: Kind) -> None:
    manifest = await created(api, kind, "new")

    assert manifest["status"] == {"observedGeneration": -1}


@KINDS
async def test_the_api_server_keeps_every_field_of_a_status(api: Api, kind: Kind) -> None:
    await created(api, kind, "kept")

    await write_status(api, kind, "kept")

    assert (await api.read(kind.plural, "kept"))["status"] == STATUSES[kind].to_manifest()


@pytest.mark.parametrize("kind", tuple(COLUMNS), ids=str)
async def test_columns_tell_how_far_it_is(api: Api, kind: Kind) -> None:
    await created(api, kind, "columns")
    await write_status(api, kind, "columns")

    header, row = (await api.run("get", kind.plural, "columns")).splitlines()
    wide = (await api.run("get", kind.plural, "columns", "-o", "wide")).splitlines()[0]

    names, values = COLUMNS[kind]
    assert header.split() == names
    assert row.split()[1:-1] == values
    assert [name for name in wide.split() if name not in names] == WIDE[kind]


@pytest.mark.parametrize(
    ("kind", "selector"),
    [
        (Kind.FABRIC_ORGANIZATION, "spec.mspID=Org1MSP"),
        (Kind.FABRIC_ORGANIZATION, "spec.governance.channel=ops-channel"),
        (Kind.CHAINCODE_PROPOSAL, "spec.channel=mychannel"),
        (Kind.CHAINCODE_PROPOSAL, "spec.chaincode.name=asset"),
        (Kind.CHAINCODE_PROPOSAL, "spec.creator="),
        (Kind.CHAINCODE_PROPOSAL, "spec.proposalID="),
        (Kind.CHANNEL_PROPOSAL, "spec.channel=mychannel"),
        (Kind.CHANNEL_PROPOSAL, "spec.creator="),
        (Kind.CHANNEL_PROPOSAL, "spec.proposalID="),
        (Kind.CHARTER_PROPOSAL, "spec.creator="),
        (Kind.CHARTER_PROPOSAL, "spec.proposalID="),
        (Kind.VOTE, "spec.proposal.creator=Org1MSP"),
        (Kind.VOTE, "spec.proposal.id=asset-1"),
        (Kind.VOTE, "spec.decision=Agree"),
        (Kind.FABRIC_CHANNEL, "spec.channel=mychannel"),
    ],
    ids=str,
)
async def test_objects_can_be_selected_by_field(api: Api, kind: Kind, selector: str) -> None:
    await created(api, kind, "selected")

    chosen = await api.run("get", kind.plural, "--field-selector", selector, "-o", "name")
    others = await api.run("get", kind.plural, "--field-selector", f"{selector.partition('=')[0]}=other", "-o", "name")

    assert f"{kind.value.lower()}.opssc.dev/selected" in chosen.split()
    assert others == ""


@pytest.mark.parametrize("words", [["opssc"], ["fabric"], ["forg,ccp,chp,chtp,vt,fch"]], ids=lambda words: words[0])
async def test_short_names_and_categories_show_all_kinds(api: Api, words: list[str]) -> None:
    for kind in Kind:
        await created(api, kind, "all")

    shown = (await api.run("get", *words, "-o", "name")).split()

    assert {f"{kind.value.lower()}.opssc.dev/all" for kind in Kind} <= set(shown)


async def test_the_api_server_fills_in_the_defaults_of_the_models(api: Api) -> None:
    organization = api.sample("org1/fabricorganization.yaml", {"metadata.name": "defaults", "spec.governance": None})
    organization["spec"]["governance"] = {"channel": "ops-channel"}
    proposal = api.sample("chaincodeproposal-k8s.yaml", {"metadata.name": "defaults"})
    for manifest in (organization, proposal):
        await api.run("create", "-f", "-", manifest=manifest)

    served = FabricOrganization.model_validate(await api.read("forg", "defaults"))
    observed = ChaincodeProposal.model_validate(await api.read("ccp", "defaults"))

    spec = (await api.read("forg", "defaults"))["spec"]
    assert spec["governance"]["chaincode"] == "opssc"
    assert spec["voting"] == {"mode": "Manual"}
    assert spec["mirror"] == {"enabled": True, "retention": "720h"}
    assert (spec["execution"], spec["resyncPeriod"]) == ("FollowDecision", "5m")
    assert served.spec == FabricOrganization.model_validate(organization).spec
    assert observed.spec == ChaincodeProposal.model_validate(proposal).spec


async def test_an_object_that_a_later_list_adds_defaults_to_is_read_as_it_is_served(api: Api) -> None:
    manifest = api.sample("fabricorganization-voting-rules.yaml", {"metadata.name": "rules"})
    await api.run("create", "-f", "-", manifest=manifest)

    served = await api.read("forg", "rules")

    assert served["spec"]["voting"]["rules"][0]["kinds"] == ["Chaincode"]
    assert FabricOrganization.model_validate(served).spec == FabricOrganization.model_validate(manifest).spec


async def test_every_sample_is_applied_and_a_second_time_changes_nothing(api: Api) -> None:
    # Given: names that no two of them share
    names = [str(file.relative_to(api.samples)) for file in sorted(api.samples.rglob("*.yaml"))]
    unique = {name: name.replace("/", "-").removesuffix(".yaml") for name in names}
    items = [api.sample(name, {"metadata.name": unique[name]}) for name in names]
    everything = {"apiVersion": "v1", "kind": "List", "items": items}

    # When
    answer = await api.run("apply", "-f", "-", manifest=everything)
    await api.run("apply", "-f", "-", manifest=everything)

    # Then
    assert names
    created = [line.partition("/")[2] for line in answer.splitlines()]
    assert sorted(created) == sorted(f"{name} created" for name in unique.values())
    kinds = ",".join(sorted({Kind(item["kind"]).plural for item in items}))
    shown = json.loads(await api.run("get", kinds, "-o", "json"))["items"]
    generations = {item["metadata"]["name"]: item["metadata"]["generation"] for item in shown}
    assert {name: generations.get(name) for name in unique.values()} == dict.fromkeys(unique.values(), 1)
    await api.run("delete", "-f", "-", manifest=everything)


async def test_a_mirror_is_accepted_beside_a_manifest_of_the_same_id(api: Api) -> None:
    ref = ProposalRef("Org2MSP", "b" * 63)
    changes = {"metadata.name": mirror_name(ref), "spec.proposalID": ref.id, "spec.creator": ref.creator}
    mirror = api.sample("chaincodeproposal-collections.yaml", changes)
    mirror["metadata"]["labels"] = {ORIGIN_LABEL: MIRRORED}
    # What a manifest may not ask of this version, a proposal on the ledger may say.
    mirror["spec"]["chaincode"] |= {"initRequired": True, "init": {"function": "Init", "args": ["1"]}}

    await api.run("create", "-f", "-", manifest=mirror)

    read = ChaincodeProposal.model_validate(await api.read("ccp", mirror_name(ref)))
    assert read.metadata.name == f"{'b' * 63}.org2msp"
    assert read.metadata.labels[ORIGIN_LABEL] == MIRRORED
    assert read.ref("Org1MSP") == ref


@pytest.mark.parametrize(
    "model",
    [FabricOrganization, ChaincodeProposal, ChannelProposal, CharterProposal, Vote, FabricChannel],
    ids=lambda model: model.__name__,
)
async def test_the_operator_reads_what_the_api_server_returns(
    api: Api,
    model: type[FabricOrganization | ChaincodeProposal | ChannelProposal | CharterProposal | Vote | FabricChannel],
) -> None:
    kind = Kind(model.__name__)
    await created(api, kind, "read")

    read = model.model_validate(await api.read(kind.plural, "read"))

    assert (read.metadata.name, read.metadata.namespace, read.metadata.generation) == ("read", api.namespace, 1)
    assert read.metadata.uid
    assert read.metadata.resource_version
    assert not read.metadata.deleting
