"""The own orderers, by their channel participation API over mutual TLS; connects only while it asks."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fabric_protos.common import common_pb2

from fabric_admin.certificates import decode_pem
from fabric_admin.errors import FabricError, ParticipationError, TransportError
from fabric_admin.participation import ChannelInfo, Participation
from fabric_admin.transport import Endpoint
from opssc_operator.domain.channels.consenter_tasks import ConsenterTask
from opssc_operator.domain.kinds.consenter_work import ConsenterNode
from opssc_operator.errors import PartialError
from opssc_operator.ledger.translate import explain

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
JOIN_SECONDS: Final = 30.0
_NOT_FOUND: Final = 404
_JOINED_ALREADY: Final = 405


@dataclass(frozen=True, slots=True)
class OrdererAccess:
    """An own orderer, by the address that channels name, and its participation endpoint; all but addresses is PEM.

    ``server_name`` is what its TLS certificate is for, where that is another host than the address has.
    """

    address: str
    admin_address: str
    tls_roots: bytes
    certificate: bytes
    key: bytes = field(repr=False)
    server_name: str | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where it serves blocks."""
        return Endpoint(self.address, self.tls_roots, server_name=self.server_name)

    def open(self) -> Participation:
        """A client to be closed after use; raises IdentityError when the TLS material cannot be read."""
        return Participation(f"https://{self.admin_address}", self.tls_roots, self.certificate, self.key)


class OwnOrderers:
    """Asks own orderers about one channel, and has them join it."""

    def __init__(self, orderers: Sequence[OrdererAccess]) -> None:
        self._orderers = {orderer.address: orderer for orderer in orderers}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of all that are listed."""
        return tuple(self._orderers)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where all that are listed serve blocks."""
        return tuple(access.endpoint for access in self._orderers.values())

    def endpoint(self, address: str) -> Endpoint:
        """Where a listed orderer serves blocks."""
        return self._orderers[address].endpoint

    def know(self, address: str) -> bool:
        """Whether an orderer is listed with how to reach it."""
        return address in self._orderers

    async def info(self, channel: str, address: str) -> ChannelInfo | None:
        """A listed orderer's part in a channel; None when it has none. Raises FabricError."""
        try:
            async with self._orderers[address].open() as participation:
                return await participation.info(channel, timeout_seconds=LOOK_SECONDS)
        except ParticipationError as exc:
            if exc.status == _NOT_FOUND:
                return None
            raise

    async def join(self, address: str, block: common_pb2.Block) -> None:
        """Have a listed orderer join; one that has joined already is fine. Raises PartialError."""
        try:
            async with self._orderers[address].open() as participation:
                await participation.join(block, timeout_seconds=JOIN_SECONDS)
        except FabricError as exc:
            if isinstance(exc, ParticipationError) and exc.status == _JOINED_ALREADY:
                return
            raise PartialError(f"orderer {address} did not join: {explain(exc)}") from exc
        logger.info("joined", extra={"orderer": address})

    async def see_consenter(self, channel: str, task: ConsenterTask) -> ConsenterNode:
        """What an orderer shows; one that does not answer is an answer, not an error."""
        access = self._orderers.get(task.address)
        if access is None:
            return ConsenterNode(task, listed=False)
        try:
            info = await self.info(channel, task.address)
            presents = not task.certificate or await _presents(access, task.certificate.encode())
        except FabricError as exc:
            return ConsenterNode(task, problem=explain(exc))
        if info is None:
            return ConsenterNode(task, presents=presents)
        return ConsenterNode(task, relation=info.relation, status=info.status, presents=presents)


async def _presents(access: OrdererAccess, certificate: bytes) -> bool:
    """Whether the orderer runs with this TLS server certificate (PEM); raises TransportError."""
    host, _, port = access.address.rpartition(":")
    try:
        context = ssl.create_default_context(cadata=access.tls_roots.decode("ascii"))
        context.set_alpn_protocols(["h2"])
        async with asyncio.timeout(LOOK_SECONDS):
            _, writer = await asyncio.open_connection(
                host, int(port), ssl=context, server_hostname=access.server_name or host
            )
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
    except TimeoutError as exc:
        raise TransportError(access.address, f"no TLS handshake within {LOOK_SECONDS:g} s") from exc
    except (OSError, ValueError) as exc:
        raise TransportError(access.address, str(exc)) from exc
    return bool(shown == decode_pem(certificate))
