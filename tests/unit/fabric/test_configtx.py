from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric.authority import authority
from unit.fabric.channel import consenter

from fabric_admin import blocks, configtx, configtx_schema, genesis
from fabric_admin.channelconfig import ChannelConfig
from fabric_admin.errors import ConfigError

META = "{{Type: ImplicitMeta, Rule: {}}}"
POLICIES = ", ".join(
    f"{name}: {META.format(rule)}"
    for name, rule in (("Readers", "ANY Readers"), ("Writers", "ANY Writers"), ("Admins", "MAJORITY Admins"))
)
BLOCK_VALIDATION = f"BlockValidation: {META.format('ANY Writers')}"
OWN = "{Readers: &any {Type: Signature, Rule: OR('Org1MSP.member')}, Writers: *any, Admins: *any, Endorsement: *any}"
CHANNEL = f"""
Profiles:
  trade:
    Policies: {{{POLICIES}}}
    Capabilities: {{V3_0: true, V2_0: false}}
    Orderer:
      ordererTYPE: etcdraft
      BatchTimeout: 1500ms
      BatchSize: {{MaxMessageCount: "0x10", AbsoluteMaxBytes: 2 mb, PreferredMaxBytes: 512 KB}}
      Organizations:
      - {{Name: Orderers, ID: Org1MSP, MSPDir: msp, OrdererEndpoints: "[a:7050, b:7050]", Policies: {OWN}}}
      Policies: {{{POLICIES}, {BLOCK_VALIDATION}}}
      Capabilities: {{V2_0: true}}
      EtcdRaft:
        Consenters: [{{Host: a, Port: "7050", ClientTLSCert: tls.pem, ServerTLSCert: tls.pem}}]
    Application:
      Organizations:
      - {{Name: Org1, ID: Org1MSP, MSPDir: msp, AnchorPeers: {{Host: peer, Port: 7051}}, Policies: {OWN}}}
      Policies: {{{POLICIES}}}
      Capabilities: {{V2_5: true}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the MSP and the certificate the profile points to."""
    (tmp_path / "msp" / "cacerts").mkdir(parents=True)
    (tmp_path / "msp" / "cacerts" / "ca.pem").write_bytes(authority("Org1MSP").pem)
    (tmp_path / "msp" / "admincerts").mkdir()
    (tmp_path / "msp" / "admincerts" / "admin.pem").write_bytes(authority("Org1MSP").issue("admin").certificate_pem)
    (tmp_path / "tls.pem").write_bytes(consenter(1).client_tls_cert)
    return tmp_path


def _read(folder: Path, text: str) -> genesis.Profile:
    source = folder / "configtx.yaml"
    source.write_text(text, encoding="utf-8")
    return configtx.read_profile(source, "trade", "trade")


def test_a_profile_is_read_as_leniently_as_the_genesis_tool_reads_it(folder: Path) -> None:
    profile = _read(folder, CHANNEL)

    config = ChannelConfig.from_block(genesis.build(profile))

    assert config.batch is not None
    assert (config.batch.timeout, config.batch.max_message_count, config.batch.absolute_max_bytes) == (
        "1.5s",
        16,
        2 << 20,
    )
    assert config.capabilities.channel == {"V3_0"}
    assert [each.address for each in config.orderer_endpoints] == ["a:7050", "b:7050"]
    assert [str(each) for each in config.organizations["Org1"].anchor_peers] == ["peer:7051"]
    assert [each.client_tls_cert for each in config.consenters] == [consenter(1).client_tls_cert]


def test_the_same_file_without_a_needed_policy_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="error adding policies to orderer group: no BlockValidation policy defined"):
        genesis.build(_read(folder, CHANNEL.replace(f", {BLOCK_VALIDATION}", "")))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("Profiles: [", "Error reading configuration: .*configtx.yaml", id="no-yaml"),
        pytest.param("[]", "'' expected a map, got 'list'", id="list"),
        pytest.param("", "Could not find profile: trade", id="empty"),
        pytest.param("Profiles: {trade: {Colour: red}}", r"'Profiles\[trade\]' has invalid keys: Colour", id="key"),
        pytest.param(
            "Profiles: {other: {Orderer: {BatchSize: {MaxMessageCount: many}}}}",
            r"'Profiles\[other\]\.Orderer\.BatchSize\.MaxMessageCount' cannot parse value as a number: many",
            id="number",
        ),
        pytest.param(
            "Orderer: {BatchSize: {AbsoluteMaxBytes: 9 GB}}", "value '9 GB' overflows uint32", id="size-overflow"
        ),
        pytest.param(
            "Capabilities: {Channel: {V3_0: perhaps}}",
            r"'Capabilities\[Channel\]\[V3_0\]' cannot parse 'perhaps' as bool",
            id="flag",
        ),
        pytest.param("Orderer: {BatchTimeout: soon}", 'time: invalid duration "soon"', id="duration"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_naming_the_place(folder: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        _read(folder, text)


def test_a_file_that_is_not_there_or_too_large_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"configtx\.yaml: no such file or directory"):
        configtx.read_profile(folder / "configtx.yaml", "trade", "trade")
    with pytest.raises(ConfigError, match="is larger than 1048576 bytes"):
        _read(folder, "#" * (1 << 20) + "##")


def test_aliases_cannot_make_a_small_file_endless() -> None:
    organizations = [{"Name": "a", "Policies": {f"p{number}": {"Type": "x"} for number in range(1000)}}] * 1000

    with pytest.raises(ConfigError, match="the file has more than 200000 entries"):
        configtx_schema.read_document({"Organizations": organizations})


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
NAMES = st.sampled_from(
    ["Profiles", "trade", "Orderer", "Application", "Organizations", "Policies", "EtcdRaft", "Consenters", "BatchSize"]
)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=3)
)


@given(DOCUMENTS)
def test_any_document_is_read_or_refused_with_a_typed_error(document: object) -> None:
    try:
        found = configtx_schema.read_document(document)
    except ConfigError:
        return
    assert found.keys() <= configtx_schema.DOCUMENT.keys()


@given(st.text(max_size=60))
def test_any_text_as_file_gives_a_typed_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        _read(folder, yaml.safe_dump({"Profiles": {"trade": {"Orderer": {"OrdererType": text}, "Application": {}}}}))
    except ConfigError:
        return
    assert text in {"", "solo"}


def test_a_block_of_consortiums_carries_them(folder: Path) -> None:
    text = CHANNEL.replace(
        "    Application:\n", "    Consortium: C\n    Consortiums: {C: {Organizations: []}}\n    Application:\n"
    )

    group = blocks.config_envelope(genesis.build(_read(folder, text)))[1].config.channel_group

    assert group.groups["Consortiums"].groups["C"].mod_policy == "/Channel/Orderer/Admins"
    assert "Consortium" in group.values
