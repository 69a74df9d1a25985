"""Charters in manifests and on the ledger, turned into each other: proposed, contradicted, mirrored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_chaincode.model import (
    DEFAULT_CHARTER,
    Charter,
    CharterInForce,
    Fraction,
    Minimum,
    Minimums,
    Role,
    Roles,
    VotingPeriod,
)
from opssc_operator.api.charter_proposal import CharterProposalSpec
from opssc_operator.domain.charter_content import build_charter, conflicting_terms, to_terms
from opssc_operator.domain.content import ContentError

SECOND = CharterInForce(version=4, previous="Org1MSP/a", proposal="Org2MSP/b")
ALL = Minimum(fraction=Fraction.ALL)


def spec(**terms: Any) -> CharterProposalSpec:
    return CharterProposalSpec.model_validate({"charter": terms})


def test_a_manifest_without_terms_is_the_default_under_the_next_version() -> None:
    assert build_charter(spec(), SECOND) == Charter(version=5, previous="Org2MSP/b")
    assert build_charter(spec(), DEFAULT_CHARTER) == Charter(version=1)


def test_terms_are_written_in_the_units_of_the_ledger() -> None:
    # When
    built = build_charter(
        spec(
            minimum={"chaincode": {"fraction": "all"}},
            votingPeriod={"default": "48h"},
            roles={"vote": "client"},
            maxClockSkew="2m",
        ),
        DEFAULT_CHARTER,
    )

    # Then: what is left out of a term is that of the default too
    assert built == Charter(
        version=1,
        minimum=Minimums(chaincode=ALL),
        voting_period=VotingPeriod(default=48 * 3600),
        roles=Roles(vote=Role.CLIENT),
        max_clock_skew_seconds=120,
    )


@pytest.mark.parametrize(
    ("terms", "current", "words"),
    [
        pytest.param({"version": 5}, DEFAULT_CHARTER, "charter.version: the next one is 1, not 5", id="version"),
        pytest.param(
            {"previous": {"creator": "Org9MSP", "id": "x"}},
            SECOND,
            "charter.previous: the next one is Org2MSP/b, not Org9MSP/x",
            id="previous",
        ),
        pytest.param(
            {"previous": {"creator": "Org9MSP", "id": "x"}}, DEFAULT_CHARTER, "built-in default", id="previous-of-none"
        ),
        pytest.param({"votingPeriod": {"default": "3000h"}}, DEFAULT_CHARTER, "more than max", id="period"),
    ],
)
def test_terms_that_no_charter_may_have_are_refused_by_name(
    terms: dict[str, Any], current: CharterInForce, words: str
) -> None:
    with pytest.raises(ContentError, match=words):
        build_charter(spec(**terms), current)


def test_a_charter_counts_in_whole_seconds() -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        spec(maxClockSkew="1500ms")


@pytest.mark.parametrize(
    ("terms", "conflicts"),
    [
        pytest.param({}, (), id="says-nothing"),
        pytest.param({"minimum": {"chaincode": {"fraction": "all"}}}, (), id="says-the-same"),
        pytest.param({"minimum": {}}, ("charter.minimum",), id="other-minimum"),
        pytest.param({"version": 7, "maxClockSkew": "1s"}, ("charter.maxClockSkew", "charter.version"), id="two"),
        pytest.param({"previous": {"creator": "Org2MSP", "id": "b"}}, (), id="same-previous"),
        pytest.param({"previous": {"creator": "Org1MSP", "id": "b"}}, ("charter.previous",), id="other-previous"),
        pytest.param({"votingPeriod": {"default": "3000h"}}, ("charter.votingPeriod",), id="impossible"),
    ],
)
def test_only_what_a_manifest_says_can_contradict_the_ledger(terms: dict[str, Any], conflicts: tuple[str, ...]) -> None:
    stored = Charter(version=5, previous="Org2MSP/b", minimum=Minimums(chaincode=ALL))
    assert conflicting_terms(spec(**terms), stored) == conflicts


@st.composite
def charters(draw: st.DrawFn) -> Charter:
    minimum = st.none() | st.builds(Minimum, fraction=st.sampled_from(Fraction))
    default = draw(st.integers(60, 366 * 24 * 3600))
    return Charter(
        version=draw(st.integers(1, 2**31)),
        previous=draw(st.none() | st.just("Org2MSP/b")),
        minimum=Minimums(chaincode=draw(minimum), channel=draw(minimum), charter=draw(minimum)),
        voting_period=VotingPeriod(default=default, max=draw(st.integers(default, 366 * 24 * 3600))),
        roles=Roles(vote=draw(st.sampled_from(Role)), report=draw(st.sampled_from(Role))),
        max_clock_skew_seconds=draw(st.integers(0, 3600)),
    )


@given(charters())
def test_the_mirror_of_a_charter_says_all_of_it(charter: Charter) -> None:
    # When
    mirrored = CharterProposalSpec.model_validate({"charter": to_terms(charter)})

    # Then
    assert conflicting_terms(mirrored, charter) == ()
    before = CharterInForce(version=charter.version - 1, proposal=charter.previous)
    assert build_charter(mirrored, before) == charter
    assert mirrored.charter.max_clock_skew == timedelta(seconds=charter.max_clock_skew_seconds)
