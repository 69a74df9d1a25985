"""Laying the changes of a proposal over a channel's configuration, one after the other. Pure.

Every change goes through an edit of the Fabric library, which refuses what no node would load and what would harm the
channel; the refusal then names the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from fabric_protos.common import configtx_pb2

from fabric_admin.channelconfig import Address, Consenter, Kind, edits
from fabric_admin.errors import ConfigError
from opssc_chaincode.model import changes as wanted
from opssc_operator.domain.channels.definitions import build_msp, build_node_ous, pem_bytes

Config = configtx_pb2.Config
MAX_CHANGE_TEXT: Final = 200
MAX_RULES: Final = 64 * 1024
"""Characters of all rules together: after every change the whole configuration is gone through once more."""


class ChangeRefused(ValueError):
    """A change that cannot be made to a configuration; ``element`` is its path, the text says why and what instead."""

    def __init__(self, text: str, element: str = "") -> None:
        super().__init__(text)
        self.element = element


def apply_changes(config: Config, changes: Sequence[wanted.Change], *, governance: bool) -> Config:
    """The configuration after all ``changes``, in their order; raises ChangeRefused naming the first that cannot be.

    ``governance`` marks the channel on which the consortium votes.
    """
    if sum(len(change.member.rule) for change in changes if isinstance(change.member, wanted.SetPolicy)) > MAX_RULES:
        raise ChangeRefused(f"the rules of the changes take more than {MAX_RULES} characters; split them")
    for number, change in enumerate(changes):
        try:
            if isinstance(change.member, wanted.SetMaintenance):
                config = edits.set_maintenance(config, on=change.member.enabled, governance=governance)
            else:
                config = _EDITS[type(change.member)](config, change.member)
        except ConfigError as exc:
            raise ChangeRefused(f"changes[{number}].{change.type}: {exc}", exc.element) from exc
    return config


def _add_organization(config: Config, change: wanted.AddOrganization) -> Config:
    return edits.add_organization(
        config,
        build_msp(change.msp_id, change.definition),
        name=change.msp_id,
        sections=tuple(change.groups),
        anchor_peers=_addresses(change.anchor_peers),
        orderer_endpoints=change.orderer_endpoints,
    )


def _remove_organization(config: Config, change: wanted.RemoveOrganization) -> Config:
    return edits.remove_organization(config, change.msp_id, sections=tuple(change.groups))


def _set_anchor_peers(config: Config, change: wanted.SetAnchorPeers) -> Config:
    return edits.set_anchor_peers(config, change.msp_id, _addresses(change.anchor_peers))


def _set_organization_msp(config: Config, change: wanted.SetOrganizationMsp) -> Config:
    lists: dict[str, Any] = {
        name: None if (texts := getattr(change, name)) is None else pem_bytes(texts)
        for name in (
            "root_certs",
            "intermediate_certs",
            "tls_root_certs",
            "tls_intermediate_certs",
            "revocation_list",
            "admins",
        )
    }
    node_ous = None if change.node_ous is None else build_node_ous(change.node_ous)
    return edits.set_organization_msp(config, change.msp_id, **lists, fabric_node_ous=node_ous)


def _set_orderer_endpoints(config: Config, change: wanted.SetOrdererEndpoints) -> Config:
    return edits.set_orderer_endpoints(config, change.msp_id, change.endpoints)


def build_consenter(consenter: wanted.AddConsenter, number: int = 0, msp_id: str = "") -> Consenter:
    """A consenter as the Fabric library takes it; ``number`` 0 leaves its ID to the library."""
    return Consenter(
        address=Address(consenter.host, consenter.port),
        client_tls_cert=consenter.client_tls_cert.encode("ascii"),
        server_tls_cert=consenter.server_tls_cert.encode("ascii"),
        id=number,
        msp_id=consenter.msp_id or msp_id,
        identity=(consenter.identity or "").encode("ascii"),
    )


def _add_consenter(config: Config, change: wanted.AddConsenter) -> Config:
    return edits.add_consenter(config, build_consenter(change))


def _remove_consenter(config: Config, change: wanted.RemoveConsenter) -> Config:
    return edits.remove_consenter(config, Address(change.host, change.port))


def _replace_consenter_certificates(config: Config, change: wanted.ReplaceConsenterCertificates) -> Config:
    return edits.replace_consenter_certificates(
        config,
        Address(change.host, change.port),
        client_tls_cert=_pem(change.client_tls_cert),
        server_tls_cert=_pem(change.server_tls_cert),
        identity=_pem(change.identity),
    )


def _set_batch(config: Config, change: wanted.SetBatch) -> Config:
    return edits.set_batch(
        config,
        timeout=change.timeout,
        max_message_count=change.max_message_count,
        absolute_max_bytes=change.absolute_max_bytes,
        preferred_max_bytes=change.preferred_max_bytes,
    )


def _set_raft_options(config: Config, change: wanted.SetRaftOptions) -> Config:
    return edits.set_raft_options(
        config,
        tick_interval=change.tick_interval,
        election_tick=change.election_tick,
        heartbeat_tick=change.heartbeat_tick,
        max_inflight_blocks=change.max_inflight_blocks,
        snapshot_interval_size=change.snapshot_interval_size,
    )


def _set_capability(config: Config, change: wanted.SetCapability) -> Config:
    return edits.set_capability(config, change.section, change.level)


def _set_policy(config: Config, change: wanted.SetPolicy) -> Config:
    return edits.set_policy(config, change.path, change.rule)


def _set_mod_policy(config: Config, change: wanted.SetModPolicy) -> Config:
    kind = None if change.kind is None else Kind(change.kind)
    return edits.set_mod_policy(config, change.path, change.mod_policy, kind=kind)


def _set_acl(config: Config, change: wanted.SetAcl) -> Config:
    return edits.set_acl(config, change.resource, change.policy)


_EDITS: Final[Mapping[type[Any], Callable[[Config, Any], Config]]] = {
    wanted.AddOrganization: _add_organization,
    wanted.RemoveOrganization: _remove_organization,
    wanted.SetAnchorPeers: _set_anchor_peers,
    wanted.SetOrganizationMsp: _set_organization_msp,
    wanted.SetOrdererEndpoints: _set_orderer_endpoints,
    wanted.AddConsenter: _add_consenter,
    wanted.RemoveConsenter: _remove_consenter,
    wanted.ReplaceConsenterCertificates: _replace_consenter_certificates,
    wanted.SetBatch: _set_batch,
    wanted.SetRaftOptions: _set_raft_options,
    wanted.SetCapability: _set_capability,
    wanted.SetPolicy: _set_policy,
    wanted.SetModPolicy: _set_mod_policy,
    wanted.SetAcl: _set_acl,
}


def _addresses(addresses: Iterable[wanted.Address]) -> tuple[Address, ...]:
    return tuple(Address(each.host, each.port) for each in addresses)


def _pem(text: str | None) -> bytes | None:
    return None if text is None else text.encode("ascii")
