"""Who may use which resource of a peer: Fabric's default policies and the channel's own ACLs.

Source: fabric core/aclmgmt (defaultaclprovider.go, resourceprovider.go), core/policy/policy.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fabric_admin.errors import IdentityError, PolicyNotSatisfied
from fabric_admin.principals import Role, role_principal
from fabric_devnet.embedded.errors import AccessDenied

if TYPE_CHECKING:
    from fabric_admin.channelconfig import ChannelConfig
    from fabric_admin.msp import MSP
    from fabric_admin.policy import SignedData

READERS: Final = "/Channel/Application/Readers"
WRITERS: Final = "/Channel/Application/Writers"
_LOCAL_ROLES: Final = {"Admins": Role.ADMIN, "Members": Role.MEMBER}

_LOCAL_POLICIES: Final = {
    "_lifecycle/InstallChaincode": "Admins",
    "_lifecycle/QueryInstalledChaincode": "Admins",
    "_lifecycle/GetInstalledChaincodePackage": "Admins",
    "_lifecycle/QueryInstalledChaincodes": "Admins",
    "_lifecycle/ApproveChaincodeDefinitionForMyOrg": "Admins",
    "_lifecycle/QueryApprovedChaincodeDefinition": "Admins",
    "_lifecycle/QueryApprovedChaincodeDefinitions": "Admins",
    "cscc/JoinChain": "Admins",
    "cscc/JoinChainBySnapshot": "Admins",
    "cscc/JoinBySnapshotStatus": "Admins",
    "cscc/GetChannels": "Members",
    "snapshot/submitrequest": "Admins",
    "snapshot/cancelrequest": "Admins",
    "snapshot/listpending": "Admins",
}
_CHANNEL_POLICIES: Final = {
    "_lifecycle/CommitChaincodeDefinition": WRITERS,
    "_lifecycle/QueryChaincodeDefinition": WRITERS,
    "_lifecycle/QueryChaincodeDefinitions": WRITERS,
    "_lifecycle/CheckCommitReadiness": WRITERS,
    "cscc/GetConfigBlock": READERS,
    "cscc/GetChannelConfig": READERS,
    "qscc/GetChainInfo": READERS,
    "qscc/GetBlockByNumber": READERS,
    "qscc/GetBlockByHash": READERS,
    "qscc/GetTransactionByID": READERS,
    "qscc/GetBlockByTxID": READERS,
    "peer/Propose": WRITERS,
    "peer/ChaincodeToChaincode": WRITERS,
    "event/Block": READERS,
    "event/FilteredBlock": READERS,
    "gateway/CommitStatus": READERS,
    "gateway/ChaincodeEvents": READERS,
}


class AccessControl:
    """Checks signed requests against the policy of a resource, for one peer."""

    def __init__(self, local_msp: MSP) -> None:
        self._local_msp = local_msp

    def check(self, resource: str, channel_id: str, config: ChannelConfig | None, signed: SignedData) -> None:
        """Check who signed a request for `resource`; raises AccessDenied with Fabric's text.

        `channel_id` is "" outside a channel; `config` is None when the peer is not on that channel.
        """
        local = _LOCAL_POLICIES.get(resource)
        if local is not None:
            self._check_local(local, signed)
            return
        reference = _override(resource, config)
        if reference is not None and config is not None:
            _check_override(reference, config, signed)
            return
        policy = _CHANNEL_POLICIES.get(resource)
        if policy is None:
            raise AccessDenied(f"Unmapped policy for {resource}")
        if not channel_id:
            self._check_local(policy, signed)
            return
        if config is None:
            raise AccessDenied(f"Failed to get policy manager for channel [{channel_id}]")
        check_channel_policy(policy, channel_id, config, signed)

    def check_request(self, resource: str, signed: SignedData) -> None:
        """Check who signed a request that is no proposal and of no channel; raises AccessDenied with Fabric's text."""
        self._check_local(_LOCAL_POLICIES[resource], signed, proposal=False)

    def _check_local(self, policy: str, signed: SignedData, *, proposal: bool = True) -> None:
        failed, who = ("Failed", "proposal creator") if proposal else ("failed", "signed data identity")
        verified = "proposal's creator" if proposal else "the signed data identity"
        during = f"during channelless check policy with policy [{policy}]"
        try:
            identity = self._local_msp.deserialize(signed.identity)
        except IdentityError as exc:
            raise AccessDenied(f"{failed} deserializing {who} {during}: [{exc}]") from exc
        role = _LOCAL_ROLES.get(policy)
        if role is None:
            raise AccessDenied(
                f"Failed getting local MSP principal {during}: [MSP Principal role [{policy}] not recognized]"
            )
        try:
            self._local_msp.satisfies(identity, role_principal(self._local_msp.msp_id, role))
        except IdentityError as exc:
            raise AccessDenied(
                f"{failed} verifying that {verified} satisfies local MSP principal {during}: [{exc}]"
            ) from exc
        try:
            identity.verify(signed.data, signed.signature)
        except IdentityError as exc:
            raise AccessDenied(str(exc)) from exc


def check_channel_policy(policy: str, channel_id: str, config: ChannelConfig, signed: SignedData) -> None:
    """Check who signed a request against a policy of a channel; raises AccessDenied with Fabric's text."""
    try:
        config.policies.evaluate(policy, [signed])
    except PolicyNotSatisfied as exc:
        raise AccessDenied(
            f"Failed evaluating policy on signed data during check policy on channel [{channel_id}] "
            f"with policy [{policy}]: [{exc}]"
        ) from exc


def _override(resource: str, config: ChannelConfig | None) -> str | None:
    reference = config.acls.get(resource) if config is not None else None
    if not reference:
        return None
    return reference if reference.startswith("/") else f"/Channel/Application/{reference}"


def _check_override(reference: str, config: ChannelConfig, signed: SignedData) -> None:
    try:
        config.policies.evaluate(reference, [signed])
    except PolicyNotSatisfied as exc:
        raise AccessDenied(
            f"failed evaluating policy on signed data during check policy [{reference}]: [{exc}]"
        ) from exc
