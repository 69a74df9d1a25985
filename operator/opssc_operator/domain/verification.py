"""Whether a proposal on the ledger says the truth, judged by what the own peer shows and what is computed here. Pure.

Nothing in a proposal is believed because it is on the chain: members, rule, charter, package and definition are all
checked before this organization votes for it or acts on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from opssc_chaincode.model import (
    ArchivePackage,
    ChaincodeContent,
    CharterInForce,
    GitPackage,
    Proposal,
    Rule,
    Snapshot,
    UnchangedPackage,
)
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.channel import BlockNotKept, ChannelView, NoConfiguration
from opssc_operator.domain.content import (
    BuiltPackage,
    ContentError,
    build_definition,
    build_package,
    hash_definition,
)
from opssc_operator.domain.verdict import Verdict, no, unknown, yes

MOVED_ON: Final = "the channel's members or policies changed since; propose anew under another id"


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a proposal is judged by: the block its snapshot names, and the charter in force when it was proposed."""

    pinned: ChannelView | NoConfiguration | BlockNotKept | None
    charter: CharterInForce


class Ruled(Protocol):
    """What verification needs of a kind of proposal."""

    def rule_of(self, channel: ChannelView) -> Rule | None:
        """The rule to be pinned."""

    def judge_content(self, proposal: Proposal) -> Verdict:
        """The kind's own part."""


def verify_proposal(kind: Ruled | None, proposal: Proposal, grounds: Grounds) -> Verdict:
    """Judge a proposal."""
    pinned = grounds.pinned
    if kind is None:
        return no(Reason.UNSUPPORTED_BY_THIS_VERSION, f"proposals of kind {proposal.kind} are not carried out here")
    if proposal.hash != proposal.content_hash:
        return no(Reason.INVALID_SPEC, "the stored content hash does not belong to the content")
    channel = proposal.snapshot.channel
    if pinned is None:
        number = proposal.snapshot.config_block
        message = f"the own peer does not show config block {number} of channel {channel} yet"
        return unknown(Reason.AWAITING_VERIFICATION, message)
    if isinstance(pinned, BlockNotKept):
        message = (
            f"the own peer joined channel {channel} by a snapshot and has no block {pinned.number}; "
            "list an orderer in spec.orderers of the FabricOrganization, or a peer that has it first"
        )
        return unknown(Reason.AWAITING_VERIFICATION, message)
    if isinstance(pinned, NoConfiguration):
        message = f"block {pinned.number} of channel {channel} is no config block; disagree"
        return no(Reason.SNAPSHOT_MISMATCH, message)
    claims = _false_claims(kind, proposal.snapshot, pinned, grounds.charter)
    return claims or kind.judge_content(proposal)


def _false_claims(kind: Ruled, snapshot: Snapshot, pinned: ChannelView, charter: CharterInForce) -> Verdict | None:
    claims = {
        "configHash": snapshot.config_hash == pinned.config_hash,
        "configSequence": snapshot.config_sequence == pinned.config_sequence,
        "members": snapshot.members == pinned.members,
        "rule": snapshot.rule == kind.rule_of(pinned),
        "charter": snapshot.charter == charter,
    }
    wrong = [name for name, holds in claims.items() if not holds]
    if not wrong:
        return None
    if wrong == ["charter"]:
        named = f"version {charter.version}" + (f" of {charter.proposal}" if charter.proposal else ", the default")
        return no(Reason.SNAPSHOT_MISMATCH, f"the charter in force when it was proposed is {named}; disagree")
    where = f"config block {snapshot.config_block} of channel {snapshot.channel}"
    return no(Reason.SNAPSHOT_MISMATCH, f"{', '.join(wrong)} differ from what the own peer shows in {where}; disagree")


def judge_chaincode(content: ChaincodeContent) -> Verdict:
    """Whether package and definition are what is computed here.

    A package that has to be fetched is judged by ``judge_fetched``, which is asked last because it costs most.
    """
    try:
        wrong = _package_verdict(content)
        computed = hash_definition(build_definition(content))
    except ContentError as exc:
        return no(Reason.INVALID_SPEC, str(exc))
    if wrong is not None:
        return wrong
    if computed != content.definition_hash:
        return no(Reason.DEFINITION_MISMATCH, "the definition hash does not belong to the definition; disagree")
    return yes(Reason.VERIFIED, "members, rule, package and definition are what the own peer shows")


def _package_verdict(content: ChaincodeContent) -> Verdict | None:
    """What is wrong with the package ID as far as it can be told without fetching anything; raises ContentError."""
    match content.package.source:
        case UnchangedPackage():
            if content.package_id is None and content.sequence > 1:
                return None
            return no(Reason.INVALID_SPEC, "a package that stays has no ID in the proposal, and a sequence before it")
        case GitPackage():
            if content.package_id is not None:
                return None
            return no(Reason.INVALID_SPEC, "the proposal does not say which package ID the commit gives; disagree")
        case ArchivePackage() as source:
            package_id = f"{source.label}:{source.sha256}"
        case _:
            package_id = build_package(content.package).package_id
    return None if content.package_id == package_id else _mismatch(package_id)


def judge_fetched(content: ChaincodeContent, fetched: BuiltPackage) -> Verdict | None:
    """What is wrong with a package that was fetched for a proposal."""
    return None if fetched.package_id == content.package_id else _mismatch(fetched.package_id)


def _mismatch(package_id: str) -> Verdict:
    return no(Reason.PACKAGE_ID_MISMATCH, f"the package built here is {package_id}; disagree")


def judge_staleness(kind: Ruled, snapshot: Snapshot, current: ChannelView) -> Verdict | None:
    """Why an open proposal comes to nothing: the channel has other members by now, or another rule."""
    if snapshot.members == current.members and snapshot.rule == kind.rule_of(current):
        return None
    return no(Reason.STALE, MOVED_ON)
