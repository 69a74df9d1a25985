"""AC-29: every change amounts to what Fabric's own tools make of the same wish, edited as JSON as its tutorials do."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from fabric_protos.common import configtx_pb2
from unit.fabric import channel
from unit.operator_channels.changes import EVERY_CHANGE, changes, consenter

from fabric_devnet.crypto import Role
from fabric_devnet.material import write_organization
from fabric_devnet.official.home import VARIABLE
from opssc_chaincode.model import change_types
from opssc_operator import definition
from opssc_operator.domain.channels.delta import compute_delta

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabric_admin.channelconfig import ChannelConfig

Json = dict[str, Any]
HOME = Path(os.environ.get(VARIABLE, "."))
TOOLS = [HOME / "bin" / name for name in ("configtxlator", "configtxgen")]
SECONDS = 60
NEWCOMER = "Org4MSP"

pytestmark = [
    pytest.mark.fabric,
    pytest.mark.skipif(
        VARIABLE not in os.environ or not all(os.access(tool, os.X_OK) for tool in TOOLS),
        reason=f"{VARIABLE} names no release with bin/configtxlator and bin/configtxgen",
    ),
]


def run(program: str, *arguments: str | Path, **environment: str) -> str:
    command = [HOME / "bin" / program, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True, slots=True)
class Translator:
    """Fabric's configtxlator, with its files in a folder."""

    folder: Path

    def decode(self, kind: str, data: bytes) -> Json:
        path = self.folder / "message.pb"
        path.write_bytes(data)
        found: Json = json.loads(run("configtxlator", "proto_decode", "--type", f"common.{kind}", "--input", path))
        return found

    def encode(self, kind: str, tree: Json) -> bytes:
        path, output = self.folder / "message.json", self.folder / "encoded.pb"
        path.write_text(json.dumps(tree), encoding="utf-8")
        run("configtxlator", "proto_encode", "--type", f"common.{kind}", "--input", path, "--output", output)
        return output.read_bytes()

    def compute_update(self, original: bytes, updated: bytes) -> bytes:
        for name, data in (("original", original), ("updated", updated)):
            (self.folder / name).write_bytes(data)
        arguments = [f"--{name}={self.folder / name}" for name in ("original", "updated", "output")]
        run("configtxlator", "compute_update", f"--channel_id={channel.CHANNEL}", *arguments)
        return (self.folder / "output").read_bytes()

    def updated(self, start: ChannelConfig, edit: Callable[[Json], None]) -> bytes:
        """What an edit of the configuration's JSON amounts to."""
        original = start.config.SerializeToString()
        tree = self.decode("Config", original)
        edit(tree["channel_group"])
        return self.compute_update(original, self.encode("Config", tree))


@pytest.fixture
def translator(tmp_path: Path) -> Translator:
    return Translator(tmp_path)


def orderer(root: Json) -> Json:
    return root["groups"]["Orderer"]  # type: ignore[no-any-return]


def application(root: Json) -> Json:
    return root["groups"]["Application"]  # type: ignore[no-any-return]


def raft(root: Json) -> Json:
    return orderer(root)["values"]["ConsensusType"]["value"]["metadata"]  # type: ignore[no-any-return]


def encoded(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


def raft_consenter(number: int) -> Json:
    given = consenter(number)
    return {
        "client_tls_cert": encoded(given["clientTlsCert"]),
        "host": given["host"],
        "port": given["port"],
        "server_tls_cert": encoded(given["serverTlsCert"]),
    }


def remove_organization(root: Json) -> None:
    del application(root)["groups"]["Org3"]


def set_anchor_peers(root: Json) -> None:
    application(root)["groups"]["Org1"]["values"]["AnchorPeers"]["value"]["anchor_peers"] = [
        {"host": "peer9", "port": 7051}
    ]


def set_msp(root: Json) -> None:
    pems = EVERY_CHANGE["setOrganizationMSP"][0]["setOrganizationMSP"]["tlsRootCerts"]
    msp = application(root)["groups"]["Org2"]["values"]["MSP"]["value"]["config"]
    msp["tls_root_certs"] = [encoded(pem) for pem in pems]


def set_endpoints(root: Json) -> None:
    endpoints = orderer(root)["groups"]["Orderers"]["values"]["Endpoints"]
    endpoints["value"]["addresses"] = ["orderer1:7050", "orderer2:7050"]


def add_raft_consenter(root: Json) -> None:
    raft(root)["consenters"].append(raft_consenter(4))


def remove_raft_consenter(root: Json) -> None:
    raft(root)["consenters"] = [each for each in raft(root)["consenters"] if each["host"] != "orderer3"]


def replace_raft_certificate(root: Json) -> None:
    (third,) = (each for each in raft(root)["consenters"] if each["host"] == "orderer3")
    third["server_tls_cert"] = raft_consenter(4)["server_tls_cert"]


def set_batch(root: Json) -> None:
    orderer(root)["values"]["BatchTimeout"]["value"]["timeout"] = "1s"
    orderer(root)["values"]["BatchSize"]["value"]["max_message_count"] = 7


def set_raft_options(root: Json) -> None:
    raft(root)["options"]["election_tick"] = 20


def set_capability(root: Json) -> None:
    application(root)["values"]["Capabilities"]["value"]["capabilities"] = {"V2_5": {}}


def set_policy(root: Json) -> None:
    application(root)["policies"]["Endorsement"]["policy"]["value"] = {"rule": "ANY", "sub_policy": "Endorsement"}


def set_mod_policy(root: Json) -> None:
    application(root)["values"]["ACLs"]["mod_policy"] = "/Channel/Application/Writers"


def set_acl(root: Json) -> None:
    acls = application(root)["values"]["ACLs"]["value"]["acls"]
    acls["qscc/GetChainInfo"] = {"policy_ref": "/Channel/Application/Writers"}


def set_maintenance(root: Json) -> None:
    orderer(root)["values"]["ConsensusType"]["value"]["state"] = "STATE_MAINTENANCE"


EDITS: dict[str, Callable[[Json], None]] = {
    "removeOrganization": remove_organization,
    "setAnchorPeers": set_anchor_peers,
    "setOrganizationMSP": set_msp,
    "setOrdererEndpoints": set_endpoints,
    "addConsenter": add_raft_consenter,
    "removeConsenter": remove_raft_consenter,
    "replaceConsenterCertificates": replace_raft_certificate,
    "setBatch": set_batch,
    "setRaftOptions": set_raft_options,
    "setCapability": set_capability,
    "setPolicy": set_policy,
    "setModPolicy": set_mod_policy,
    "setACL": set_acl,
    "setMaintenance": set_maintenance,
}
"""By change, what a person does to the JSON of the configuration; a new organization comes from configtxgen below."""


def ours(start: ChannelConfig, *given: Json) -> bytes:
    return compute_delta(start, changes(*given), governance=False, at=datetime.now(UTC)).update


def start_of(name: str) -> ChannelConfig:
    return channel.load(channel.build(channel.OLD_PROFILE if name == "setCapability" else channel.PROFILE))


def assert_same_meaning(translator: Translator, update: bytes, expected: bytes) -> None:
    assert translator.decode("ConfigUpdate", update) == translator.decode("ConfigUpdate", expected)
    assert configtx_pb2.ConfigUpdate.FromString(expected).write_set.groups


def test_every_change_is_compared() -> None:
    assert {*EDITS, "addOrganization"} == set(change_types())


@pytest.mark.parametrize("name", EDITS)
def test_a_change_amounts_to_what_fabric_s_tools_make_of_it(name: str, translator: Translator) -> None:
    start = start_of(name)

    update = ours(start, EVERY_CHANGE[name][0])

    assert_same_meaning(translator, update, translator.updated(start, EDITS[name]))


def print_organization(folder: Path, msp: Path) -> Json:
    """What configtxgen prints for a new member, with the policies of Fabric's samples."""
    members = {"Readers": ("admin", "peer", "client"), "Writers": ("admin", "client"), "Admins": ("admin",)}
    roles = {**members, "Endorsement": ("peer",)}
    policies = {
        name: {"Type": "Signature", "Rule": f"OR({', '.join(repr(f'{NEWCOMER}.{role}') for role in each)})"}
        for name, each in roles.items()
    }
    organization = {"Name": NEWCOMER, "ID": NEWCOMER, "MSPDir": str(msp), "Policies": policies}
    (folder / "configtx.yaml").write_text(yaml.safe_dump({"Organizations": [organization]}), encoding="utf-8")
    printed = run("configtxgen", "-printOrg", NEWCOMER, FABRIC_CFG_PATH=str(folder))
    found: Json = json.loads(printed)
    return found


def test_a_new_organization_is_the_one_that_configtxgen_prints(translator: Translator, tmp_path: Path) -> None:
    # Given
    folder = tmp_path / "org4"
    write_organization(folder, "org4.example.com", Role.PEER, ())
    start, read = start_of("addOrganization"), definition.read(folder / "msp", NEWCOMER)

    # When
    update = ours(start, {"addOrganization": {"mspID": NEWCOMER, "definition": read.to_json()}})

    # Then
    printed = print_organization(tmp_path, folder / "msp")

    def add(root: Json) -> None:
        application(root)["groups"][NEWCOMER] = printed

    assert_same_meaning(translator, update, translator.updated(start, add))


def mapping(root: Json) -> list[Json]:
    return orderer(root)["values"]["Orderers"]["value"]["consenter_mapping"]  # type: ignore[no-any-return]


def mapped_consenter(number: int) -> Json:
    given = consenter(number)
    more = {"id": number, "identity": encoded(given["identity"]), "msp_id": given["mspID"]}
    return {**raft_consenter(number), **more}


def require_quorum(root: Json) -> None:
    """The block validation policy that Fabric's tutorial has people write beside the mapping."""
    listed = mapping(root)
    principals = [
        {"principal_classification": "IDENTITY", "principal": {"id_bytes": each["identity"], "mspid": each["msp_id"]}}
        for each in listed
    ]
    count = len(listed)
    faulty = (count - 1) // 3
    gate = {"n": -(-(count + faulty + 1) // 2), "rules": [{"signed_by": index} for index in range(count)]}
    policy = orderer(root)["policies"]["BlockValidation"]["policy"]
    policy["value"] = {"identities": principals, "rule": {"n_out_of": gate}, "version": 0}


def add_mapped_consenter(root: Json) -> None:
    mapping(root).append(mapped_consenter(5))
    require_quorum(root)


def remove_mapped_consenter(root: Json) -> None:
    mapping(root)[:] = [each for each in mapping(root) if each["host"] != "orderer3"]
    require_quorum(root)


def replace_mapped_certificates(root: Json) -> None:
    (third,) = (each for each in mapping(root) if each["host"] == "orderer3")
    third["server_tls_cert"] = mapped_consenter(5)["server_tls_cert"]
    third["identity"] = mapped_consenter(5)["identity"]
    require_quorum(root)


THIRD: Json = {"host": "orderer3", "port": 7050}
MAPPED: dict[str, tuple[Json, Callable[[Json], None]]] = {
    "addConsenter": (consenter(5), add_mapped_consenter),
    "removeConsenter": (THIRD, remove_mapped_consenter),
    "replaceConsenterCertificates": (
        {**THIRD, "serverTlsCert": consenter(5)["serverTlsCert"], "identity": consenter(5)["identity"]},
        replace_mapped_certificates,
    ),
}


@pytest.mark.parametrize("name", MAPPED)
def test_a_change_of_the_bft_mapping_amounts_to_what_fabric_s_tools_make_of_it(
    name: str, translator: Translator
) -> None:
    start = channel.load(channel.build(channel.BFT_PROFILE))
    given, edit = MAPPED[name]

    update = ours(start, {name: given})

    assert_same_meaning(translator, update, translator.updated(start, edit))
