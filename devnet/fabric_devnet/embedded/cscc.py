"""The `cscc` system chaincode: joining channels and reading their configuration.

Source: fabric core/scc/cscc/configure.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.peer import query_pb2
from google.protobuf.message import DecodeError

from fabric_admin.errors import InvalidInput
from fabric_devnet.embedded.errors import AccessDenied, InvocationFailed, LedgerError, NotInLedger
from fabric_devnet.embedded.systemchaincode import failure, success

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_protos.peer import proposal_response_pb2

    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.systemchaincode import Invocation

_NAME: Final = "cscc"


class Joining(Protocol):
    """How a peer takes up channels."""

    @property
    def snapshot_directory(self) -> str:
        """The snapshot a channel is being joined from now, "" when none is."""
        ...

    def from_genesis(self, genesis: common_pb2.Block) -> None:
        """Add a channel from its genesis block; raises LedgerError or InvalidInput."""
        ...

    def from_snapshot(self, directory: str) -> None:
        """Begin to add a channel from a snapshot; raises LedgerError when the directory is none."""
        ...


class ConfigurationChaincode:
    """`cscc` on one peer."""

    def __init__(self, access: AccessControl, ledgers: Mapping[str, Ledger], joining: Joining) -> None:
        self._access = access
        self._ledgers = ledgers
        self._joining = joining

    def invoke(self, invocation: Invocation) -> proposal_response_pb2.Response:
        """Answer one call; refusals are answers too."""
        args = invocation.args
        if not args:
            return failure(f"Incorrect number of arguments, {len(args)}")
        function = args[0].decode(errors="replace")
        if function != "GetChannels" and function != "JoinBySnapshotStatus" and len(args) < 2:  # noqa: PLR1714, PLR2004
            return failure(f"Incorrect number of arguments, {len(args)}")
        if invocation.proposal.chaincode != _NAME:
            return failure(
                "Rejecting invoke of CSCC from another chaincode, "
                f"original invocation for '{invocation.proposal.chaincode}'"
            )
        try:
            return success(self._run(function, invocation))
        except InvocationFailed as exc:
            return failure(str(exc))

    def _run(self, function: str, invocation: Invocation) -> bytes:
        match function:
            case "JoinChain":
                self._join_chain(invocation)
                return b""
            case "GetConfigBlock":
                return self._config_block(invocation)
            case "GetChannelConfig":
                if not invocation.args[1]:
                    raise InvocationFailed("empty channel name provided")
                return self._allowed_ledger(function, invocation).config.config.SerializeToString()
            case "GetChannels":
                return self._channels(invocation)
            case "JoinChainBySnapshot":
                return self._join_by_snapshot(invocation)
            case "JoinBySnapshotStatus":
                return self._join_status(invocation)
            case _:
                raise InvocationFailed(f"Requested function {function} not found.")

    def _config_block(self, invocation: Invocation) -> bytes:
        try:
            return self._allowed_ledger("GetConfigBlock", invocation).config_block.SerializeToString()
        except NotInLedger as exc:
            raise InvocationFailed(str(exc)) from exc

    def _join_by_snapshot(self, invocation: Invocation) -> bytes:
        directory = invocation.args[1].decode(errors="replace")
        if not directory:
            raise InvocationFailed("Cannot join the channel, no snapshot directory provided")
        self._check_local("JoinChainBySnapshot", invocation)
        try:
            self._joining.from_snapshot(directory)
        except LedgerError as exc:
            raise InvocationFailed(f"cannot create ledger from snapshot {directory}: {exc}") from exc
        return b""

    def _join_status(self, invocation: Invocation) -> bytes:
        self._check_local("JoinBySnapshotStatus", invocation)
        directory = self._joining.snapshot_directory
        status = query_pb2.JoinBySnapshotStatus(in_progress=bool(directory), bootstrapping_snapshot_dir=directory)
        return status.SerializeToString()

    def _check_local(self, function: str, invocation: Invocation) -> None:
        try:
            self._access.check(f"{_NAME}/{function}", "", None, invocation.signed_data)
        except AccessDenied as exc:
            raise InvocationFailed(f"access denied for [{function}]: [{exc}]") from exc

    def _allowed_ledger(self, function: str, invocation: Invocation) -> Ledger:
        channel_id = invocation.args[1].decode(errors="replace")
        ledger = self._ledgers.get(channel_id)
        config = ledger.config if ledger else None
        try:
            self._access.check(f"{_NAME}/{function}", channel_id, config, invocation.signed_data)
        except AccessDenied as exc:
            raise InvocationFailed(f"access denied for [{function}][{channel_id}]: {exc}") from exc
        if ledger is None:
            raise InvocationFailed(f"Unknown chain ID, {channel_id}")
        return ledger

    def _channels(self, invocation: Invocation) -> bytes:
        try:
            self._access.check(f"{_NAME}/GetChannels", "", None, invocation.signed_data)
        except AccessDenied as exc:
            raise InvocationFailed(f"access denied for [GetChannels]: {exc}") from exc
        channels = [query_pb2.ChannelInfo(channel_id=channel_id) for channel_id in self._ledgers]
        return query_pb2.ChannelQueryResponse(channels=channels).SerializeToString()

    def _join_chain(self, invocation: Invocation) -> None:
        block = _decode_block(invocation.args[1])
        channel_id = _channel_of(block)
        _check_config(block, channel_id)
        try:
            self._access.check(f"{_NAME}/JoinChain", "", None, invocation.signed_data)
        except AccessDenied as exc:
            raise InvocationFailed(f"access denied for [JoinChain][{channel_id}]: [{exc}]") from exc
        if channel_id in self._ledgers:
            raise InvocationFailed(
                f"cannot create ledger from genesis block: ledger [{channel_id}] already exists with state [ACTIVE]"
            )
        try:
            self._joining.from_genesis(block)
        except LedgerError as exc:
            raise InvocationFailed(f"cannot create ledger from genesis block: {exc}") from exc
        except InvalidInput as exc:
            raise InvocationFailed(str(exc)) from exc


def _decode_block(data: bytes) -> common_pb2.Block:
    if not data:
        raise InvocationFailed("Cannot join the channel <nil> configuration block provided")
    try:
        return common_pb2.Block.FromString(data)
    except DecodeError as exc:
        raise InvocationFailed(
            "Failed to reconstruct the genesis block, error unmarshalling Block: "
            "proto: cannot parse invalid wire-format data"
        ) from exc


def _channel_of(block: common_pb2.Block) -> str:
    prefix = '"JoinChain" request failed to extract channel id from the block due to '
    if not block.data.data:
        raise InvocationFailed(f"{prefix}[failed to retrieve channel id - block is empty]")
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
        return common_pb2.ChannelHeader.FromString(payload.header.channel_header).channel_id
    except DecodeError as exc:
        raise InvocationFailed(f"{prefix}[{exc}]") from exc


def _check_config(block: common_pb2.Block, channel_id: str) -> None:
    prefix = (
        f'"JoinChain" for channelID = {channel_id} failed because of validation of configuration block, because of '
    )
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(block.data.data[0]).payload)
        envelope = configtx_pb2.ConfigEnvelope.FromString(payload.data)
    except DecodeError as exc:
        raise InvocationFailed(f"{prefix}{exc}") from exc
    if not envelope.HasField("config"):
        raise InvocationFailed(f"{prefix}Nil config envelope Config")
    if not envelope.config.HasField("channel_group"):
        raise InvocationFailed(f"{prefix}Nil channel group")
    groups = envelope.config.channel_group.groups
    if not groups:
        raise InvocationFailed(f"{prefix}No channel configuration groups are available")
    if "Application" not in groups:
        raise InvocationFailed(f"{prefix}Invalid configuration block, missing Application configuration group")
