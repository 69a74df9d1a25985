"""Whatever bytes come in, the library reads them or refuses them with its own errors."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opssc_tools.fuzz.mutation import MAX_BYTES, mutate, read_fields, write_fields
from opssc_tools.fuzz.targets import TARGETS

DAMAGES = st.lists(st.integers(0, 2**32), min_size=1, max_size=4)
QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def _mutate(data: bytes, seed: int, others: tuple[bytes, ...]) -> bytes:
    return mutate(data, Random(seed), others)  # noqa: S311 - repeatable damage


each_target = pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in TARGETS])


@each_target
def test_valid_material_is_read(name: str) -> None:
    for seed in TARGETS[name].seeds():
        TARGETS[name].read(seed)


@each_target
@given(data=st.data(), damages=DAMAGES)
@QUICK
def test_damaged_material_is_read_or_refused_with_a_typed_error(
    name: str, data: st.DataObject, damages: list[int]
) -> None:
    seeds = TARGETS[name].seeds()
    hurt = data.draw(st.sampled_from(range(len(seeds))).map(seeds.__getitem__))

    for seed in damages:
        hurt = _mutate(hurt, seed, seeds)

    TARGETS[name].read(hurt)


@each_target
@given(junk=st.binary(max_size=500))
@QUICK
def test_any_bytes_are_read_or_refused_with_a_typed_error(name: str, junk: bytes) -> None:
    TARGETS[name].read(junk)


@given(text=st.text(max_size=60) | st.text("(),'+-*/.<=OR123;[]A ", max_size=60))
@settings(max_examples=200)
def test_any_text_as_a_policy_is_read_or_refused_with_a_typed_error(text: str) -> None:
    TARGETS["policy-text"].read(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in ("block", "config", "envelope", "msp")])
def test_messages_are_taken_apart_and_put_together_without_loss(name: str) -> None:
    for seed in TARGETS[name].seeds():
        fields = read_fields(seed)

        assert fields is not None
        assert write_fields(fields) == seed


@given(seed=st.integers(0, 2**32))
@settings(max_examples=50)
def test_damage_is_bounded_and_can_be_repeated(seed: int) -> None:
    material = TARGETS["config"].seeds()

    hurt = _mutate(material[0], seed, material)

    assert len(hurt) <= MAX_BYTES
    assert hurt == _mutate(material[0], seed, material)
