"""Keys of the work queue: what one reconcile is about. No I/O, no queueing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

UNKNOWN_CREATOR = "?"
"""Stands for the own MSP ID while the namespace has no FabricOrganization; no MSP ID may contain it."""


class KeyKind(StrEnum):
    """The reconcilers there are."""

    ORGANIZATION = "organization"
    PROPOSAL = "proposal"
    REPORT = "report"
    SERVER = "server"
    SWEEP = "sweep"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One unit of work: no two reconciles of one key ever overlap.

    `name` is the object's name for an organization, and "creator/id" (``Org1MSP/basic-2``) for a proposal and its
    report, whichever of manifest, mirror, votes and ledger facts exist. For a channel it is the channel's name, for a
    chaincode server the ID of its package.
    """

    kind: KeyKind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def organization_key(namespace: str, name: str) -> Key:
    """The key of the FabricOrganization object `name`."""
    return Key(KeyKind.ORGANIZATION, namespace, name)


def sweep_key(namespace: str) -> Key:
    """The key of comparing the store with what exists in the namespace."""
    return Key(KeyKind.SWEEP, namespace, "")


def proposal_key(namespace: str, ref: str) -> Key:
    """The key of the proposal `ref` ("creator/id")."""
    return Key(KeyKind.PROPOSAL, namespace, ref)


def server_key(namespace: str, package_id: str) -> Key:
    """The key of the chaincode server of one package."""
    return Key(KeyKind.SERVER, namespace, package_id)


def report_key(namespace: str, ref: str) -> Key:
    """The key of sending the own reports about the proposal `ref` ("creator/id")."""
    return Key(KeyKind.REPORT, namespace, ref)


def channel_key(namespace: str, channel: str) -> Key:
    """The key of showing the channel `channel`."""
    return Key(KeyKind.CHANNEL, namespace, channel)
