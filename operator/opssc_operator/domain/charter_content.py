"""Manifests and ledger contents of charter proposals, turned into each other. Pure.

A manifest holds a charter in full; only its version and what it replaces are resolved when it is proposed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError

from opssc_chaincode.model import Charter, CharterInForce, DocumentError, VotingPeriod
from opssc_chaincode.model.document import describe
from opssc_operator.api.charter_proposal import CharterProposalSpec, CharterTerms
from opssc_operator.api.durations import format_duration
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.content import ContentError

MANIFEST_NAMES: Final = {
    "version": "version",
    "previous": "previous",
    "minimum": "minimum",
    "voting_period": "votingPeriod",
    "roles": "roles",
    "max_clock_skew_seconds": "maxClockSkew",
}
"""Terms by their attribute, as a manifest calls them."""


def build_charter(spec: CharterProposalSpec, current: CharterInForce) -> Charter:
    """The charter that a manifest proposes in place of the ``current`` one; raises ContentError."""
    resolved: dict[str, Any] = {"version": current.version + 1}
    if current.proposal is not None:
        resolved["previous"] = current.proposal
    stated = stated_terms(spec.charter)
    for name, value in resolved.items():
        if stated.get(name, value) != value:
            raise ContentError(f"charter.{name}: the next one is {value}, not {stated[name]}; leave it out")
    if "previous" in stated and current.proposal is None:
        raise ContentError("charter.previous: the charter in force is the built-in default; leave it out")
    return _validated({**stated, **resolved})


def stated_terms(terms: CharterTerms) -> dict[str, Any]:
    """The terms a manifest sets, as the contract's JSON."""
    known = terms.to_manifest()
    stated: dict[str, Any] = {name: known[name] for name in ("version", "minimum", "roles") if name in known}
    if terms.previous is not None:
        stated["previous"] = str(terms.previous.ref)
    if terms.voting_period is not None:
        spans = {"default": terms.voting_period.default, "max": terms.voting_period.max}
        stated["votingPeriod"] = {name: _seconds(span) for name, span in spans.items() if span is not None}
    if terms.max_clock_skew is not None:
        stated["maxClockSkewSeconds"] = _seconds(terms.max_clock_skew)
    return stated


def conflicting_terms(spec: CharterProposalSpec, content: Charter) -> tuple[str, ...]:
    """Manifest names of the terms in which a manifest contradicts the ledger; unset ones contradict nothing."""
    stated = stated_terms(spec.charter)
    try:
        wanted = _validated({**content.to_json(), **stated})
    except ContentError as exc:
        return (f"charter.{str(exc).partition(':')[0]}",)
    differing = (name for name in MANIFEST_NAMES if getattr(wanted, name) != getattr(content, name))
    return tuple(sorted(f"charter.{MANIFEST_NAMES[name]}" for name in differing))


def to_terms(content: Charter) -> dict[str, Any]:
    """``spec.charter`` of the mirror of a proposal on the ledger: every term, default or not."""
    known = content.to_json()
    terms: dict[str, Any] = {
        "version": content.version,
        "minimum": known.get("minimum", {}),
        "votingPeriod": to_period(content.voting_period),
        "roles": {"vote": content.roles.vote.value, "report": content.roles.report.value},
        "maxClockSkew": format_duration(content.max_clock_skew),
    }
    if content.previous is not None:
        ref = ProposalRef.parse(content.previous)
        terms["previous"] = {"creator": ref.creator, "id": ref.id}
    return terms


def to_period(period: VotingPeriod) -> dict[str, str]:
    """A voting period as a manifest writes it."""
    spans = {"default": period.default, "max": period.max}
    return {name: format_duration(timedelta(seconds=seconds)) for name, seconds in spans.items()}


def _seconds(span: timedelta) -> int:
    return span // timedelta(seconds=1)


def _validated(fields: Mapping[str, Any]) -> Charter:
    try:
        return Charter.model_validate_json(json.dumps(fields))
    except (ValidationError, DocumentError) as exc:
        raise ContentError(describe(exc) if isinstance(exc, ValidationError) else str(exc)) from exc
