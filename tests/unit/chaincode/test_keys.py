"""Composite keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_chaincode.shim import InvalidKeyError, composite_key, composite_range, split_composite_key
from opssc_chaincode.state import ProposalKey, proposal_of

attribute = st.text(st.characters(exclude_characters="\x00\U0010ffff", exclude_categories=["Cs"]))


@given(attribute, st.lists(attribute))
def test_a_composite_key_is_split_into_its_parts(object_type: str, attributes: list[str]) -> None:
    assert split_composite_key(composite_key(object_type, *attributes)) == (object_type, tuple(attributes))


@given(attribute, st.lists(attribute, max_size=2), st.lists(attribute, max_size=2))
def test_a_range_holds_exactly_the_keys_that_begin_with_its_attributes(
    object_type: str, prefix: list[str], more: list[str]
) -> None:
    start, end = composite_range(object_type, *prefix)

    assert start <= composite_key(object_type, *prefix, *more) < end
    assert not start <= composite_key(object_type, *prefix[:-1], "".join(prefix[-1:]) + "x") < end or not prefix


@pytest.mark.parametrize("part", ["a\x00b", "\U0010ffff", "\ud800"], ids=ascii)
def test_parts_that_the_state_cannot_hold_are_refused(part: str) -> None:
    with pytest.raises(InvalidKeyError):
        composite_key("proposal", part)


@pytest.mark.parametrize("key", ["", "simple", "\x00", "\x00open"], ids=ascii)
def test_other_keys_are_not_composite(key: str) -> None:
    with pytest.raises(InvalidKeyError):
        split_composite_key(key)


def test_every_key_of_the_contract_tells_its_proposal() -> None:
    key = ProposalKey("Org1MSP", "basic-1")

    assert {proposal_of(written) for written in (key.proposal, key.closing, key.vote("Org2MSP"))} == {key}
    assert proposal_of("simple") is None
    assert proposal_of(composite_key("other", "a", "b")) is None
    assert proposal_of(composite_key("vote", "a")) is None
