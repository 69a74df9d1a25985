"""TLS material, a signer, and a gRPC server over TLS whose answers a test gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from unit.fabric_io.scripted import ScriptedNode

from fabric_admin.identity import SigningIdentity
from fabric_admin.transport import Connection
from fabric_devnet.crypto import CertificateAuthority, Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="session")
def tls() -> CertificateAuthority:
    return CertificateAuthority.create("tlsca.test", "test")


@pytest.fixture(scope="session")
def signer() -> SigningIdentity:
    pair = CertificateAuthority.create("ca.test", "test").issue_identity("Admin@test", "test", Role.ADMIN)
    return SigningIdentity.from_pem("Org1MSP", pair.certificate_pem, pair.key_pem)


@pytest_asyncio.fixture
async def node(tls: CertificateAuthority) -> AsyncIterator[ScriptedNode]:
    node = ScriptedNode(tls)
    await node.start()
    yield node
    await node.stop()


@pytest_asyncio.fixture
async def connection(node: ScriptedNode) -> AsyncIterator[Connection]:
    async with Connection(node.endpoint) as connection:
        yield connection
