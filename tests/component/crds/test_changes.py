"""What may change after an object exists: what is on the ledger never does, also not by setting what was unset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from component.crds.conftest import Api

PROPOSAL, BARE = "chaincodeproposal-collections.yaml", "chaincodeproposal-k8s.yaml"
FULL: dict[str, object] = {
    "spec.proposalID": "full",
    "spec.creator": "Org1MSP",
    "spec.endorsementPolicy": {"signature": "AND('Org1MSP.peer', 'Org2MSP.peer')"},
    "spec.description": "why",
    "spec.votingPeriod": "24h",
}
ON_THE_LEDGER = "is immutable, because a proposal on the ledger never changes: create another proposal instead"
VOTED = "is immutable, because a vote on the ledger never changes"
IMMUTABLE = [
    ("proposalID", "another"),
    ("creator", "Org2MSP"),
    ("endorsementPolicy", {"signature": "OR('Org1MSP.peer')"}),
    ("description", "because"),
    ("votingPeriod", "48h"),
    ("collections", [{"name": "late", "memberOrgsPolicy": "OR('Org1MSP.member')"}]),
]
MUTABLE: list[tuple[str, object]] = [
    ("withdraw", True),
    ("suspend", True),
    ("deletionPolicy", "Withdraw"),
    ("server", {"deploy": False}),
]


async def create(api: Api, sample: str, changes: dict[str, object]) -> dict[str, Any]:
    manifest: dict[str, Any] = api.sample(sample, changes)
    await api.run("apply", "--server-side", "-f", "-", manifest=manifest)
    return manifest


async def replace(api: Api, manifest: dict[str, Any]) -> None:
    await api.run("replace", "--dry-run=server", "-f", "-", manifest=manifest)


@pytest.mark.parametrize(("field", "value"), IMMUTABLE, ids=[field for field, _ in IMMUTABLE])
async def test_an_optional_field_of_a_proposal_cannot_be_changed_removed_or_set_later(
    api: Api, field: str, value: object
) -> None:
    full = await create(api, PROPOSAL, {**FULL, "metadata.name": "full"})
    bare = await create(api, BARE, {"metadata.name": "bare", "spec.endorsementPolicy": None})

    changed = await api.refusal(
        "replace", "--dry-run=server", manifest={**full, "spec": {**full["spec"], field: value}}
    )
    without = {name: given for name, given in full["spec"].items() if name != field}
    removed = await api.refusal("replace", "--dry-run=server", manifest={**full, "spec": without})
    added = await api.refusal("replace", "--dry-run=server", manifest={**bare, "spec": {**bare["spec"], field: value}})

    assert [f"{field} {ON_THE_LEDGER}" in answer for answer in (changed, removed, added)] == [True, True, True]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.channel", "otherchannel"),
        ("spec.chaincode.version", "9.9"),
        ("spec.chaincode.sequence", 7),
        ("spec.chaincode.initRequired", True),
        ("spec.package.ccaas.label", "other-0123456789ab"),
        ("spec.package.ccaas.connection.dialTimeout", "3s"),
        ("spec.package.ccaas.indexes", None),
    ],
    ids=str,
)
async def test_nothing_inside_a_required_field_of_a_proposal_can_change(api: Api, path: str, value: object) -> None:
    await create(api, PROPOSAL, {**FULL, "metadata.name": "full"})

    answer = await api.refusal(
        "replace", "--dry-run=server", manifest=api.sample(PROPOSAL, {**FULL, "metadata.name": "full", path: value})
    )

    assert f"{path.split('.')[1]} {ON_THE_LEDGER}" in answer


async def test_what_is_not_on_the_ledger_can_be_changed_set_and_removed(api: Api) -> None:
    full = await create(api, PROPOSAL, {**FULL, "metadata.name": "full"})

    await replace(api, {**full, "spec": {**full["spec"], **dict(MUTABLE)}})
    await replace(api, full)


VOTE: dict[str, object] = {"metadata.name": "full", "spec.reason": "tested"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.proposal.creator", "Org2MSP"),
        ("spec.proposal.id", "another"),
        ("spec.decision", "Disagree"),
        ("spec.reason", "guessed"),
        ("spec.reason", None),
        ("spec.contentHash", "0" * 64),
        ("spec.contentHash", None),
    ],
    ids=lambda value: "removed" if value is None else str(value),
)
async def test_a_vote_cannot_change(api: Api, path: str, value: object) -> None:
    await create(api, "vote-content-hash.yaml", VOTE)
    changed = api.sample("vote-content-hash.yaml", {**VOTE, path: value})

    answer = await api.refusal("replace", "--dry-run=server", manifest=changed)

    assert f"{path.split('.')[1]} {VOTED}" in answer


@pytest.mark.parametrize(("field", "value"), [("reason", "late"), ("contentHash", "0" * 64)], ids=str)
async def test_a_vote_cannot_say_more_later(api: Api, field: str, value: str) -> None:
    await create(api, "vote-agree.yaml", {"metadata.name": "bare"})
    changed = api.sample("vote-agree.yaml", {"metadata.name": "bare", f"spec.{field}": value})

    answer = await api.refusal("replace", "--dry-run=server", manifest=changed)

    assert f"{field} {VOTED}" in answer


async def test_the_local_choices_of_a_vote_can_be_set_changed_and_removed(api: Api) -> None:
    bare = await create(api, "vote-agree.yaml", {"metadata.name": "local"})
    with_package = {**bare, "spec": {**bare["spec"], "local": {"package": {"type": "None"}}}}

    await api.run("replace", "-f", "-", manifest=with_package)
    await replace(api, {**bare, "spec": {**bare["spec"], "local": {"package": {"type": "Proposed"}}}})
    await replace(api, bare)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("spec.mspID", "Org2MSP",
         "mspID is immutable: delete this FabricOrganization and create another one to act for another organization"),
        ("spec.governance.channel", "other",
         "governance.channel is immutable: proposals and votes live on the channel where they were made"),
        ("spec.governance.chaincode", "other",
         "governance.chaincode is immutable: proposals and votes live in the contract where they were made"),
    ],
    ids=["mspID", "channel", "contract"],
)  # fmt: skip
async def test_an_organization_stays_who_it_is_where_it_is(api: Api, path: str, value: str, sentence: str) -> None:
    await create(api, "org1/fabricorganization.yaml", {"metadata.name": "org1"})
    changed = api.sample("org1/fabricorganization.yaml", {"metadata.name": "org1", path: value})

    answer = await api.refusal("replace", "--dry-run=server", manifest=changed)

    assert sentence in answer


async def test_everything_else_of_an_organization_can_change(api: Api) -> None:
    full = await create(api, "org1/fabricorganization.yaml", {"metadata.name": "org1"})
    peer = {**full["spec"]["peers"]["explicit"][0], "address": "10.0.0.1:7051"}

    await replace(
        api,
        {
            **full,
            "spec": {
                **full["spec"],
                "governance": {"channel": "ops-channel"},
                "peers": {"explicit": [peer, {**peer, "name": "peer1.org1.example.com"}]},
                "voting": {"mode": "Rules", "rules": [{"channels": ["mychannel"]}]},
                "execution": "OwnVoteOnly",
                "mirror": {"enabled": False},
                "suspend": True,
                "resyncPeriod": "1m",
            },
        },
    )


async def test_a_channel_object_shows_one_channel(api: Api) -> None:
    manifest = {
        "apiVersion": "opssc.dev/v1alpha1",
        "kind": "FabricChannel",
        "metadata": {"name": "mychannel"},
        "spec": {"channel": "mychannel"},
    }
    await api.run("apply", "--server-side", "-f", "-", manifest=manifest)

    answer = await api.refusal("replace", "--dry-run=server", manifest={**manifest, "spec": {"channel": "other"}})

    assert "channel is immutable: an object shows one channel" in answer


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.charter.minimum", None),
        ("spec.charter.votingPeriod.max", "1000h"),
        ("spec.charter.version", 7),
        ("spec.proposalID", "another"),
        ("spec.creator", "Org2MSP"),
        ("spec.description", "because"),
        ("spec.votingPeriod", "48h"),
    ],
    ids=str,
)
async def test_nothing_that_is_voted_on_of_a_charter_can_change(api: Api, path: str, value: object) -> None:
    await create(api, "charterproposal.yaml", {"metadata.name": "charter"})

    changed = api.sample("charterproposal.yaml", {"metadata.name": "charter", path: value})
    answer = await api.refusal("replace", "--dry-run=server", manifest=changed)

    assert ON_THE_LEDGER in answer


@pytest.mark.parametrize(("field", "value"), [case for case in MUTABLE if case[0] != "server"], ids=str)
async def test_a_charter_can_be_withdrawn_and_suspended(api: Api, field: str, value: object) -> None:
    await create(api, "charterproposal.yaml", {"metadata.name": "charter"})

    await replace(api, api.sample("charterproposal.yaml", {"metadata.name": "charter", f"spec.{field}": value}))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.channel", "otherchannel"),
        ("spec.changes.0.setACL.policy", "/Channel/Application/Readers"),
        ("spec.changes", None),
        ("spec.proposalID", "another"),
        ("spec.creator", "Org2MSP"),
        ("spec.description", "because"),
        ("spec.votingPeriod", "48h"),
    ],
    ids=str,
)
async def test_nothing_that_is_voted_on_of_a_channel_can_change(api: Api, path: str, value: object) -> None:
    await create(api, "channelproposal.yaml", {"metadata.name": "change"})

    changed = api.sample("channelproposal.yaml", {"metadata.name": "change", path: value})
    answer = await api.refusal("replace", "--dry-run=server", manifest=changed)

    assert ON_THE_LEDGER in answer


async def test_a_dry_run_can_be_ended_and_not_begun_again(api: Api) -> None:
    await create(api, "channelproposal-dry-run.yaml", {"metadata.name": "look"})
    await create(api, "channelproposal.yaml", {"metadata.name": "change"})

    await replace(api, api.sample("channelproposal-dry-run.yaml", {"metadata.name": "look", "spec.dryRun": False}))
    back = api.sample("channelproposal.yaml", {"metadata.name": "change", "spec.dryRun": True})
    answer = await api.refusal("replace", "--dry-run=server", manifest=back)

    assert "dryRun can be switched off" in answer
