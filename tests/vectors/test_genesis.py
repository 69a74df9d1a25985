"""Genesis blocks from configtx files: the recorded configuration, or the genesis tool's reason to refuse."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from fabric_protos.common import common_pb2, configtx_pb2
from google.protobuf.message import Message

from fabric_admin import blocks, configtx, genesis
from fabric_admin.channelconfig.values import VALUE_TYPES
from fabric_admin.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

Case = dict[str, Any]


@pytest.fixture(scope="module")
def crypto(vectors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates the files refer to."""
    folder = tmp_path_factory.mktemp("genesis")
    with tarfile.open(vectors / "blocks" / "genesis" / "crypto.tar") as archive:
        archive.extractall(folder, filter="data")
    return folder


def _decoded(group: configtx_pb2.ConfigGroup) -> dict[str, Any]:
    """A group as plain data: values are decoded, because the order of maps inside them means nothing."""
    return {
        "version": group.version,
        "mod_policy": group.mod_policy,
        "policies": dict(group.policies),
        "groups": {name: _decoded(child) for name, child in group.groups.items()},
        "values": {
            name: (value.version, value.mod_policy, _message(VALUE_TYPES[name], value.value))
            for name, value in group.values.items()
        },
    }


def _message(kind: type[Message], data: bytes) -> Message:
    message = kind()
    message.ParseFromString(data)
    return message


@pytest.mark.vectors
@pytest.mark.vector_cases("blocks", "genesis")
def test_a_profile_gives_the_configuration_the_genesis_tool_gives(case: Case, vectors: Path, crypto: Path) -> None:
    source = crypto / "configtx.yaml"
    source.write_bytes((vectors / "blocks" / case["configtx"]).read_bytes())

    def build() -> common_pb2.Block:
        return genesis.build(configtx.read_profile(source, case["profile"], case["channel_id"]))

    expected = case["expected"]
    if not expected["ok"]:
        with pytest.raises(ConfigError) as refused:
            build()
        text = str(refused.value).replace(f"{crypto}/", "")
        assert expected["error"].removeprefix("Error on outputBlock: ") == text
        return

    block = build()

    recorded = common_pb2.Block.FromString((vectors / "blocks" / expected["block"]).read_bytes())
    channel_id, built = blocks.config_envelope(block)
    recorded_channel_id, wanted = blocks.config_envelope(recorded)
    assert channel_id == recorded_channel_id == case["channel_id"]
    assert _decoded(built.config.channel_group) == _decoded(wanted.config.channel_group)
    assert built.config.sequence == wanted.config.sequence
    assert not built.HasField("last_update")
    assert block.metadata == recorded.metadata
    assert block.header.data_hash == blocks.data_hash(block.data)
    assert (block.header.number, block.header.previous_hash) == (0, b"")
