"""Canonical JSON: one encoding per value, everything else refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_chaincode.canonical import MAX_DEPTH, MAX_DOCUMENT_BYTES, CanonicalError, Json, digest, dumps, loads

SAFE = 2**53 - 1
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.booleans(), st.none(), st.integers(-SAFE, SAFE), st.text(st.characters(exclude_categories=["Cs"]))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(values)
def test_a_value_survives_its_encoding(value: Json) -> None:
    assert loads(dumps(value)) == value


@given(values)
def test_any_other_spelling_of_a_value_is_refused(value: Json) -> None:
    spaced = json.dumps(value, indent=1).encode()

    if spaced != dumps(value):
        with pytest.raises(CanonicalError):
            loads(spaced)


@given(st.binary())
def test_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        value = loads(data)
    except CanonicalError:
        return
    assert dumps(value) == data


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        # The example of RFC 8785, section 3.2.3: members are sorted by UTF-16 code units.
        pytest.param(
            {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7},
            '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}',
            id="sorting of RFC 8785",
        ),
        pytest.param('\x00\x1f"\\/\b\t\n\f\r\x7f', '"\\u0000\\u001f\\"\\\\/\\b\\t\\n\\f\\r\x7f"', id="escapes"),
        pytest.param([SAFE, -SAFE, 0], f"[{SAFE},-{SAFE},0]", id="integers"),
    ],
)
def test_encodings_are_those_of_the_rfc(value: Json, encoded: str) -> None:
    assert dumps(value) == encoded.encode()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b'{"a":1,"a":1}', "twice", id="a member twice"),
        pytest.param(b"1.0", "only integers", id="a fraction"),
        pytest.param(b"1e3", "only integers", id="an exponent"),
        pytest.param(b"NaN", "only integers", id="not a number"),
        pytest.param(b"9007199254740992", "exceeds", id="too large"),
        pytest.param(b"9" * 100_000, "not an integer", id="endless"),
        pytest.param(b"-0", "not canonical", id="minus zero"),
        pytest.param(b'"\\ud800"', "UTF-8", id="half a character"),
        pytest.param(b'"\\u0041"', "not canonical", id="a needless escape"),
        pytest.param(b'"\xff"', "UTF-8", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", "not JSON", id="a byte order mark"),
        pytest.param(b"{} ", "not canonical", id="a trailing space"),
        pytest.param(b"[" * 200_000, "", id="open brackets only"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "deeper", id="a deep nest"),
        pytest.param(b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "deeper", id="one level too many"),
        pytest.param(b'"' + b"x" * MAX_DOCUMENT_BYTES + b'"', "bytes", id="too long"),
    ],
)
def test_what_is_not_canonical_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(CanonicalError) as refused:
        loads(data)

    assert text in str(refused.value)
    assert len(str(refused.value)) < 200


def test_the_digest_is_over_the_canonical_bytes() -> None:
    assert digest({"b": 1, "a": [True, None]}) == digest({"a": [True, None], "b": 1})
    # sha256sum of {}
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
