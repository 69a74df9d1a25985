"""The `_lifecycle` system chaincode: who may call which function, and its answers.

Source: fabric core/chaincode/lifecycle/scc.go, core/dispatcher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from fabric_protos.peer.lifecycle import lifecycle_pb2
from google.protobuf.message import DecodeError, Message

from fabric_devnet.embedded.errors import AccessDenied, NamespaceNotDefined, Refusal, SimulationError
from fabric_devnet.embedded.lifecycle import approval, commitment, installation
from fabric_devnet.embedded.lifecycle.call import Call
from fabric_devnet.embedded.lifecycle.state import NAMESPACE
from fabric_devnet.embedded.systemchaincode import failure, success

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from fabric_protos.peer import proposal_response_pb2

    from fabric_devnet.embedded.acl import AccessControl
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.packages import PackageStore
    from fabric_devnet.embedded.systemchaincode import Invocation

_ARGUMENTS: Final = 2
_NOT_FOUND: Final = 404


class _Function(NamedTuple):
    args: type[Message]
    run: Callable[[Call, Any], Message]


_FUNCTIONS: Final[dict[str, _Function]] = {
    "InstallChaincode": _Function(lifecycle_pb2.InstallChaincodeArgs, installation.install),
    "QueryInstalledChaincode": _Function(lifecycle_pb2.QueryInstalledChaincodeArgs, installation.query_installed),
    "QueryInstalledChaincodes": _Function(lifecycle_pb2.QueryInstalledChaincodesArgs, installation.query_all_installed),
    "GetInstalledChaincodePackage": _Function(lifecycle_pb2.GetInstalledChaincodePackageArgs, installation.get_package),
    "ApproveChaincodeDefinitionForMyOrg": _Function(
        lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs, approval.approve
    ),
    "QueryApprovedChaincodeDefinition": _Function(
        lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs, approval.query_approved
    ),
    "QueryApprovedChaincodeDefinitions": _Function(
        lifecycle_pb2.QueryApprovedChaincodeDefinitionsArgs, approval.query_all_approved
    ),
    "CheckCommitReadiness": _Function(lifecycle_pb2.CheckCommitReadinessArgs, commitment.check_readiness),
    "CommitChaincodeDefinition": _Function(lifecycle_pb2.CommitChaincodeDefinitionArgs, commitment.commit),
    "QueryChaincodeDefinition": _Function(lifecycle_pb2.QueryChaincodeDefinitionArgs, commitment.query_committed),
    "QueryChaincodeDefinitions": _Function(lifecycle_pb2.QueryChaincodeDefinitionsArgs, commitment.query_all_committed),
}


class LifecycleChaincode:
    """`_lifecycle` on one peer of `msp_id`."""

    def __init__(
        self, msp_id: str, access: AccessControl, packages: PackageStore, ledgers: Mapping[str, Ledger]
    ) -> None:
        self._msp_id = msp_id
        self._access = access
        self._packages = packages
        self._ledgers = ledgers

    def invoke(self, invocation: Invocation) -> proposal_response_pb2.Response:
        """Answer one call; refusals are answers too."""
        args = invocation.args
        if not args:
            return failure("lifecycle scc must be invoked with arguments")
        if len(args) != _ARGUMENTS:
            return failure(f"lifecycle scc operations require exactly two arguments but received {len(args)}")
        name = args[0].decode(errors="replace")
        call = self._call(invocation)
        if call.config is not None and not call.config.capabilities.lifecycle:
            return failure(
                f"cannot use new lifecycle for channel '{call.channel_id}' "
                "as it does not have the required capabilities enabled"
            )
        try:
            self._access.check(f"{NAMESPACE}/{name}", invocation.channel_id, call.config, invocation.signed_data)
        except AccessDenied as exc:
            return failure(f"Failed to authorize invocation due to failed ACL check: {exc}")
        return _dispatch(name, args[1], call)

    def _call(self, invocation: Invocation) -> Call:
        ledger = self._ledgers.get(invocation.channel_id)
        return Call(
            msp_id=self._msp_id,
            packages=self._packages,
            ledgers=self._ledgers,
            channel_id=invocation.channel_id,
            transaction_id=invocation.proposal.transaction_id,
            config=ledger.config if ledger else None,
            simulator=invocation.simulator,
        )


def _dispatch(name: str, data: bytes, call: Call) -> proposal_response_pb2.Response:
    function = _FUNCTIONS[name]  # every name the access check maps is here
    prefix = f"failed to invoke backing implementation of '{name}': "
    try:
        args = function.args.FromString(data)
    except DecodeError:
        return failure(
            f"{prefix}could not decode input arg for *lifecycle.Invocation.{name}: "
            "proto: cannot parse invalid wire-format data"
        )
    try:
        result = function.run(call, args)
    except NamespaceNotDefined as exc:
        return failure(str(exc), _NOT_FOUND)
    except (Refusal, SimulationError) as exc:
        return failure(f"{prefix}{exc}")
    return success(result.SerializeToString(deterministic=True))
