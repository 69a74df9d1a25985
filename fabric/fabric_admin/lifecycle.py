"""`_lifecycle` of one peer: install, approve, commit, and what the peer proves about them.

Queries go to the connected peer's Endorser, channel-less or on the channel, so the answer is this peer's own and no
Gateway can have asked somebody else's. Approving and committing are transactions through the peer's Gateway.
Source of names, defaults and messages: Fabric core/chaincode/lifecycle/scc.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from fabric_protos.peer import collection_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2
from google.protobuf.message import Message

from fabric_admin.definition import (
    ApprovedDefinition,
    ChaincodeReference,
    CommittedDefinition,
    Definition,
    InstalledChaincode,
    Readiness,
    channel_policy_parameter,
    signature_policy_parameter,
)
from fabric_admin.endorser import Endorser
from fabric_admin.errors import ChaincodeError, InvalidInput, NotOffered, PackageError, PolicySyntaxError
from fabric_admin.gateway import Gateway
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabric_admin.gateway import Prepared, Submitted
    from fabric_admin.identity import SigningIdentity
    from fabric_admin.transport import Connection

__all__ = [
    "LIFECYCLE",
    "ApprovedDefinition",
    "ChaincodeReference",
    "CommittedDefinition",
    "Definition",
    "InstalledChaincode",
    "Lifecycle",
    "Readiness",
    "channel_policy_parameter",
    "signature_policy_parameter",
]

LIFECYCLE: Final = "_lifecycle"
_NOT_FOUND: Final = 404
_QUERY_ALL_APPROVED: Final = "QueryApprovedChaincodeDefinitions"
_UNMAPPED: Final = f"Unmapped policy for _lifecycle/{_QUERY_ALL_APPROVED}"
"""What a peer says of a function it does not have."""
_NO_APPROVAL: Final = (
    "failed to invoke backing implementation of 'QueryApprovedChaincodeDefinition': "
    "could not fetch approved chaincode definition"
)
_ResultT = TypeVar("_ResultT", bound=Message)
_Described = (
    lifecycle_pb2.QueryChaincodeDefinitionResult
    | lifecycle_pb2.QueryChaincodeDefinitionsResult.ChaincodeDefinition
    | lifecycle_pb2.QueryApprovedChaincodeDefinitionResult
    | lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult.ApprovedChaincodeDefinition
)
_Approved = (
    lifecycle_pb2.QueryApprovedChaincodeDefinitionResult
    | lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult.ApprovedChaincodeDefinition
)


class Lifecycle:
    """Lifecycle functions for the identity's own organization, through a peer of that organization.

    Refusals by the peer are ChaincodeError (queries, install) or GatewayError (approve, commit), with Fabric's text;
    every call may raise RequestRefused, TransportError and DeadlineExceeded.
    """

    __slots__ = ("_endorser", "_gateway", "_identity")

    def __init__(self, connection: Connection, identity: SigningIdentity) -> None:
        self._endorser = Endorser(connection, identity)
        self._gateway = Gateway(connection, identity)
        self._identity = identity

    async def install(self, package: bytes, *, timeout_seconds: float = 300.0) -> str:
        """Install a package and return its package ID; the peer builds it before it answers."""
        result = await self._query(
            "InstallChaincode",
            lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=package),
            lifecycle_pb2.InstallChaincodeResult,
            timeout_seconds=timeout_seconds,
        )
        return result.package_id

    async def query_installed(self, *, timeout_seconds: float = 30.0) -> tuple[InstalledChaincode, ...]:
        """Return the packages on the peer, sorted by package ID."""
        result = await self._query(
            "QueryInstalledChaincodes",
            lifecycle_pb2.QueryInstalledChaincodesArgs(),
            lifecycle_pb2.QueryInstalledChaincodesResult,
            timeout_seconds=timeout_seconds,
        )
        installed = (_read_installed(chaincode) for chaincode in result.installed_chaincodes)
        return tuple(sorted(installed, key=lambda chaincode: chaincode.package_id))

    async def get_installed_package(self, package_id: str, *, timeout_seconds: float = 60.0) -> bytes:
        """Return the exact bytes that were installed as `package_id`."""
        result = await self._query(
            "GetInstalledChaincodePackage",
            lifecycle_pb2.GetInstalledChaincodePackageArgs(package_id=package_id),
            lifecycle_pb2.GetInstalledChaincodePackageResult,
            timeout_seconds=timeout_seconds,
        )
        return result.chaincode_install_package

    async def approve(
        self, channel: str, definition: Definition, package_id: str | None, *, timeout_seconds: float = 30.0
    ) -> Submitted:
        """Approve for the own organization and wait for the commit; raises CommitFailed.

        Only the own organization endorses: another one's peer must refuse (it checks for its own administrators).
        """
        return await self._gateway.submit(
            channel,
            LIFECYCLE,
            _call("ApproveChaincodeDefinitionForMyOrg", _approve_args(definition, package_id)),
            endorsing_organizations=(self._identity.msp_id,),
            timeout_seconds=timeout_seconds,
        )

    async def check_commit_readiness(
        self, channel: str, definition: Definition, *, timeout_seconds: float = 30.0
    ) -> Readiness:
        """Return who approved exactly `definition` and in what the others differ."""
        result = await self._query(
            "CheckCommitReadiness",
            lifecycle_pb2.CheckCommitReadinessArgs(
                sequence=definition.sequence,
                name=definition.name,
                version=definition.version,
                endorsement_plugin=definition.endorsement_plugin,
                validation_plugin=definition.validation_plugin,
                validation_parameter=definition.validation_parameter,
                collections=_collections(definition),
                init_required=definition.init_required,
            ),
            lifecycle_pb2.CheckCommitReadinessResult,
            channel=channel,
            timeout_seconds=timeout_seconds,
        )
        mismatches = {msp_id: tuple(found.items) for msp_id, found in result.mismatches.items()}
        return Readiness(dict(result.approvals), mismatches)

    async def endorse_commit(
        self,
        channel: str,
        definition: Definition,
        endorsing_organizations: Sequence[str] = (),
        *,
        timeout_seconds: float = 30.0,
    ) -> Prepared:
        """Collect endorsements for a commit without sending it, for callers that keep the transaction ID."""
        return await self._gateway.endorse(
            channel,
            LIFECYCLE,
            _call("CommitChaincodeDefinition", _commit_args(definition)),
            endorsing_organizations=endorsing_organizations,
            timeout_seconds=timeout_seconds,
        )

    async def commit(
        self,
        channel: str,
        definition: Definition,
        endorsing_organizations: Sequence[str] = (),
        *,
        timeout_seconds: float = 30.0,
        commit_timeout_seconds: float = 60.0,
    ) -> Submitted:
        """Commit a definition and wait; raises CommitFailed when too few organizations endorsed it.

        Without `endorsing_organizations` the peer plans by the channel's LifecycleEndorsement policy.
        """
        prepared = await self.endorse_commit(
            channel, definition, endorsing_organizations, timeout_seconds=timeout_seconds
        )
        await self._gateway.submit_prepared(prepared, timeout_seconds=timeout_seconds)
        return await self._gateway.committed(prepared, timeout_seconds=commit_timeout_seconds)

    async def query_committed(
        self, channel: str, name: str, *, timeout_seconds: float = 30.0
    ) -> CommittedDefinition | None:
        """Return the committed definition of `name`, or None when the channel has none."""
        try:
            result = await self._query(
                "QueryChaincodeDefinition",
                lifecycle_pb2.QueryChaincodeDefinitionArgs(name=name),
                lifecycle_pb2.QueryChaincodeDefinitionResult,
                channel=channel,
                timeout_seconds=timeout_seconds,
            )
        except ChaincodeError as exc:
            if exc.status == _NOT_FOUND:
                return None
            raise
        return CommittedDefinition(_read_definition(result, name), dict(result.approvals))

    async def query_committed_all(
        self, channel: str, *, timeout_seconds: float = 30.0
    ) -> tuple[CommittedDefinition, ...]:
        """Return every committed definition of the channel, sorted by name, without approvals."""
        result = await self._query(
            "QueryChaincodeDefinitions",
            lifecycle_pb2.QueryChaincodeDefinitionsArgs(),
            lifecycle_pb2.QueryChaincodeDefinitionsResult,
            channel=channel,
            timeout_seconds=timeout_seconds,
        )
        found = (CommittedDefinition(_read_definition(item, item.name), {}) for item in result.chaincode_definitions)
        return tuple(sorted(found, key=lambda committed: committed.definition.name))

    async def query_approved(
        self, channel: str, name: str, sequence: int = 0, *, timeout_seconds: float = 30.0
    ) -> ApprovedDefinition | None:
        """Return what the own organization approved for `name` (sequence 0: the latest), or None."""
        try:
            result = await self._query(
                "QueryApprovedChaincodeDefinition",
                lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs(name=name, sequence=sequence),
                lifecycle_pb2.QueryApprovedChaincodeDefinitionResult,
                channel=channel,
                timeout_seconds=timeout_seconds,
            )
        except ChaincodeError as exc:
            if exc.message.startswith(_NO_APPROVAL):
                return None
            raise
        return _read_approved(result, name)

    async def query_approved_all(
        self, channel: str, *, timeout_seconds: float = 30.0
    ) -> tuple[ApprovedDefinition, ...]:
        """Return all the own organization's approvals, sorted by name and sequence; raises NotOffered before 3.0."""
        try:
            result = await self._query(
                _QUERY_ALL_APPROVED,
                lifecycle_pb2.QueryApprovedChaincodeDefinitionsArgs(),
                lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult,
                channel=channel,
                timeout_seconds=timeout_seconds,
            )
        except ChaincodeError as exc:
            if _UNMAPPED in exc.message:
                raise NotOffered(_QUERY_ALL_APPROVED, "3.0", "query the approval of each name") from exc
            raise
        found = (_read_approved(item, item.name) for item in result.approved_chaincode_definitions)
        return tuple(sorted(found, key=lambda approved: (approved.definition.name, approved.definition.sequence)))

    async def _query(
        self,
        function: str,
        args: Message,
        result: type[_ResultT],
        *,
        channel: str = "",
        timeout_seconds: float,
    ) -> _ResultT:
        answer = await self._endorser.call(
            LIFECYCLE, _call(function, args), channel=channel, timeout_seconds=timeout_seconds
        )
        return decode(result, answer.payload, InvalidInput, f"answer of {function}")


def _call(function: str, args: Message) -> tuple[bytes, bytes]:
    return function.encode(), args.SerializeToString(deterministic=True)


def _approve_args(
    definition: Definition, package_id: str | None
) -> lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs:
    source = lifecycle_pb2.ChaincodeSource()
    if package_id is None:
        source.unavailable.SetInParent()
    elif package_id:
        source.local_package.package_id = package_id
    else:
        raise PackageError(f"chaincode {definition.name}: the package ID is empty; pass None to approve without one")
    return lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs(
        sequence=definition.sequence,
        name=definition.name,
        version=definition.version,
        endorsement_plugin=definition.endorsement_plugin,
        validation_plugin=definition.validation_plugin,
        validation_parameter=definition.validation_parameter,
        collections=_collections(definition),
        init_required=definition.init_required,
        source=source,
    )


def _commit_args(definition: Definition) -> lifecycle_pb2.CommitChaincodeDefinitionArgs:
    return lifecycle_pb2.CommitChaincodeDefinitionArgs(
        sequence=definition.sequence,
        name=definition.name,
        version=definition.version,
        endorsement_plugin=definition.endorsement_plugin,
        validation_plugin=definition.validation_plugin,
        validation_parameter=definition.validation_parameter,
        collections=_collections(definition),
        init_required=definition.init_required,
    )


def _collections(definition: Definition) -> collection_pb2.CollectionConfigPackage | None:
    if not definition.collections:
        return None
    return decode(collection_pb2.CollectionConfigPackage, definition.collections, PolicySyntaxError, "collections")


def _read_definition(described: _Described, name: str) -> Definition:
    return Definition(
        name=name,
        version=described.version,
        sequence=described.sequence,
        endorsement_plugin=described.endorsement_plugin,
        validation_plugin=described.validation_plugin,
        validation_parameter=described.validation_parameter,
        collections=described.collections.SerializeToString(deterministic=True),
        init_required=described.init_required,
    )


def _read_approved(described: _Approved, name: str) -> ApprovedDefinition:
    package_id = described.source.local_package.package_id or None
    return ApprovedDefinition(_read_definition(described, name), package_id)


def _read_installed(
    chaincode: lifecycle_pb2.QueryInstalledChaincodesResult.InstalledChaincode,
) -> InstalledChaincode:
    references = {
        channel: tuple(ChaincodeReference(user.name, user.version) for user in users.chaincodes)
        for channel, users in chaincode.references.items()
    }
    return InstalledChaincode(chaincode.package_id, chaincode.label, references)
