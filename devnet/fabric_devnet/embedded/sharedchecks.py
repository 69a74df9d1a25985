"""Signature and policy checks under one channel config; verdicts on policies are kept for all peers of the process.

Every peer judges every transaction by itself; the answers cannot differ while config, policy and signers are the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fabric_protos.peer import policy_pb2
from google.protobuf.message import DecodeError

from fabric_admin import policy
from fabric_admin.errors import FabricError, InvalidInput, PolicyNotSatisfied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabric_admin.channelconfig import ChannelConfig
    from fabric_admin.msp import Identity

_KEPT_CONFIGS = 64
_KEPT_CHECKS = 1024  # two full blocks


class SharedChecks:
    """Checks under one config; a check returns the reason it failed for, or None."""

    def __init__(self, config: ChannelConfig) -> None:
        self.config = config
        self._application_problem = lru_cache(maxsize=_KEPT_CHECKS)(self._find_application_problem)

    def creator(self, signed: policy.SignedData) -> str | None:
        """Check that a valid member of the channel signed this."""
        try:
            identity = self.config.msp_manager.deserialize(signed.identity)
            self.config.msp_manager.validate(identity)
            identity.verify(signed.data, signed.signature)
        except FabricError as exc:
            return str(exc)
        return None

    def application_policy(self, parameter: bytes, signed: Sequence[policy.SignedData]) -> str | None:
        """Check signatures against a pb(ApplicationPolicy)."""
        return self._application_problem(parameter, policy.valid_identities(signed, self.config.msp_manager))

    def _find_application_problem(self, parameter: bytes, signers: tuple[Identity, ...]) -> str | None:
        try:
            application = policy_pb2.ApplicationPolicy.FromString(parameter)
        except DecodeError:
            return "failed to unmarshal ApplicationPolicy bytes"
        kind = application.WhichOneof("Type")
        reference = application.channel_config_policy_reference
        try:
            if kind == "signature_policy":
                policy.SignaturePolicy(application.signature_policy).check(signers, self.config.msp_manager)
            elif kind != "channel_config_policy_reference":
                return f"unsupported policy type {kind}"
            elif not self.config.policies.has(reference):
                return f"failed to retrieve policy for reference {reference}"
            else:
                self.config.policies.get(reference).check(signers, self.config.msp_manager)
        except (PolicyNotSatisfied, InvalidInput) as exc:
            return str(exc)
        return None


_checks: dict[int, SharedChecks] = {}


def shared_checks(config: ChannelConfig) -> SharedChecks:
    """Return the checks under a config, the same for everyone who holds the same config object."""
    known = _checks.get(id(config))
    if known is None:
        while len(_checks) >= _KEPT_CONFIGS:
            del _checks[next(iter(_checks))]
        # The entry holds the config, so its id cannot be given to another one meanwhile.
        known = _checks[id(config)] = SharedChecks(config)
    return known
