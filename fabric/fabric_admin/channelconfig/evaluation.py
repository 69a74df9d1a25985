"""Which policies an update with its signatures satisfies, element by element, and whom the others lack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_protos.common import configtx_pb2

from fabric_admin.channelconfig import authorization
from fabric_admin.channelconfig.shortfall import principals, shortfall
from fabric_admin.channelconfig.signing import update_bytes
from fabric_admin.errors import ConfigUpdateRefused
from fabric_admin.policy import valid_identities
from fabric_admin.policy_rule import policy_text

if TYPE_CHECKING:
    from fabric_admin.channelconfig.authorization import Changes
    from fabric_admin.channelconfig.channel import ChannelConfig
    from fabric_admin.channelconfig.elements import Element
    from fabric_admin.msp import Identity


@dataclass(frozen=True, slots=True)
class Verdict:
    """What decides about one element an update sets."""

    key: str
    """``[Value]  /Channel/Orderer/BatchSize``, as in Fabric's messages."""
    path: str
    """``/Channel/Orderer/BatchSize``."""
    mod_policy: str
    """Absolute path of the policy that decides; empty for a new element, for which its parent's answers."""
    rule: str
    """The policy's text, such as ``MAJORITY Admins``."""
    satisfied: bool
    missing: tuple[str, ...]
    """Principals (``Org2MSP.admin``) of which more must sign, sorted."""
    lacking: str
    """The rule that is still open: ``1 of (Org2MSP.admin, Org3MSP.admin)``; empty when satisfied."""
    problem: str
    """Why the element is refused, in the orderer's words; empty when it is not."""

    @property
    def missing_organizations(self) -> tuple[str, ...]:
        """MSP IDs of the principals that are missing, sorted."""
        return tuple(sorted({each.rpartition(".")[0] for each in self.missing}))


def evaluate(
    config: ChannelConfig,
    config_update: configtx_pb2.ConfigUpdate | bytes,
    signatures: Iterable[configtx_pb2.ConfigSignature],
) -> tuple[Verdict, ...]:
    """Return one verdict per element the update sets, in order of key.

    Raises ConfigUpdateRefused when the update as a whole does not fit the config: another channel, a read set that is
    not the standing config, nothing changed, an unreadable signature header.
    """
    data = update_bytes(config_update)
    changes = authorization.compare(config, authorization.read_update(data))
    signers = valid_identities(authorization.signed_data(data, signatures), config.msp_manager)
    authorization.require_delta(changes)
    return tuple(_judge(config, changes, element, signers) for element in changes.delta)


def _judge(config: ChannelConfig, changes: Changes, element: Element, signers: Sequence[Identity]) -> Verdict:
    current = changes.standing.get(element.key)
    path = "" if current is None else current.policy_path
    policy = config.policies.get(path) if path else None
    lacking = None if policy is None else shortfall(policy, signers, config.msp_manager)
    problem = ""
    try:
        authorization.check_change(config, changes.standing, element, signers)
    except ConfigUpdateRefused as exc:
        problem = exc.message
    return Verdict(
        key=element.key,
        path=element.location,
        mod_policy=path,
        rule="" if policy is None else policy_text(policy),
        satisfied=not problem,
        missing=principals(lacking),
        lacking="" if lacking is None else str(lacking),
        problem=problem,
    )
