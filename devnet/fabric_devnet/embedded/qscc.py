"""The `qscc` system chaincode: reading blocks and transactions of a ledger.

Source: fabric core/scc/qscc/query.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fabric_devnet.embedded.errors import AccessDenied, InvocationFailed, NotInLedger
from fabric_devnet.embedded.systemchaincode import failure, success

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_protos.peer import proposal_response_pb2

    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.systemchaincode import Invocation

_NAME: Final = "qscc"
_MAX_UINT64: Final = 2**64 - 1


class QueryChaincode:
    """`qscc` on one peer."""

    def __init__(self, access: AccessControl, ledgers: Mapping[str, Ledger]) -> None:
        self._access = access
        self._ledgers = ledgers

    def invoke(self, invocation: Invocation) -> proposal_response_pb2.Response:
        """Answer one call; refusals are answers too."""
        try:
            return success(self._run(invocation))
        except InvocationFailed as exc:
            return failure(str(exc))

    def _run(self, invocation: Invocation) -> bytes:
        args = invocation.args
        if len(args) < 2:  # noqa: PLR2004 - function and channel
            raise InvocationFailed(f"Incorrect number of arguments, {len(args)}")
        function, channel_id = args[0].decode(errors="replace"), args[1].decode(errors="replace")
        if invocation.proposal.chaincode != _NAME:
            raise InvocationFailed(
                "Rejecting invoke of QSCC from another chaincode because of potential for deadlocks, "
                f"original invocation for '{invocation.proposal.chaincode}'"
            )
        if function != "GetChainInfo" and len(args) < 3:  # noqa: PLR2004 - what to look for
            raise InvocationFailed(f"missing 3rd argument for {function}")
        ledger = self._ledgers.get(channel_id)
        if ledger is None:
            raise InvocationFailed(f"Invalid chain ID, {channel_id}")
        try:
            self._access.check(f"{_NAME}/{function}", channel_id, ledger.config, invocation.signed_data)
        except AccessDenied as exc:
            raise InvocationFailed(f"access denied for [{function}][{channel_id}]: [{exc}]") from exc
        if function == "GetChainInfo":
            return ledger.chain_info().SerializeToString()
        return _look_up(function, args[2], ledger)


def _look_up(function: str, wanted: bytes, ledger: Ledger) -> bytes:
    text = wanted.decode(errors="replace")
    match function:
        case "GetBlockByNumber":
            what = f"Failed to get block number {text}"
        case "GetBlockByHash":
            what = f"Failed to get block hash {text}"
        case "GetTransactionByID":
            what = f"Failed to get transaction with id {text}"
        case "GetBlockByTxID":
            what = f"Failed to get block for txID {text}"
        case _:
            raise InvocationFailed(f"Requested function {function} not found.")
    try:
        match function:
            case "GetBlockByNumber":
                return ledger.block(_parse_number(text)).SerializeToString()
            case "GetBlockByHash":
                return ledger.block_by_hash(wanted).SerializeToString()
            case "GetTransactionByID":
                return ledger.transaction(text).SerializeToString()
            case _:
                return ledger.block_by_tx_id(text).SerializeToString()
    except NotInLedger as exc:
        raise InvocationFailed(f"{what}, error {exc}") from exc


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvocationFailed(
            f'Failed to parse block number with error strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    number = int(text)
    if number > _MAX_UINT64:
        raise InvocationFailed(
            f'Failed to parse block number with error strconv.ParseUint: parsing "{text}": value out of range'
        )
    return number
