"""When consenters' certificates end: announced 30 days ahead, by name and date, in the same words until it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric.authority import END, authority
from unit.fabric.channel import BFT_PROFILE, PROFILE, build, consenter, load

from fabric_admin.channelconfig import ChannelConfig, Consenter
from fabric_admin.genesis import Profile
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.consenterexpiry import ANNOUNCED_BEFORE, ConsenterEnd, earliest_ends, find_ends, judge_ends

DUE = datetime(2026, 12, 24, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def pem(until: datetime) -> bytes:
    return authority("OrdererMSP").issue("orderer", until=until).certificate_pem


def config_with(changed: Consenter, profile: Profile = PROFILE) -> ChannelConfig:
    rest = tuple(each for each in profile.consenters if each.address != changed.address)
    return load(build(replace(profile, consenters=(*rest, changed))))


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        pytest.param(DUE - ANNOUNCED_BEFORE - SECOND, Reason.CERTIFICATES_VALID, id="31-days"),
        pytest.param(DUE - ANNOUNCED_BEFORE, Reason.CERTIFICATE_EXPIRING, id="30-days"),
        pytest.param(DUE - SECOND, Reason.CERTIFICATE_EXPIRING, id="a-second"),
        pytest.param(DUE, Reason.CERTIFICATE_EXPIRED, id="over"),
    ],
)
def test_the_end_of_a_certificate_is_announced_thirty_days_ahead(now: datetime, reason: Reason) -> None:
    config = config_with(replace(consenter(2), client_tls_cert=pem(DUE)))

    verdict = judge_ends(find_ends(config), now)

    assert verdict.reason is reason
    assert verdict.holds is (reason is Reason.CERTIFICATES_VALID)
    named = "orderer2:7050 is valid until 2026-12-24 (client TLS)"
    assert verdict.message == (
        "no consenter's certificate expires within 30 days"
        if verdict.holds
        else f"propose replaceConsenterCertificates, one at a time: {named}"
    )


@pytest.mark.parametrize(
    ("changed", "certificates"),
    [
        pytest.param({"client_tls_cert": pem(DUE)}, ("client TLS",), id="client"),
        pytest.param({"server_tls_cert": pem(DUE)}, ("server TLS",), id="server"),
        pytest.param({"identity": pem(DUE)}, ("identity",), id="identity"),
        pytest.param(
            {"client_tls_cert": pem(DUE), "server_tls_cert": pem(DUE)}, ("client TLS", "server TLS"), id="both"
        ),
    ],
)
def test_the_first_certificate_to_end_is_the_one_that_is_named(
    changed: dict[str, bytes], certificates: tuple[str, ...]
) -> None:
    config = config_with(replace(consenter(2), **changed), BFT_PROFILE)  # type: ignore[arg-type]

    ends = {end.address: end for end in find_ends(config)}

    assert ends["orderer2:7050"] == ConsenterEnd("orderer2:7050", DUE, certificates)
    assert {end.not_after for address, end in ends.items() if address != "orderer2:7050"} == {END}
    assert earliest_ends(tuple(ends.values()))["orderer2:7050"] == DUE.timestamp()


def test_a_certificate_that_nobody_can_read_is_left_out() -> None:
    nonsense = replace(consenter(2), client_tls_cert=b"no PEM", server_tls_cert=b"no PEM", identity=b"no PEM")

    ends = find_ends(config_with(nonsense, BFT_PROFILE))

    assert [end.address for end in ends] == ["orderer1:7050", "orderer3:7050", "orderer4:7050"]


@given(
    days=st.dictionaries(st.integers(1, 64), st.integers(-60, 60), min_size=1, max_size=64),
    seed=st.randoms(use_true_random=False),
)
def test_the_words_depend_on_nothing_but_who_is_due(days: dict[int, int], seed: object) -> None:
    ends = [ConsenterEnd(f"o{number}:7050", DUE + timedelta(days=each), ("identity",)) for number, each in days.items()]
    shuffled = ends.copy()
    seed.shuffle(shuffled)  # type: ignore[attr-defined]

    verdict = judge_ends(ends, DUE)

    assert verdict == judge_ends(shuffled, DUE) == judge_ends(ends, DUE + SECOND * 3600)
    assert verdict.holds is all(each > 30 for each in days.values())
    assert (verdict.reason is Reason.CERTIFICATE_EXPIRED) is any(each <= 0 for each in days.values())
    assert len(verdict.message) <= 256
