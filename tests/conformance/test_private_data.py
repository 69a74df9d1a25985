"""Private data collections: who holds and sees the values, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from component.rawchaincode import Kind, Transaction, ok
from component.rawdeployment import RawDeployment
from conformance.test_chaincode import get, put, write_everything
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_shim_pb2 as shim
from fabric_protos.peer import proposal_response_pb2

from fabric_admin.collection import CollectionConfig, collection_package
from fabric_admin.deliver import Deliver
from fabric_admin.errors import GatewayError

if TYPE_CHECKING:
    from conformance.consortium import Consortium, Member

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_private_values_stay_with_the_members_of_their_collection(consortium: Consortium) -> None:
    collections = collection_package(
        [
            CollectionConfig(
                name="c1",
                member_orgs_policy="OR('Org1MSP.member', 'Org2MSP.member')",
                max_peer_count=1,
                required_peer_count=0,
            )
        ]
    )

    async with RawDeployment.start(consortium, "private", collections=collections) as raw:
        raw.script = private
        await raw.submit("put", "c1", endorsing=("Org1MSP", "Org2MSP"))

        assert await raw.evaluate("get", "c1", organization=0) == b"secret"
        assert await raw.evaluate("get", "c1", organization=1) == b"secret"
        hashes = {await raw.evaluate("hash", "c1", organization=number) for number in range(3)}
        with pytest.raises(GatewayError) as outside:
            await raw.evaluate("get", "c1", organization=2)
        with pytest.raises(GatewayError) as unknown:
            await raw.evaluate("get", "c2")

    assert len(hashes) == 1
    assert len(hashes.pop()) == 32
    assert "private data matching public hash version is not available" in outside.value.details[0].message
    assert "collection mychannel/private/c2 could not be found" in unknown.value.details[0].message


async def private(_msp_id: str, transaction: Transaction) -> proposal_response_pb2.Response:
    """Put a private value, or read its hash or itself."""
    function, collection = transaction.args
    if function == "put":
        await put(transaction, "k", "secret", collection)
        return ok()
    if function == "hash":
        return ok(await transaction.ask(Kind.GET_PRIVATE_DATA_HASH, shim.GetState(key="k", collection=collection)))
    return ok(await get(transaction, "k", collection))


async def test_a_stream_with_private_data_shows_members_what_their_peer_has(consortium: Consortium) -> None:
    first, third = consortium.members[0], consortium.members[2]
    policy = "OR('Org1MSP.member', 'Org2MSP.member')"
    collections = collection_package([CollectionConfig(name="c1", member_orgs_policy=policy, max_peer_count=1)])

    async def stream(member: Member, number: int) -> list[dict[int, rwset_pb2.TxPvtReadWriteSet]]:
        deliver = Deliver(member.connection, member.organization.client)
        return [
            dict(block.private_data_map)
            async for block in deliver.with_private_data(consortium.channel, start=number, stop=number)
        ]

    async with RawDeployment.start(consortium, "streamed", collections=collections) as raw:
        raw.script = private
        number = (await raw.submit("put", "c1", endorsing=("Org1MSP", "Org2MSP"))).block_number

        inside, outside = await stream(first, number), await stream(third, number)

    assert outside == [{}]
    (seen,) = inside
    (only,) = seen.values()
    assert [each.namespace for each in only.ns_pvt_rwset] == ["streamed"]
    (collection,) = only.ns_pvt_rwset[0].collection_pvt_rwset
    assert collection.collection_name == "c1"
    writes = kv_rwset_pb2.KVRWSet.FromString(collection.rwset).writes
    assert [(write.key, write.value) for write in writes] == [("k", b"secret")]


async def test_private_values_are_gone_after_the_blocks_they_live_for(consortium: Consortium) -> None:
    collections = collection_package(
        [CollectionConfig(name="c1", member_orgs_policy="OR('Org1MSP.member')", max_peer_count=1, block_to_live=2)]
    )
    async with RawDeployment.start(consortium, "forgetful", collections=collections) as raw:
        raw.script = private
        written = await raw.submit("put", "c1", endorsing=("Org1MSP", "Org2MSP"))
        raw.script = write_everything

        # One block later it is still there
        await raw.submit("a")
        raw.script = private
        present = await raw.evaluate("get", "c1")
        assert (await consortium.first.system.chain_info(consortium.channel)).height == written.block_number + 2

        # Three blocks later it is not, nor is its hash
        raw.script = write_everything
        for key in ("b", "c"):
            await raw.submit(key)
        raw.script = private
        absent, hashed = await raw.evaluate("get", "c1"), await raw.evaluate("hash", "c1")

    assert (present, absent, hashed) == (b"secret", b"", b"")
