from __future__ import annotations

from collections.abc import Callable

import pytest
from fabric_protos.common import common_pb2, configtx_pb2
from fabric_protos.orderer import configuration_pb2
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from unit.fabric.authority import authority
from unit.fabric.channel import (
    BFT_PROFILE,
    CHANNEL,
    MEMBERS,
    NOW,
    PROFILE,
    admins,
    build,
    consenter,
    envelope,
    load,
    person,
    sent,
)
from unit.fabric.config_updates import Change, Drawn, World, changes, config_updates

from fabric_admin import channelconfig
from fabric_admin.channelconfig import (
    Address,
    acceptance,
    authorization,
    compute_update,
    diff,
    edits,
    find_update_hazards,
)
from fabric_admin.errors import ConfigUpdateRefused, InvalidInput
from fabric_admin.identity import SigningIdentity

ORIGINAL = build()
CURRENT = load(ORIGINAL)
SIGNERS = (*admins(*MEMBERS, "OrdererMSP"), person("Org1MSP", "client"), authority("Org9MSP").issue("admin"))
SUBMITTERS = (person("Org1MSP", "client"), person("Org2MSP"), person("Org3MSP", "client"))
WORLD = World(CURRENT, SIGNERS, SUBMITTERS, harmless=False)
many = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def _refusal(act: Callable[[], object]) -> ConfigUpdateRefused | None:
    try:
        act()
    except ConfigUpdateRefused as exc:
        return exc
    return None


@many
@given(config_updates(WORLD))
def test_the_forecast_is_what_the_decision_on_the_envelope_then_is(drawn: Drawn) -> None:
    forecast = CURRENT.forecast(drawn.update, drawn.signatures, now=NOW)

    refusal = _refusal(lambda: CURRENT.propose(drawn.envelope, now=NOW))

    assert forecast.accepted == (refusal is None)
    if refusal is not None:
        assert forecast.refusal is not None
        assert (forecast.refusal.stage, forecast.refusal.message) == (refusal.stage, refusal.message)
        assert refusal.remedy
        assert refusal.element in refusal.explanation
        return
    result = CURRENT.propose(drawn.envelope, now=NOW)
    assert forecast.config == result
    assert result.sequence == CURRENT.sequence + 1
    assert all(verdict.satisfied for verdict in forecast.verdicts)
    assert load(result).sequence == result.sequence


@many
@given(config_updates(WORLD))
def test_a_rehearsal_refuses_exactly_what_no_signature_can_mend(drawn: Drawn) -> None:
    refused_unsigned = _refusal(lambda: CURRENT.rehearse(drawn.update, now=NOW))
    refused = CURRENT.forecast(drawn.update, drawn.signatures, now=NOW).refusal

    if refused is None:
        assert refused_unsigned is None
    elif refused_unsigned is None:
        assert refused.stage == "authorize"
    elif refused.stage != "authorize":
        assert (refused_unsigned.stage, refused_unsigned.element) == (refused.stage, refused.element)
        assert refused_unsigned.remedy


@many
@given(config_updates(WORLD))
def test_verdicts_name_exactly_the_policies_that_keep_an_update_from_being_authorized(drawn: Drawn) -> None:
    signed = configtx_pb2.ConfigUpdateEnvelope(config_update=drawn.update, signatures=drawn.signatures)
    refusal = _refusal(lambda: authorization.authorize(CURRENT, signed))
    unfit = _refusal(lambda: CURRENT.evaluate(drawn.update, drawn.signatures))
    if unfit is not None:
        assert str(unfit) == str(refusal)
        return

    verdicts = CURRENT.evaluate(drawn.update, drawn.signatures)

    problems = [verdict.problem for verdict in verdicts if not verdict.satisfied]
    assert problems[:1] == ([] if refusal is None else [str(refusal)])
    for verdict in verdicts:
        assert bool(verdict.missing) <= bool(verdict.lacking)
        assert verdict.mod_policy == "" or verdict.rule


@many
@given(st.lists(changes(ORIGINAL.channel_group), min_size=1, max_size=4))
def test_a_computed_update_leads_to_the_config_it_was_computed_for(drawn: list[Change]) -> None:
    updated = configtx_pb2.Config()
    updated.CopyFrom(ORIGINAL)
    for change in drawn:
        change(updated.channel_group)
    assume(updated != ORIGINAL)
    assume("Bad_Name" not in str(updated))

    found = authorization.find_changes(CURRENT, compute_update(CHANNEL, ORIGINAL, updated))

    assert _without_versions(found.apply()) == _without_versions(updated.channel_group)


def _without_versions(group: configtx_pb2.ConfigGroup) -> configtx_pb2.ConfigGroup:
    plain = configtx_pb2.ConfigGroup()
    plain.CopyFrom(group)
    plain.version = 0
    plain.mod_policy = plain.mod_policy or "Admins"
    for value in plain.values.values():
        value.version, value.mod_policy = 0, value.mod_policy or "Admins"
    for policy in plain.policies.values():
        policy.version, policy.mod_policy = 0, policy.mod_policy or "Admins"
    for name, child in group.groups.items():
        plain.groups[name].CopyFrom(_without_versions(child))
    return plain


def test_a_verdict_says_which_policy_lacks_whom() -> None:
    updated = edits.set_batch(
        edits.set_policy(ORIGINAL, "/Channel/Application/Endorsement", "ANY Endorsement"), timeout="1s"
    )
    update = compute_update(CHANNEL, ORIGINAL, updated)
    signature = channelconfig.sign(person("Org2MSP"), update)

    batch, endorsement = CURRENT.evaluate(update, [signature])[::-1][0:2][::-1]
    found = {verdict.path: verdict for verdict in CURRENT.evaluate(update, [signature])}

    assert {batch.path, endorsement.path} == set(found)
    application = found["/Channel/Application/Endorsement"]
    assert (application.mod_policy, application.rule) == ("/Channel/Application/Admins", "MAJORITY Admins")
    assert application.missing == ("Org1MSP.admin", "Org3MSP.admin")
    assert application.missing_organizations == ("Org1MSP", "Org3MSP")
    assert application.lacking == "1 of (Org1MSP.admin, Org3MSP.admin)"
    ordering = found["/Channel/Orderer/BatchTimeout"]
    assert (ordering.missing, ordering.lacking) == (("OrdererMSP.admin",), "OrdererMSP.admin")


def test_a_channel_level_change_lacks_both_sections() -> None:
    updated = edits.set_policy(ORIGINAL, "/Channel/Readers", "OR('Org1MSP.member', 'OrdererMSP.member')")
    update = compute_update(CHANNEL, ORIGINAL, updated)

    (verdict,) = CURRENT.evaluate(update, [channelconfig.sign(person("Org1MSP"), update)])

    assert verdict.lacking == "2 of (1 of (Org2MSP.admin, Org3MSP.admin), OrdererMSP.admin)"
    assert verdict.missing == ("OrdererMSP.admin", "Org2MSP.admin", "Org3MSP.admin")


def test_a_refusal_says_what_would_satisfy_it() -> None:
    updated = edits.set_anchor_peers(ORIGINAL, "Org2MSP", [Address("peer9", 7051)])

    with pytest.raises(ConfigUpdateRefused) as refused:
        CURRENT.propose(envelope(ORIGINAL, updated, admins("Org1MSP")), now=NOW)

    assert refused.value.element == "/Channel/Application/Org2/AnchorPeers"
    assert refused.value.status == "BAD_REQUEST"
    assert str(refused.value) == (
        "error applying config update to existing channel 'trade': error authorizing update: "
        "error validating DeltaSet: policy for [Value]  /Channel/Application/Org2/AnchorPeers not satisfied: "
        "signature set did not satisfy policy"
    )
    assert refused.value.explanation.endswith(
        "; /Channel/Application/Org2/Admins still needs signatures by Org2MSP.admin"
    )


@pytest.mark.parametrize(
    ("submitter", "status", "text"),
    [
        pytest.param(person("Org1MSP", "peer"), "FORBIDDEN", "'Writers' sub-policies", id="no-writer"),
        pytest.param(authority("Org9MSP").issue("client"), "FORBIDDEN", "permission denied", id="stranger"),
    ],
)
def test_who_may_not_write_may_not_submit(submitter: SigningIdentity, status: str, text: str) -> None:
    updated = edits.set_anchor_peers(ORIGINAL, "Org1MSP", [])

    with pytest.raises(ConfigUpdateRefused, match=text) as refused:
        CURRENT.propose(envelope(ORIGINAL, updated, admins("Org1MSP"), submitter), now=NOW)

    assert (refused.value.stage, refused.value.status) == ("submit_checks", status)


@pytest.mark.parametrize(
    ("sealed", "text"),
    [
        pytest.param(common_pb2.Envelope(), "Message was empty", id="empty"),
        pytest.param(
            common_pb2.Envelope(payload=b"x" * (11 << 20)), "exceeds maximum allowed 10485760 bytes", id="large"
        ),
        pytest.param(
            common_pb2.Envelope(payload=b"\xff"), "could not convert message to signedData: proto", id="bytes"
        ),
        pytest.param(
            common_pb2.Envelope(payload=common_pb2.Payload(data=b"x").SerializeToString()),
            "Missing Header",
            id="header",
        ),
    ],
)
def test_what_is_no_envelope_is_turned_away_at_the_door(sealed: common_pb2.Envelope, text: str) -> None:
    with pytest.raises(ConfigUpdateRefused, match=text) as refused:
        CURRENT.propose(sealed, now=NOW)
    assert str(refused.value).startswith("config update for existing channel did not pass initial checks: ")


def test_in_maintenance_only_orderer_organizations_are_heard() -> None:
    inside = edits.set_maintenance(ORIGINAL, on=True)
    current = load(inside)
    updated = edits.set_maintenance(inside, on=False)

    with pytest.raises(ConfigUpdateRefused, match="permission denied"):
        current.propose(envelope(inside, updated, admins("OrdererMSP")), now=NOW)
    result = current.propose(envelope(inside, updated, admins("OrdererMSP"), person("OrdererMSP")), now=NOW)

    assert diff(result, ORIGINAL) == ()


def test_an_update_that_loses_a_child_is_accepted_by_fabric_and_named_by_us() -> None:
    update = configtx_pb2.ConfigUpdate(channel_id=CHANNEL)
    update.write_set.groups["Application"].policies["Lost"].CopyFrom(
        configtx_pb2.ConfigPolicy(mod_policy="Admins", policy=ORIGINAL.channel_group.policies["Admins"].policy)
    )
    for path in ("read_set", "write_set"):
        getattr(update, path).groups["Application"].version = 0
    update.read_set.groups["Application"].SetInParent()

    hazards = find_update_hazards(CURRENT, update)

    assert [each.element for each in hazards] == ["/Channel/Application/Lost"]
    assert "silently discard" in hazards[0].hazard
    assert CURRENT.propose(sent(update, ()), now=NOW).sequence == 1
    assert diff(ORIGINAL, CURRENT.propose(sent(update, ()), now=NOW)) == ()


def _consensus(config: configtx_pb2.Config, **fields: object) -> configtx_pb2.Config:
    changed = configtx_pb2.Config()
    changed.CopyFrom(config)
    value = changed.channel_group.groups["Orderer"].values["ConsensusType"]
    consensus = configuration_pb2.ConsensusType.FromString(value.value)
    for name, content in fields.items():
        setattr(consensus, name, content)
    value.value = consensus.SerializeToString()
    return changed


def test_an_unknown_consensus_type_gets_no_answer_and_a_hazard() -> None:
    updated = _consensus(ORIGINAL, type="solo")
    update = compute_update(CHANNEL, ORIGINAL, updated)

    hazards = find_update_hazards(CURRENT, update)

    assert ["no orderer knows the consensus type 'solo'" in each.hazard for each in hazards] == [True]
    with pytest.raises(ConfigUpdateRefused) as refused:
        CURRENT.propose(sent(update, admins("OrdererMSP")), now=NOW)
    assert (refused.value.stage, refused.value.status) == ("consensus_metadata", "")


def _raft(*numbers: int, **options: object) -> configtx_pb2.Config:
    metadata = channelconfig.consenters.build_raft_metadata([consenter(each) for each in numbers or (1,)], PROFILE.raft)
    for name, content in options.items():
        setattr(metadata.options, name, content)
    if not numbers:
        metadata.ClearField("consenters")
    return _consensus(ORIGINAL, metadata=metadata.SerializeToString())


def _foreign() -> configtx_pb2.Config:
    stranger = authority("Org9MSP").issue("orderer").certificate_pem
    return edits.replace_consenter_certificates(ORIGINAL, Address("orderer1", 7050), client_tls_cert=stranger)


def _not_pem() -> configtx_pb2.Config:
    return edits.replace_consenter_certificates(ORIGINAL, Address("orderer1", 7050), client_tls_cert=b"x")


@pytest.mark.parametrize(
    ("updated", "text"),
    [
        pytest.param(_raft(), "invalid new config metadata: empty consenter set", id="nobody"),
        pytest.param(
            _raft(1, 2, 3, 4, 5),
            "update of more than one consenter at a time is not supported, requested changes: "
            r"add 2 node\(s\), remove 0 node\(s\)",
            id="two-at-once",
        ),
        pytest.param(_raft(1), r"requested changes: add 0 node\(s\), remove 2 node\(s\)", id="two-removed"),
        pytest.param(
            _raft(1, 2, 3, 3), "invalid new config metadata: duplicate consenter: server cert: ---", id="twin"
        ),
        pytest.param(
            _raft(1, 2, 3, election_tick=1), r"ElectionTick \(1\) must be greater than HeartbeatTick \(1\)", id="ticks"
        ),
        pytest.param(
            _raft(1, 2, 3, max_inflight_blocks=0),
            r"none of HeartbeatTick \(1\), ElectionTick \(10\) and MaxInflightBlocks \(0\) can be zero",
            id="zero",
        ),
        pytest.param(
            _raft(1, 2, 3, tick_interval="soon"),
            r"failed to parse TickInterval \(soon\) to time duration: time: invalid duration \"soon\"",
            id="interval",
        ),
        pytest.param(_raft(1, 2, 3, tick_interval="0s"), "TickInterval cannot be zero", id="no-interval"),
        pytest.param(
            _foreign(),
            "consenter orderer1:7050 has invalid certificate: verifying tls client cert with serial number "
            r"\d+: x509: certificate signed by unknown authority",
            id="stranger",
        ),
        pytest.param(
            _not_pem(),
            r"parsing tls client cert of orderer1:7050: no PEM data found in cert\[78\]",
            id="no-pem",
        ),
    ],
)
def test_raft_metadata_is_refused_as_orderers_refuse_it(updated: configtx_pb2.Config, text: str) -> None:
    with pytest.raises(ConfigUpdateRefused, match=text) as refused:
        CURRENT.propose(envelope(ORIGINAL, updated, admins("OrdererMSP")), now=NOW)
    assert str(refused.value).startswith(
        "error applying config update to existing channel 'trade': "
        "consensus metadata update for channel config update is invalid: "
    )


@pytest.mark.parametrize("numbers", [(1, 2), (1, 2, 3, 4), (2, 3, 4)], ids=["removed", "added", "rotated"])
def test_one_raft_consenter_at_a_time_may_change(numbers: tuple[int, ...]) -> None:
    result = CURRENT.propose(envelope(ORIGINAL, _raft(*numbers), admins("OrdererMSP")), now=NOW)

    assert [each.address.host for each in load(result).consenters] == [f"orderer{number}" for number in numbers]


def test_a_new_consenters_certificate_must_be_valid_today_an_old_ones_need_not() -> None:
    later = NOW.replace(year=2060)
    with pytest.raises(ConfigUpdateRefused, match=r"consenter orderer4:7050 has invalid certificates: .* has expired"):
        acceptance.apply(CURRENT, envelope(ORIGINAL, _raft(1, 2, 3, 4), admins("OrdererMSP")), later)

    acceptance.apply(CURRENT, envelope(ORIGINAL, _raft(1, 2), admins("OrdererMSP")), later)


IN_MAINTENANCE = edits.set_maintenance(ORIGINAL, on=True)


def _migrated(original: configtx_pb2.Config, numbers: tuple[int, ...] = (1, 2, 3)) -> configtx_pb2.Config:
    bft = build(BFT_PROFILE).channel_group.groups["Orderer"]
    changed = configtx_pb2.Config()
    changed.CopyFrom(original)
    orderer = changed.channel_group.groups["Orderer"]
    for name in ("Orderers", "ConsensusType"):
        orderer.values[name].value = bft.values[name].value
        orderer.values[name].mod_policy = "Admins"
    mapping = channelconfig.consenters.build_mapping([consenter(each) for each in numbers])
    orderer.values["Orderers"].value = mapping.SerializeToString()
    return _consensus(changed, state=_consensus_state(original))


def _consensus_state(config: configtx_pb2.Config) -> int:
    return load(config).consensus.state


@pytest.mark.parametrize(
    ("original", "updated", "text"),
    [
        pytest.param(
            ORIGINAL,
            edits.set_batch(edits.set_maintenance(ORIGINAL, on=True), timeout="1s"),
            "config update contain more then just the ConsensusType value in the Orderer group",
            id="more-than-the-state",
        ),
        pytest.param(
            ORIGINAL,
            edits.set_anchor_peers(edits.set_maintenance(ORIGINAL, on=True), "Org1MSP", []),
            "config update contains changes to more than one group",
            id="another-section",
        ),
        pytest.param(
            ORIGINAL,
            edits.set_raft_options(edits.set_maintenance(ORIGINAL, on=True), election_tick=20),
            "attempted to change ConsensusType.Metadata, but ConsensusType.State is changing from STATE_NORMAL "
            "to STATE_MAINTENANCE",
            id="metadata-too",
        ),
        pytest.param(
            ORIGINAL,
            _migrated(ORIGINAL),
            "attempted to change consensus type from etcdraft to BFT, but current config ConsensusType.State is not in "
            "maintenance mode",
            id="type-outright",
        ),
        pytest.param(
            IN_MAINTENANCE,
            _migrated(IN_MAINTENANCE, (1, 2)),
            "the number of bft consenters: 2 is not equal to the number of raft consenters: 3",
            id="fewer-consenters",
        ),
        pytest.param(
            IN_MAINTENANCE,
            _migrated(IN_MAINTENANCE, (1, 2, 4)),
            "No suitable BFT consenter for Raft consenter: orderer3:7050",
            id="other-consenters",
        ),
    ],
)
def test_consensus_changes_follow_the_rules_of_maintenance_mode(
    original: configtx_pb2.Config, updated: configtx_pb2.Config, text: str
) -> None:
    with pytest.raises(ConfigUpdateRefused, match=text) as refused:
        everyone = admins(*MEMBERS, "OrdererMSP")
        load(original).propose(envelope(original, updated, everyone, person("OrdererMSP")), now=NOW)
    assert refused.value.stage == "maintenance_checks"
    assert str(refused.value).startswith("config update for existing channel did not pass maintenance checks: ")


def test_etcdraft_becomes_bft_in_maintenance_mode() -> None:
    updated = _migrated(IN_MAINTENANCE)

    result = load(IN_MAINTENANCE).propose(
        envelope(IN_MAINTENANCE, updated, admins("OrdererMSP"), person("OrdererMSP")), now=NOW
    )

    assert load(result).consensus_type == "BFT"


def test_bft_orderers_refuse_a_mapping_without_its_quorum_policy() -> None:
    original = build(BFT_PROFILE)
    updated = configtx_pb2.Config()
    updated.CopyFrom(original)
    mapping = channelconfig.consenters.build_mapping([consenter(each) for each in (1, 2, 3, 4, 5)])
    updated.channel_group.groups["Orderer"].values["Orderers"].value = mapping.SerializeToString()

    with pytest.raises(ConfigUpdateRefused, match="block validation policy should be a signature policy") as refused:
        load(original).propose(envelope(original, updated, admins("OrdererMSP")), now=NOW)

    assert (refused.value.status, refused.value.element) == ("SERVICE_UNAVAILABLE", "/Channel/Orderer/BlockValidation")


@given(st.binary(max_size=200))
def test_any_bytes_as_update_give_a_typed_refusal(data: bytes) -> None:
    with pytest.raises(ConfigUpdateRefused):
        CURRENT.evaluate(data, [])
    assert not CURRENT.forecast(data, [], now=NOW).accepted


SOUND = envelope(ORIGINAL, edits.set_anchor_peers(ORIGINAL, "Org1MSP", []), admins("Org1MSP"))
POSITIONS = st.integers(0, len(SOUND.payload) - 1)


@given(st.dictionaries(POSITIONS, st.integers(0, 255), min_size=1, max_size=3))
def test_a_damaged_envelope_gives_a_typed_refusal_or_a_config(damage: dict[int, int]) -> None:
    payload = bytearray(SOUND.payload)
    for position, byte in damage.items():
        payload[position] = byte

    try:
        result = acceptance.apply(CURRENT, common_pb2.Envelope(payload=bytes(payload)), NOW)
    except (ConfigUpdateRefused, InvalidInput):
        return
    assert result.sequence == 1
