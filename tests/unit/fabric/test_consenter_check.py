"""Consenters that could not take part are refused by name: taken addresses, foreign or expired certificates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fabric_protos.orderer import configuration_pb2 as orderer_pb2
from unit.fabric.authority import END, authority
from unit.fabric.channel import BFT_PROFILE, NOW, PROFILE, build, consenter, load

from fabric_admin.channelconfig import Address, Consenter, check_consenters, edits
from fabric_admin.errors import ConfigError
from fabric_admin.genesis import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabric_protos.common import configtx_pb2

RAFT, MAPPING = "/Channel/Orderer/ConsensusType", "/Channel/Orderer/Orderers"


def pem(msp_id: str = "OrdererMSP", **given: object) -> bytes:
    return authority(msp_id).issue("orderer", **given).certificate_pem  # type: ignore[arg-type]


EXPIRED = pem(until=NOW - timedelta(days=1))
FOREIGN = pem("StrangerMSP")
FOURTH, FIFTH, SIXTH = consenter(4), consenter(5), consenter(6)


def with_consenters(profile: Profile, consenters: Sequence[Consenter]) -> configtx_pb2.Config:
    """The config of the profile's channel with other consenters, whether anybody could run it or not."""
    return build(replace(profile, consenters=tuple(consenters)))


def refusal(profile: Profile, consenters: Sequence[Consenter]) -> tuple[str, str]:
    """The text and the element of the refusal, empty when there is none."""
    try:
        check_consenters(load(build(profile)), load(with_consenters(profile, consenters)), NOW)
    except ConfigError as exc:
        return str(exc), exc.element
    return "", ""


@pytest.mark.parametrize(
    ("profile", "changed"),
    [
        pytest.param(PROFILE, (*PROFILE.consenters, FOURTH), id="raft-one-more"),
        pytest.param(PROFILE, PROFILE.consenters[1:], id="raft-one-less"),
        pytest.param(PROFILE, (*PROFILE.consenters[1:], FOURTH), id="raft-one-for-another"),
        pytest.param(
            PROFILE,
            (*PROFILE.consenters[1:], replace(PROFILE.consenters[0], client_tls_cert=FOURTH.client_tls_cert)),
            id="raft-new-certificate",
        ),
        pytest.param(BFT_PROFILE, (*BFT_PROFILE.consenters, FIFTH), id="bft-one-more"),
        pytest.param(BFT_PROFILE, BFT_PROFILE.consenters[1:], id="bft-one-less"),
        pytest.param(
            BFT_PROFILE,
            (*BFT_PROFILE.consenters[1:], replace(BFT_PROFILE.consenters[0], identity=FIFTH.identity)),
            id="bft-new-identity",
        ),
    ],
)
def test_a_single_sound_change_is_taken(profile: Profile, changed: tuple[Consenter, ...]) -> None:
    assert refusal(profile, changed) == ("", "")


Case = tuple[Profile, Consenter, tuple[str, ...]]


def raft(*words: str, **parts: Any) -> Case:
    """A fourth consenter of a Raft channel with parts replaced, and what its refusal says."""
    return PROFILE, replace(FOURTH, **parts), words


def bft(*words: str, **parts: Any) -> Case:
    """A fifth consenter of a BFT channel with parts replaced, and what its refusal says."""
    return BFT_PROFILE, replace(FIFTH, **parts), words


TAKEN = {"address": Address("orderer1", 7050)}
TWIN = {"identity": BFT_PROFILE.consenters[0].identity}
UNFIT: dict[str, Case] = {
    "raft-expired": raft("orderer4:7050", "expired", client_tls_cert=EXPIRED),
    "raft-foreign": raft("orderer4:7050", "unknown authority", server_tls_cert=FOREIGN),
    "raft-no-pem": raft("orderer4:7050", "no PEM data", client_tls_cert=b"x"),
    "raft-same-address": raft("orderer1:7050 and orderer1:7050", "same address", **TAKEN),
    "bft-same-address": bft("orderer1:7050", "same address", **TAKEN),
    "bft-same-id": bft("orderer5:7050", "same ID", id=1),
    "bft-same-identity": bft("orderer1:7050 and orderer5:7050", "same identity certificate", **TWIN),
    "bft-expired": bft("consenter orderer5:7050: client TLS certificate", "expired", client_tls_cert=EXPIRED),
    "bft-foreign": bft("consenter orderer5:7050: server TLS certificate", "unknown authority", server_tls_cert=FOREIGN),
    "bft-expired-identity": bft("consenter orderer5:7050: identity certificate", "until 2026-05-31", identity=EXPIRED),
    "bft-foreign-identity": bft(
        "consenter orderer5:7050: identity certificate is none of OrdererMSP", identity=FOREIGN
    ),
    "bft-no-orderer-organization": bft(
        "consenter orderer5:7050: Org1MSP is no orderer organization", "OrdererMSP", msp_id="Org1MSP"
    ),
    "bft-no-pem": bft("orderer5:7050: identity", "not PEM", identity=b"x"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_could_not_take_part_is_refused_by_name(name: str) -> None:
    profile, added, words = UNFIT[name]

    text, element = refusal(profile, (*profile.consenters, added))

    assert element == (RAFT if profile is PROFILE else MAPPING)
    assert all(word in text for word in words), text


def test_two_consenters_at_once_are_refused() -> None:
    text, element = refusal(PROFILE, (*PROFILE.consenters, FOURTH, FIFTH))

    assert element == RAFT
    assert "more than one consenter at a time" in text
    assert "add 2 node(s)" in text


def test_an_expired_server_certificate_is_refused_although_orderers_would_take_it() -> None:
    changed = replace(PROFILE.consenters[0], server_tls_cert=EXPIRED)

    text, _ = refusal(PROFILE, (changed, *PROFILE.consenters[1:]))

    assert "consenter orderer1:7050: server TLS certificate" in text
    assert "expired" in text


def test_what_was_there_before_is_nobody_s_business() -> None:
    # Given a channel whose consenters' certificates have all expired, two of which share an identity
    twin = replace(BFT_PROFILE.consenters[1], identity=BFT_PROFILE.consenters[0].identity)
    profile = replace(BFT_PROFILE, consenters=(BFT_PROFILE.consenters[0], twin, *BFT_PROFILE.consenters[2:]))
    late = END + timedelta(days=1)
    start = build(profile)

    # When one leaves, or something else is changed
    fewer = edits.remove_consenter(start, Address("orderer4", 7050))
    other = edits.set_batch(start, timeout="1s")

    # Then
    check_consenters(load(start), load(fewer), late)
    check_consenters(load(start), load(other), late)


def test_metadata_that_nobody_can_read_is_refused() -> None:
    broken = build(PROFILE)
    consensus = orderer_pb2.ConsensusType(type="etcdraft", metadata=b"\xff")
    broken.channel_group.groups["Orderer"].values["ConsensusType"].value = consensus.SerializeToString()

    with pytest.raises(ConfigError, match="failed to unmarshal") as refused:
        check_consenters(load(build(PROFILE)), load(broken), NOW)

    assert refused.value.element == RAFT
