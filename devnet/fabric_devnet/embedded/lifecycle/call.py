"""What one call of `_lifecycle` works with, and what its functions share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fabric_protos.peer import policy_pb2

from fabric_devnet.embedded.errors import DefinitionRefused
from fabric_devnet.embedded.lifecycle.state import Definition, Parameters
from fabric_devnet.embedded.lifecycle.views import OrganizationView, PublicView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabric_protos.peer.lifecycle import lifecycle_pb2

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_devnet.embedded.ledger import Ledger
    from fabric_devnet.embedded.packages import PackageStore
    from fabric_devnet.embedded.simulator import Simulator

    DefinitionArgs = (
        lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs
        | lifecycle_pb2.CheckCommitReadinessArgs
        | lifecycle_pb2.CommitChaincodeDefinitionArgs
    )

DEFAULT_POLICY: Final = "/Channel/Application/Endorsement"


@dataclass(frozen=True, slots=True)
class Call:
    """One call on the peer of `msp_id`; outside a channel `channel_id` is "" and `config` and `simulator` are None."""

    msp_id: str
    packages: PackageStore
    ledgers: Mapping[str, Ledger]
    channel_id: str
    transaction_id: str
    config: ChannelConfig | None
    simulator: Simulator | None

    @property
    def public(self) -> PublicView:
        """Public keys of `_lifecycle`; raises DefinitionRefused outside a channel."""
        return PublicView(self._simulator)

    @property
    def own(self) -> OrganizationView:
        """The collection of the peer's organization; raises DefinitionRefused outside a channel."""
        return OrganizationView(self._simulator, self.msp_id)

    def organization(self, msp_id: str) -> OrganizationView:
        """The collection of any organization; raises DefinitionRefused outside a channel."""
        return OrganizationView(self._simulator, msp_id)

    @property
    def channel(self) -> ChannelConfig:
        """The channel's configuration; raises DefinitionRefused outside a channel."""
        if self.config is None:
            raise DefinitionRefused(f"could not get channelconfig for channel '{self.channel_id}'")
        return self.config

    @property
    def _simulator(self) -> Simulator:
        if self.simulator is None:
            raise DefinitionRefused(f"GET_STATE failed: transaction ID: {self.transaction_id}: no ledger context")
        return self.simulator


def requested_definition(args: DefinitionArgs) -> Definition:
    """Read the definition out of a call's arguments, as sent."""
    parameters = Parameters(
        version=args.version,
        endorsement_plugin=args.endorsement_plugin,
        init_required=args.init_required,
        validation_plugin=args.validation_plugin,
        validation_parameter=args.validation_parameter,
        collections=args.collections.SerializeToString(deterministic=True),
    )
    return Definition(args.name, args.sequence, parameters)


def with_defaults(definition: Definition, call: Call) -> Definition:
    """Fill in what was left empty; raises DefinitionRefused when the channel lacks the default policy."""
    parameters = definition.parameters
    validation_parameter = parameters.validation_parameter or _default_policy(call)
    filled = replace(
        parameters,
        endorsement_plugin=parameters.endorsement_plugin or "escc",
        validation_plugin=parameters.validation_plugin or "vscc",
        validation_parameter=validation_parameter,
    )
    return replace(definition, parameters=filled)


def _default_policy(call: Call) -> bytes:
    if not call.channel.policies.has(DEFAULT_POLICY):
        raise DefinitionRefused(
            f"could not set defaults for chaincode definition in channel {call.channel_id}: "
            f"policy '{DEFAULT_POLICY}' must be defined for channel '{call.channel_id}' "
            "before chaincode operations can be attempted"
        )
    policy = policy_pb2.ApplicationPolicy(channel_config_policy_reference=DEFAULT_POLICY)
    return policy.SerializeToString(deterministic=True)
