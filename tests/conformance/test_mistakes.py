"""The commonest administrator's mistakes, with the exact words the network answers, on every backend.

Numbers are those of the checklist in the field notes on Fabric 3.1.5.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest
from fabric_protos.peer.lifecycle import lifecycle_pb2

from fabric_admin.errors import ChaincodeError, CommitFailed, GatewayError, RequestRefused
from fabric_admin.gateway import Gateway
from fabric_admin.lifecycle import Definition, Lifecycle
from fabric_admin.package import build_ccaas
from fabric_admin.system import System
from fabric_devnet.release import FABRIC_3_0

if TYPE_CHECKING:
    from conformance.consortium import Consortium

pytestmark = pytest.mark.asyncio(loop_scope="session")
EVERYBODY = {"Org1MSP", "Org2MSP", "Org3MSP"}
CODE = "code.tar.gz"
METADATA = "metadata.json"


def archive(files: dict[str, bytes]) -> bytes:
    """A gzipped tar file, whatever it contains."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(data.getvalue(), mtime=0)


def metadata(label: str) -> bytes:
    return json.dumps({"path": "", "type": "ccaas", "label": label}).encode()


def approval(name: str) -> tuple[bytes, bytes]:
    args = lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(name=name, version="1.0", sequence=1)
    args.source.unavailable.SetInParent()
    return b"ApproveChaincodeDefinitionForMyOrg", args.SerializeToString()


def committed_query(name: str) -> tuple[bytes, bytes]:
    return b"QueryChaincodeDefinition", lifecycle_pb2.QueryChaincodeDefinitionArgs(name=name).SerializeToString()


def approved_query(name: str) -> tuple[bytes, bytes]:
    args = lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs(name=name)
    return b"QueryApprovedChaincodeDefinition", args.SerializeToString()


def backing(function: str, cause: str) -> str:
    return f"failed to invoke backing implementation of '{function}': {cause}"


async def test_installing_the_same_package_twice_is_refused(consortium: Consortium, name: str) -> None:  # 2
    package = build_ccaas(name, "{{.chaincode_host}}:9999")
    package_id = await consortium.first.lifecycle.install(package)

    with pytest.raises(ChaincodeError) as refusal:
        await consortium.first.lifecycle.install(package)

    cause = f"chaincode already successfully installed (package ID '{package_id}')"
    assert (refusal.value.status, refusal.value.message) == (500, backing("InstallChaincode", cause))


async def test_only_an_administrator_installs(consortium: Consortium, name: str) -> None:  # 3
    first = consortium.first
    client = Lifecycle(first.connection, first.organization.client)

    with pytest.raises(ChaincodeError) as refusal:
        await client.install(build_ccaas(name, "localhost:9999"))

    assert refusal.value.status == 500
    assert refusal.value.message == (
        "Failed to authorize invocation due to failed ACL check: Failed verifying that proposal's creator satisfies "
        "local MSP principal during channelless check policy with policy [Admins]: [The identity is not an admin under "
        "this MSP [Org1MSP]: The identity does not contain OU [ADMIN], MSP: [Org1MSP]]"
    )


async def test_another_organizations_administrator_is_unknown_to_the_peer(  # 4
    consortium: Consortium, name: str
) -> None:
    first, second, _ = consortium.members
    stranger = Lifecycle(first.connection, second.organization.admin)

    with pytest.raises(RequestRefused) as refusal:
        await stranger.install(build_ccaas(name, "localhost:9999"))

    assert refusal.value.code == "UNKNOWN"
    assert refusal.value.message == (
        "error validating proposal: access denied: channel [] creator org unknown, creator is malformed"
    )


@pytest.mark.parametrize(
    ("package", "cause"),
    [
        pytest.param(b"", "error reading as gzip stream: EOF", id="empty"),
        pytest.param(b"no package", "error reading as gzip stream: gzip: invalid header", id="no-gzip"),
        pytest.param(
            archive({METADATA: metadata("fine")}), "did not find a code package inside the package", id="no-code"
        ),
        pytest.param(
            archive({CODE: archive({})}), "did not find any package metadata (missing metadata.json)", id="no-metadata"
        ),
        pytest.param(
            archive({METADATA: metadata("not fine"), CODE: archive({})}),
            "invalid label 'not fine'. Label must be non-empty, can only consist of alphanumerics, symbols from "
            "'.+-_', and can only begin with alphanumerics",
            id="bad-label",
        ),
    ],
)
async def test_a_malformed_package_is_refused(consortium: Consortium, package: bytes, cause: str) -> None:  # 5
    with pytest.raises(ChaincodeError) as refusal:
        await consortium.first.lifecycle.install(package)

    assert refusal.value.status == 500
    assert refusal.value.message == backing(
        "InstallChaincode", f"could not parse as a chaincode install package: {cause}"
    )


async def test_reading_back_a_package_that_is_not_there_is_refused(consortium: Consortium) -> None:  # 7
    package_id = f"absent:{'0' * 64}"

    with pytest.raises(ChaincodeError) as refusal:
        await consortium.first.lifecycle.get_installed_package(package_id)

    cause = f"could not load cc install package: chaincode install package '{package_id}' not found"
    assert (refusal.value.status, refusal.value.message) == (500, backing("GetInstalledChaincodePackage", cause))


async def test_approving_without_naming_the_own_organization_fails_at_the_others(  # 9
    consortium: Consortium, name: str
) -> None:
    first = consortium.first
    own = await first.gateway.endorse(
        consortium.channel, "_lifecycle", approval(name), endorsing_organizations=("Org1MSP",)
    )

    with pytest.raises(GatewayError) as refusal:
        await first.gateway.endorse(consortium.channel, "_lifecycle", approval(name))

    assert own.payload == b""
    assert refusal.value.code == "ABORTED"
    assert refusal.value.message == (
        "failed to collect enough transaction endorsements, see attached details for more info"
    )
    for detail in refusal.value.details:
        assert detail.message == (
            "chaincode response 500, Failed to authorize invocation due to failed ACL check: Failed deserializing "
            "proposal creator during channelless check policy with policy [Admins]: "
            f"[expected MSP ID {detail.msp_id}, received Org1MSP]"
        )
    assert {detail.msp_id for detail in refusal.value.details} <= EVERYBODY - {"Org1MSP"}
    assert refusal.value.details


async def test_approving_the_same_again_is_refused(consortium: Consortium, name: str) -> None:  # 10
    first = consortium.first
    definition = Definition(name, "1.0", 1)
    await first.lifecycle.approve(consortium.channel, definition, None)

    with pytest.raises(GatewayError) as refusal:
        await first.lifecycle.approve(consortium.channel, definition, None)

    cause = f"attempted to redefine uncommitted sequence (1) for namespace {name} with unchanged content"
    assert refusal.value.code == "ABORTED"
    assert [(detail.msp_id, detail.message) for detail in refusal.value.details] == [
        ("Org1MSP", "chaincode response 500, " + backing("ApproveChaincodeDefinitionForMyOrg", cause))
    ]


@pytest.mark.parametrize(
    ("definition", "cause"),
    [
        pytest.param(
            Definition("fresh", "1.0", 0),
            "requested sequence is 0, but first definable sequence number is 1",
            id="sequence-zero",
        ),
        pytest.param(
            Definition("fresh", "1.0", 2),
            "requested sequence 2 is larger than the next available sequence number 1",
            id="sequence-too-high",
        ),
        pytest.param(
            Definition("fresh", "1.0", -1),
            "currently defined sequence 0 is larger than requested sequence -1",
            id="sequence-negative",
        ),
        pytest.param(
            Definition("no spaces", "1.0", 1),
            "error validating chaincode definition: invalid chaincode name 'no spaces'. Names can only consist of "
            "alphanumerics, '_', and '-' and can only begin with alphanumerics",
            id="bad-name",
        ),
        pytest.param(
            Definition("qscc", "1.0", 1),
            "error validating chaincode definition: chaincode name 'qscc' is the name of a system chaincode",
            id="reserved-name",
        ),
        pytest.param(
            Definition("fresh", "1 0", 1),
            "error validating chaincode definition: invalid chaincode version '1 0'. Versions can only consist of "
            "alphanumerics, '_', '-', '+', and '.'",
            id="bad-version",
        ),
    ],
)
async def test_a_definition_nobody_can_have_is_refused(  # 11
    consortium: Consortium, definition: Definition, cause: str
) -> None:
    with pytest.raises(GatewayError) as refusal:
        await consortium.first.lifecycle.approve(consortium.channel, definition, None)

    assert refusal.value.code == "ABORTED"
    assert [detail.message for detail in refusal.value.details] == [
        "chaincode response 500, " + backing("ApproveChaincodeDefinitionForMyOrg", cause)
    ]


async def test_readiness_of_another_sequence_than_the_next_is_refused(consortium: Consortium, name: str) -> None:  # 14
    with pytest.raises(ChaincodeError) as refusal:
        await consortium.first.lifecycle.check_commit_readiness(consortium.channel, Definition(name, "1.0", 2))

    cause = "requested sequence is 2, but new definition must be sequence 1"
    assert (refusal.value.status, refusal.value.message) == (500, backing("CheckCommitReadiness", cause))


async def test_committing_what_others_have_not_approved_fails_at_their_peers(  # 15
    consortium: Consortium, name: str
) -> None:
    first = consortium.first
    definition = Definition(name, "1.0", 1)
    await first.lifecycle.approve(consortium.channel, definition, None)

    with pytest.raises(GatewayError) as refusal:
        await first.lifecycle.commit(consortium.channel, definition)

    assert refusal.value.code == "ABORTED"
    assert refusal.value.details
    for detail in refusal.value.details:
        cause = f"chaincode definition not agreed to by this org ({detail.msp_id})"
        assert detail.message == "chaincode response 500, " + backing("CommitChaincodeDefinition", cause)
    assert {detail.msp_id for detail in refusal.value.details} <= {"Org2MSP", "Org3MSP"}


async def test_committing_with_too_few_endorsements_is_flagged_in_the_block(  # 16
    consortium: Consortium, name: str
) -> None:
    definition = Definition(name, "1.0", 1)
    await consortium.first.lifecycle.approve(consortium.channel, definition, None)

    with pytest.raises(CommitFailed) as failure:
        await consortium.first.lifecycle.commit(consortium.channel, definition, ("Org1MSP",))

    assert failure.value.code == "ENDORSEMENT_POLICY_FAILURE"
    assert await consortium.first.lifecycle.query_committed(consortium.channel, name) is None


async def test_committing_the_same_sequence_again_is_refused(consortium: Consortium, name: str) -> None:  # 18
    definition = await consortium.deploy(name)

    with pytest.raises(GatewayError) as refusal:
        await consortium.first.lifecycle.commit(consortium.channel, definition)

    cause = "requested sequence is 1, but new definition must be sequence 2"
    assert refusal.value.code == "ABORTED"
    assert [detail.message for detail in refusal.value.details] == [
        "chaincode response 500, " + backing("CommitChaincodeDefinition", cause)
    ]


async def test_a_name_that_was_never_committed_is_not_defined(consortium: Consortium, name: str) -> None:  # 19
    assert await consortium.first.lifecycle.query_committed(consortium.channel, name) is None

    with pytest.raises(GatewayError) as refusal:
        await consortium.first.gateway.evaluate(consortium.channel, "_lifecycle", committed_query(name))

    assert refusal.value.code == "UNKNOWN"
    assert refusal.value.message == (
        f"evaluate call to endorser returned error: chaincode response 404, namespace {name} is not defined"
    )


async def test_an_approval_that_was_never_given_is_none(consortium: Consortium, name: str) -> None:  # 20
    assert await consortium.first.lifecycle.query_approved(consortium.channel, name) is None

    with pytest.raises(ChaincodeError) as refusal:
        await consortium.first.endorser.call("_lifecycle", approved_query(name), channel=consortium.channel)

    cause = f"could not fetch approved chaincode definition (name: '{name}', sequence: '0') on channel 'mychannel'"
    assert (refusal.value.status, refusal.value.message) == (500, backing("QueryApprovedChaincodeDefinition", cause))


async def test_a_committed_sequence_can_only_change_its_package(consortium: Consortium, name: str) -> None:  # 21
    first = consortium.first
    definition = await consortium.deploy(name)

    with pytest.raises((GatewayError, CommitFailed)) as same:
        await first.lifecycle.approve(consortium.channel, definition, None)
    with pytest.raises(GatewayError) as different:
        await first.lifecycle.approve(consortium.channel, Definition(name, "9", 1), None)
    await first.lifecycle.approve(consortium.channel, definition, f"{name}:{'1' * 64}")

    redefine = f"attempted to redefine the current committed sequence (1) for namespace {name}"
    if consortium.network.release >= FABRIC_3_0:
        assert isinstance(same.value, GatewayError)
        assert [detail.message for detail in same.value.details] == [
            "chaincode response 500, " + backing("ApproveChaincodeDefinitionForMyOrg", redefine)
        ]
    else:
        # It is endorsed but writes nothing private, and so the channel's policy judges it when it is committed.
        assert isinstance(same.value, CommitFailed)
        assert same.value.code == "ENDORSEMENT_POLICY_FAILURE"
    expected = f"{redefine} with different parameters: expected Version '1.0' does not match passed Version '9'"
    assert [detail.message for detail in different.value.details] == [
        "chaincode response 500, " + backing("ApproveChaincodeDefinitionForMyOrg", expected)
    ]
    approved = await first.lifecycle.query_approved(consortium.channel, name)
    assert approved is not None
    assert approved.package_id == f"{name}:{'1' * 64}"


async def test_invoking_what_was_never_committed_is_refused(consortium: Consortium, name: str) -> None:  # 25
    client = consortium.first.client

    with pytest.raises(GatewayError) as evaluated:
        await client.evaluate(consortium.channel, name, (b"Get", b"x"))
    with pytest.raises(GatewayError) as endorsed:
        await client.endorse(consortium.channel, name, (b"Set", b"x", b"y"))

    assert (evaluated.value.code, evaluated.value.message) == (
        "FAILED_PRECONDITION",
        f"no peers available to evaluate chaincode {name} in channel mychannel",
    )
    assert endorsed.value.code == "FAILED_PRECONDITION"
    assert endorsed.value.message == (
        "no combination of peers can be derived which satisfy the endorsement policy: "
        f"No metadata was found for chaincode {name} in channel mychannel"
    )


async def test_joining_a_channel_twice_is_refused(consortium: Consortium) -> None:  # 46
    block = await consortium.first.system.block_by_number(consortium.channel, 0)

    with pytest.raises(ChaincodeError) as refusal:
        await consortium.first.system.join(block)

    assert refusal.value.status == 500
    assert refusal.value.message == (
        "cannot create ledger from genesis block: ledger [mychannel] already exists with state [ACTIVE]"
    )


async def test_only_an_administrator_joins_a_peer_to_a_channel(consortium: Consortium) -> None:  # 47
    first = consortium.first
    block = await first.system.block_by_number(consortium.channel, 0)

    with pytest.raises(ChaincodeError) as refusal:
        await System(first.connection, first.organization.client).join(block)

    assert refusal.value.status == 500
    assert refusal.value.message.startswith("access denied for [JoinChain][mychannel]: [")


async def test_a_channel_the_peer_has_not_joined_is_not_found(consortium: Consortium) -> None:  # 48
    with pytest.raises(ChaincodeError) as refusal:
        await consortium.first.lifecycle.query_committed("nosuch", "asset")

    assert (refusal.value.status, refusal.value.message) == (500, "channel 'nosuch' not found")


async def test_waiting_on_an_unknown_channel_is_denied(consortium: Consortium) -> None:  # 63
    with pytest.raises(GatewayError) as refusal:
        await consortium.first.gateway.commit_status("nosuch", "0" * 64)

    assert (refusal.value.code, refusal.value.message) == (
        "PERMISSION_DENIED",
        "Failed to get policy manager for channel [nosuch]",
    )


async def test_an_orderer_is_no_writer_of_the_application(consortium: Consortium) -> None:
    gateway = Gateway(consortium.first.connection, consortium.network.orderer_admin)

    with pytest.raises(GatewayError) as refusal:
        await gateway.evaluate(
            consortium.channel, "_lifecycle", committed_query("asset"), target_organizations=("Org1MSP",)
        )

    assert refusal.value.code == "UNKNOWN"
    assert refusal.value.message == (
        "evaluate call to endorser returned error: chaincode response 500, Failed to authorize invocation due to "
        "failed ACL check: Failed evaluating policy on signed data during check policy on channel [mychannel] with "
        "policy [/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, "
        "but this policy requires 1 of the 'Writers' sub-policies to be satisfied]"
    )
