"""The OpsSC contract on the governance channel, as seen and called by one organization.

Owns calls and their coded refusals. Reads always name the own organization as target: only the own peer is believed.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from fabric_admin.errors import ChaincodeError, CommitFailed, FabricError, GatewayError
from fabric_admin.gateway import Gateway, Submitted
from opssc_chaincode.model import Document, DocumentError, Facts, FactsPage, Info
from opssc_operator.api.conditions import Reason
from opssc_operator.api.refs import ProposalRef
from opssc_operator.errors import TerminalError, TransientError
from opssc_operator.ledger.peers import OwnPeer, OwnPeers
from opssc_operator.ledger.translate import explain

QUERY_SECONDS: Final = 15.0
SUBMIT_SECONDS: Final = 60.0
PAGE_SIZE: Final = 100
LAGGING_SECONDS: Final = 0.1
"""How soon a write is tried again when another organization's peer lags behind the own one."""
CODED: Final = re.compile(
    r"\b(INVALID|NOT_FOUND|FORBIDDEN|CLOSED|HASH_MISMATCH|CONFLICT|CLOCK_SKEW|BAD_SIGNATURE): (.*)", re.DOTALL
)


class ContractRefused(TerminalError):
    """The contract refused a call: ``code`` is one of ``CODED``, ``text`` says what would be right."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(Reason.REFUSED_BY_CONTRACT, f"the contract refused: {code}: {text}")
        self.code = code
        self.text = text


def parse_refusal(exc: GatewayError | ChaincodeError, own_msp_id: str) -> tuple[str, str] | None:
    """The ``CODE: text`` to believe: the own peer's, or what several organizations say alike.

    A single other organization's peer may say anything.
    """
    details = exc.details if isinstance(exc, GatewayError) else ()
    if not details:
        return _coded(exc.message)
    for detail in details:
        found = _coded(detail.message)
        if found is not None and detail.msp_id == own_msp_id:
            return found
    said = [_coded(detail.message) for detail in details]
    codes = {None if found is None else found[0] for found in said}
    alike = len(codes) == 1 and len({detail.msp_id for detail in details}) > 1
    return said[0] if alike else None


def _coded(text: str) -> tuple[str, str] | None:
    found = CODED.search(text)
    return None if found is None else (found.group(1), " ".join(found.group(2).split()))


def _lagging(exc: GatewayError | ChaincodeError) -> bool:
    """Whether a peer has not seen the proposal, which the own one shows."""
    details = exc.details if isinstance(exc, GatewayError) else ()
    return any((_coded(detail.message) or ("",))[0] == "NOT_FOUND" for detail in details)


@contextmanager
def refusals(doing: str, own_msp_id: str) -> Iterator[None]:
    """Turn coded refusals into ContractRefused and everything else into TransientError."""
    try:
        yield
    except CommitFailed as exc:
        raise TransientError(f"{doing}: {explain(exc)}", retry_after=0.05 if exc.retryable else None) from exc
    except (GatewayError, ChaincodeError) as exc:
        coded = parse_refusal(exc, own_msp_id)
        if coded is None or coded[0] == "CLOCK_SKEW":
            soon = LAGGING_SECONDS if coded is None and _lagging(exc) else None
            raise TransientError(f"{doing}: {explain(exc)}", soon) from exc
        raise ContractRefused(*coded) from exc
    except FabricError as exc:
        raise TransientError(f"{doing}: {explain(exc)}") from exc


D = TypeVar("D", bound=Document)


def _read(kind: type[D], answer: bytes) -> D:
    """Read an answer of the contract; another version's words are no reason to stop for good."""
    try:
        return kind.from_state(answer)
    except DocumentError as exc:
        message = f"the contract's answer cannot be read by this operator, upgrade one of them: {exc}"
        raise TransientError(message, reason=Reason.CONTRACT_MISMATCH) from exc


class OpsContract:
    """Typed calls of the contract ``name`` on ``channel``."""

    def __init__(self, own_msp_id: str, peers: OwnPeers, channel: str, name: str) -> None:
        self._own_msp_id = own_msp_id
        self._peers = peers
        self.channel = channel
        self.name = name

    async def propose(self, document: bytes) -> Submitted:
        """Submit a proposal document; the same content again is success."""
        return await self._submit("Propose", [document])

    async def vote(self, ref: ProposalRef, content_hash: str, decision: str, reason: str) -> Submitted:
        """Cast the own organization's vote; the same decision again is success."""
        return await self._submit("Vote", [*_ref(ref), content_hash.encode(), decision.encode(), reason.encode()])

    async def close(self, ref: ProposalRef, cause: str, reason: str) -> Submitted:
        """Close a proposal as ``Withdrawn`` or ``Expired``."""
        return await self._submit("Close", [*_ref(ref), cause.encode(), reason.encode()])

    async def report(
        self, ref: ProposalRef, step: str, outcome: str, evidence: bytes, message: str, *, as_admin: bool = False
    ) -> Submitted:
        """Report one step of the own organization; ``as_admin`` for a config signature, or as the charter asks."""
        arguments = [*_ref(ref), step.encode(), outcome.encode(), evidence, message.encode()]
        return await self._submit("Report", arguments, as_admin=as_admin)

    async def fetch(self, ref: ProposalRef) -> Facts | None:
        """Everything said about one proposal, or None when the ledger has none of that name."""
        try:
            return _read(Facts, await self._evaluate("GetProposal", list(_ref(ref))))
        except ContractRefused as exc:
            if exc.code == "NOT_FOUND":
                return None
            raise

    async def list_all(self) -> AsyncIterator[Facts]:
        """Every proposal on the ledger, page by page."""
        bookmark = ""
        while True:
            arguments = [b"{}", str(PAGE_SIZE).encode(), bookmark.encode()]
            page = _read(FactsPage, await self._evaluate("ListProposals", arguments))
            for facts in page.proposals:
                yield facts
            bookmark = page.bookmark
            if not bookmark:
                return

    async def fetch_version(self) -> str:
        """The running contract's version."""
        return _read(Info, await self._evaluate("GetInfo", [])).version

    async def _submit(self, function: str, arguments: list[bytes], *, as_admin: bool = True) -> Submitted:
        gateway = await self._gateway(as_admin=as_admin)
        try:
            with refusals(f"{function} on channel {self.channel}", self._own_msp_id):
                return await gateway.submit(
                    self.channel, self.name, [function.encode(), *arguments], timeout_seconds=SUBMIT_SECONDS
                )
        except ContractRefused as exc:
            if exc.code == "NOT_FOUND":
                # The own peer shows the proposal; another organization's is a block behind.
                raise TransientError(exc.message, LAGGING_SECONDS) from exc
            raise

    async def _evaluate(self, function: str, arguments: list[bytes]) -> bytes:
        gateway = await self._gateway(as_admin=False)
        with refusals(f"{function} on channel {self.channel}", self._own_msp_id):
            return await gateway.evaluate(
                self.channel,
                self.name,
                [function.encode(), *arguments],
                target_organizations=(self._own_msp_id,),
                timeout_seconds=QUERY_SECONDS,
            )

    async def _gateway(self, *, as_admin: bool) -> Gateway:
        peer: OwnPeer = await self._peers.on(self.channel)
        return peer.admin_gateway if as_admin else peer.client_gateway


def _ref(ref: ProposalRef) -> tuple[bytes, bytes]:
    return ref.creator.encode(), ref.id.encode()
