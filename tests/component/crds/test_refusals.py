"""What the API server refuses when an object is created, and the sentence it says then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from component.crds import channel_refusals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from component.crds.conftest import Api

PROPOSAL, K8S = "chaincodeproposal-collections.yaml", "chaincodeproposal-k8s.yaml"
CHARTER = "charterproposal.yaml"
ORGANIZATION, RULES = "org1/fabricorganization.yaml", "fabricorganization-voting-rules.yaml"
VOTE = "vote-content-hash.yaml"

CCAAS = "spec.package.ccaas"
PEER = "spec.peers.explicit.0"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
ARCHIVE, GIT = "chaincodeproposal-archive.yaml", "chaincodeproposal-git.yaml"
TRUST, DISCOVERY = "fabricorganization-trust.yaml", "fabricorganization-peer-discovery.yaml"
URL = "must be an https URL with a path and without a query"
COMMIT = "must be a whole commit ID of 40 or 64 hex digits, not a branch or a tag"
FOLDER = "must be a folder in the repository, for example chaincode/asset"
HOST = "must be a host in lower case, with a port unless it is 443"
REPOSITORY = "must be an https URL whose host is in lower case, for example https://git.example.com/consortium/"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n"
ORDERER_MANIFEST = {"address": "orderer0:7050", "tlsCA": {"pem": PEM}}
PEER_MANIFEST = {"name": "peer0", "address": "peer0:7051", "tlsCA": {"pem": PEM}}
TLS_VARIABLE = {"name": "CHAINCODE_TLS_KEY", "value": "x"}
# Characters that need two bytes each: bounds of the contract are in bytes, those of a schema in characters.
LONG = "é"

NAME = (
    "metadata.name names the proposal on the ledger and may have at most 58 characters: shorten it, or set "
    "spec.proposalID"
)
DOTTED = (
    "metadata.name must be a single label without dots; names with dots are kept for mirrors, which are named "
    "<proposalID>.<creator> and set both"
)
MSP = "must be an MSP ID: letters, digits, dots, dashes and underscores, beginning with a letter or a digit"
CHANNEL = "must be a channel name: lower-case letters, digits, dots and dashes, beginning with a letter"
CHAINCODE = "must be a chaincode name: letters and digits, with single dashes or underscores between them"
VERSION = "must be a chaincode version: letters, digits, dots, dashes, plus signs and underscores"
DEFAULT_PERIOD = "votingPeriod.default must be between 1m and 8784h"
LONGEST_PERIOD = "votingPeriod.max must be between 1m and 8784h"
FRACTION = 'supported values: "majority", "twoThirds", "all"'
PROPOSAL_ID = "must be a proposal id: lower-case letters, digits and dashes, with a letter or a digit at both ends"
PLUGIN = "must be a plugin name: letters, digits, dots, dashes and underscores, beginning with a letter or a digit"
POLICY = "must be a signature policy, for example OutOf(2, 'Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')"
PATH = "must be the path of a policy, for example /Channel/Application/Endorsement"
HASH = "must be a content hash: 64 hex digits in lower case, as in status.contentHash of the proposal"
BOUND_LABEL = (
    "must be lower-case letters, digits and dashes, beginning with a letter and ending in a dash and the 12 hex digits "
    "that bind the label to image digest and connection"
)
LABEL = (
    "must be a package label: letters, digits, dots, dashes, plus signs and underscores, beginning with a letter or a "
    "digit"
)
IMAGE = "must be registry and repository without tag or digest, for example ghcr.io/consortium/asset"
DIGEST = "must be an image digest: sha256: and 64 hex digits in lower case"
SERVER = "must be host:port, where {{.name}} may stand for what each peer's builder fills in"
DIAL = "must be a duration, for example 10s"
TEMPLATE = "must be a template such as {{.chaincode_root_cert}}"
TLS = "set connection.rootCert with tlsRequired: true, and only then"
COLLECTION = "must be a collection name: letters, digits, dashes and underscores, not beginning with an underscore"
COUNTS = "collections[].maxPeerCount cannot be less than requiredPeerCount"
ONE_POLICY = "set exactly one of signature and channelPolicy"
INIT = "chaincode.init is called only when chaincode.initRequired is true"
SYSTEM = "chaincode.name is the name of a system chaincode; choose another one"
DEPLOY = "server.deploy is for package.type ccaas: the peers' builder runs packages of other types itself"
VARIABLE = "must be a variable name: letters, digits and underscores, not beginning with a digit"
RESERVED = "is set by the operator, which alone knows the package ID, the port and the certificate"
QUANTITY = "must be a quantity: a number with an optional unit, for example 500m, 2 or 256Mi"
SERVERS_NAMESPACE = "must be the name of a namespace: lower-case letters, digits and dashes"
SECRET = "must be the name of a Secret: lower-case letters, digits, dashes and dots"
LOCAL_CCAAS = "set local.package.ccaas when local.package.type is ccaas, and only then"
LOCAL_K8S = "set local.package.k8s when local.package.type is k8s, and only then"
LOCAL_ARCHIVE = "set local.package.archive when local.package.type is archive, and only then"
LOCAL_GIT = "set local.package.git when local.package.type is git, and only then"
LOCAL = 'supported values: "Proposed", "None", "ccaas", "k8s", "archive", "git"'
ADDRESS = "must be host:port, for example peer0.org1.example.com:7051"
ORDERER_ADDRESS = "must be host:port, for example orderer0.example.com:7050"
DURATION = "must be a duration, for example 90s, 1h30m or 168h"
RULES_MODE = "voting.rules and mode: Rules belong together: give at least one rule, or use mode: Manual without rules"
BOTH_KEYS = "set certKey and keyKey together, or neither"
ONE_CA = "set exactly one of tlsCA.pem and tlsCA.secretRef"
CA_PEM = "tlsCA.pem holds CA certificates in PEM and never a private key"

REFUSED: list[tuple[str, str, dict[str, object], str]] = [
    *channel_refusals.REFUSED,
    ("peers given and looked for", ORGANIZATION, {"spec.peers.namespaces": ["fabric"]},
     "explicit is all peers; leave out selector, namespaces and tlsCA, or leave out explicit"),
    ("a namespace nobody can name", DISCOVERY, {"spec.peers.namespaces": ["A/B"]}, "must be the name of a namespace"),
    ("a label value with a slash", DISCOVERY, {"spec.peers.selector": {"matchLabels": {"app": "a/b"}}},
     "must be the value of a label"),
    ("a long name without an id", K8S, {"metadata.name": "a" * 59}, NAME),
    ("a dotted name without an id", K8S, {"metadata.name": "a.org1msp"}, DOTTED),
    (
        "a dotted name of another id",
        K8S,
        {"metadata.name": "a.org1msp", "spec.proposalID": "b", "spec.creator": "Org1MSP"},
        DOTTED,
    ),
    ("a dotted name without a creator", K8S, {"metadata.name": "a.org1msp", "spec.proposalID": "a"}, DOTTED),
    ("a long id", K8S, {"spec.proposalID": "a" * 59}, "spec.proposalID may have at most 58 characters"),
    ("an upper-case id", K8S, {"spec.proposalID": "Asset"}, PROPOSAL_ID),
    ("a creator that climbs", K8S, {"spec.creator": "../Org1MSP"}, MSP),
    ("an upper-case channel", K8S, {"spec.channel": "MyChannel"}, CHANNEL),
    ("a chaincode name that ends in a dash", K8S, {"spec.chaincode.name": "asset-"}, CHAINCODE),
    ("a chaincode name of two lines", K8S, {"spec.chaincode.name": "asset\nasset"}, CHAINCODE),
    ("a system chaincode", K8S, {"spec.chaincode.name": "lscc"}, SYSTEM),
    ("a version with a space", K8S, {"spec.chaincode.version": "1 0"}, VERSION),
    ("sequence zero", K8S, {"spec.chaincode.sequence": 0}, "should be greater than or equal to 1"),
    ("an initialization that nobody asks for", K8S, {"spec.chaincode.init": {"function": "Init"}}, INIT),
    ("an endorsement plugin path", K8S, {"spec.chaincode.endorsementPlugin": "/escc"}, PLUGIN),
    ("no endorsement policy in it", K8S, {"spec.endorsementPolicy": {}}, ONE_POLICY),
    ("two endorsement policies", K8S, {"spec.endorsementPolicy.signature": "OR('A.peer')"}, ONE_POLICY),
    ("a policy with a shell in it", K8S, {"spec.endorsementPolicy": {"signature": "$(id)"}}, POLICY),
    ("a relative policy path", K8S, {"spec.endorsementPolicy": {"channelPolicy": "Endorsement"}}, PATH),
    ("a union without its member", K8S, {"spec.package": {"type": "ccaas"}},
     "set package.ccaas when package.type is ccaas, and only then"),
    ("a union with another member", K8S, {"spec.package.type": "ccaas"},
     "set package.k8s when package.type is k8s, and only then"),
    ("a package type nobody knows", K8S, {"spec.package.type": "ftp"},
     'supported values: "ccaas", "k8s", "archive", "git", "unchanged"'),
    ("a bootstrap from a repository", ORGANIZATION, {"spec.governance.bootstrap.package.type": "git"},
     'supported values: "ccaas", "k8s"'),
    ("an archive without its member", K8S, {"spec.package": {"type": "archive"}},
     "set package.archive when package.type is archive, and only then"),
    ("a repository without its member", K8S, {"spec.package": {"type": "git"}},
     "set package.git when package.type is git, and only then"),
    ("a trusted registry of another scheme", TRUST, {"spec.trust.imageRegistries.0": "-x"},
     "must be the beginning of an image name, for example ghcr.io/consortium/"),
    ("what stays, with an image", K8S, {"spec.package.type": "unchanged"},
     "set package.k8s when package.type is k8s, and only then"),
    ("an archive in the clear", ARCHIVE, {"spec.package.archive.urls.0": "http://x.example.com/a"}, URL),
    ("an archive behind a query", ARCHIVE, {"spec.package.archive.urls.0": "https://x.example.com/a?token=b"}, URL),
    ("an archive with a password", ARCHIVE, {"spec.package.archive.urls.0": "https://u:p@x.example.com/a"}, URL),
    ("half a hash", ARCHIVE, {"spec.package.archive.sha256": "00"}, "must be 64 hex digits in lower case"),
    ("a branch", GIT, {"spec.package.git.commit": "main"}, COMMIT),
    ("a folder outside", GIT, {"spec.package.git.path": "../other"}, FOLDER),
    ("another language", GIT, {"spec.package.git.language": "rust"}, 'supported values: "golang", "java", "node"'),
    ("a trusted host in the clear", TRUST, {"spec.trust.archiveHosts.0": "http://x.example.com"}, HOST),
    ("a trusted pattern", TRUST, {"spec.trust.archiveHosts.0": "*.example.com"}, HOST),
    ("a trusted repository in the clear", TRUST, {"spec.trust.repositories.0": "git://x.example.com/a"}, REPOSITORY),
    ("a label that binds nothing", PROPOSAL, {f"{CCAAS}.label": "asset"}, BOUND_LABEL),
    ("a label with a slash", K8S, {"spec.package.k8s.label": "a/b"}, LABEL),
    ("an image with a tag", K8S, {"spec.package.k8s.image.name": "ghcr.io/x/asset:latest"}, IMAGE),
    ("an image without a digest", K8S, {"spec.package.k8s.image.digest": None}, "Required value"),
    ("a short digest", K8S, {"spec.package.k8s.image.digest": "sha256:00"}, DIGEST),
    ("a server address with a shell in it", PROPOSAL, {f"{CCAAS}.connection.address": "$(id):9999"}, SERVER),
    ("a dial timeout in words", PROPOSAL, {f"{CCAAS}.connection.dialTimeout": "soon"}, DIAL),
    ("TLS without a root", PROPOSAL, {f"{CCAAS}.connection.tlsRequired": True}, TLS),
    (
        "a root that is no template",
        PROPOSAL,
        {f"{CCAAS}.connection.tlsRequired": True, f"{CCAAS}.connection.rootCert": PEM},
        TEMPLATE,
    ),
    ("port zero", PROPOSAL, {f"{CCAAS}.connection.port": 0}, "should be greater than or equal to 1"),
    ("a collection of the peer's own", PROPOSAL, {"spec.collections.0.name": "_implicit_org_Org1MSP"}, COLLECTION),
    ("a collection twice", PROPOSAL, {"spec.collections.1.name": "agreements"}, "Duplicate value"),
    ("fewer peers at most than at least", PROPOSAL, {"spec.collections.0.requiredPeerCount": 4}, COUNTS),
    ("a long description", K8S, {"spec.description": LONG * 2100}, "description may have at most 4096 bytes"),
    ("a voting period of a second", K8S, {"spec.votingPeriod": "1s"}, "votingPeriod must be at least 1m"),
    ("a voting period in days", K8S, {"spec.votingPeriod": "7d"}, DURATION),
    ("a server to deploy", K8S, {"spec.server": {"deploy": True}}, DEPLOY),
    ("no pod at all", K8S, {"spec.server": {"replicas": 0}}, "should be greater than or equal to 1"),
    ("a variable with a dash", K8S, {"spec.server": {"env": [{"name": "LOG-LEVEL", "value": ""}]}}, VARIABLE),
    ("a package ID of one's own", K8S, {"spec.server": {"env": [{"name": "CHAINCODE_ID", "value": "x"}]}}, RESERVED),
    ("a key of one's own", VOTE, {"spec.local": {"server": {"env": [TLS_VARIABLE]}}}, RESERVED),
    ("a variable twice", K8S, {"spec.server": {"env": [{"name": "A", "value": "1"}] * 2}}, "Duplicate value"),
    ("an amount in words", K8S, {"spec.server": {"resources": {"limits": {"memory": "much"}}}}, QUANTITY),
    ("servers in no namespace", ORGANIZATION, {"spec.chaincodeServers": {"namespace": "a/b"}}, SERVERS_NAMESPACE),
    ("a secret that climbs", ORGANIZATION, {"spec.chaincodeServers": {"imagePullSecrets": [{"name": "../x"}]}}, SECRET),
    ("a field nobody knows", K8S, {"spec.chanel": "mychannel"}, 'unknown field "spec.chanel"'),
    ("a charter of nothing", CHARTER, {"spec.charter": None}, "spec.charter: Required value"),
    ("a half of them all", CHARTER, {"spec.charter.minimum": {"channel": {"fraction": "half"}}}, FRACTION),
    ("votes in a second", CHARTER, {"spec.charter.votingPeriod.default": "1s"}, DEFAULT_PERIOD),
    ("votes for two years", CHARTER, {"spec.charter.votingPeriod.max": "17568h"}, LONGEST_PERIOD),
    ("clocks a day apart", CHARTER, {"spec.charter.maxClockSkew": "24h"}, "maxClockSkew must be between 0s and 1h"),
    ("peers that vote", CHARTER, {"spec.charter.roles": {"vote": "peer"}}, 'supported values: "admin", "client"'),
    ("a charter for a channel", CHARTER, {"spec.channel": "mychannel"}, 'unknown field "spec.channel"'),
    ("a vote on no proposal", VOTE, {"spec.proposal": None}, "spec.proposal: Required value"),
    ("a vote that abstains", VOTE, {"spec.decision": "Abstain"}, 'supported values: "Agree", "Disagree"'),
    ("a hash in capitals", VOTE, {"spec.contentHash": "A" * 64}, HASH),
    ("a long reason", VOTE, {"spec.reason": LONG * 600}, "reason may have at most 1024 bytes"),
    ("a package of its own that is not there", VOTE, {"spec.local": {"package": {"type": "ccaas"}}}, LOCAL_CCAAS),
    ("an image package that is not there", VOTE, {"spec.local": {"package": {"type": "k8s"}}}, LOCAL_K8S),
    ("an archive of its own that is not there", VOTE, {"spec.local": {"package": {"type": "archive"}}}, LOCAL_ARCHIVE),
    ("a commit of its own that is not there", VOTE, {"spec.local": {"package": {"type": "git"}}}, LOCAL_GIT),
    ("a server by URL", ORGANIZATION, {"spec.chaincodeServers": {"names": ["https://cc"]}}, "must be a host name"),
    ("a package nobody knows", VOTE, {"spec.local": {"package": {"type": "cds"}}}, LOCAL),
    ("no peers", ORGANIZATION, {"spec.peers.explicit": []}, "should have at least 1 items"),
    ("a peer twice", ORGANIZATION, {"spec.peers.explicit": [PEER_MANIFEST, PEER_MANIFEST]}, "Duplicate value"),
    ("a peer by URL", ORGANIZATION, {f"{PEER}.address": "grpcs://peer0:7051"}, ADDRESS),
    ("an orderer by URL", ORGANIZATION, {"spec.orderers": [{"address": "grpcs://o:7050", "tlsCA": {"pem": PEM}}]},
     ORDERER_ADDRESS),
    ("an orderer twice", ORGANIZATION, {"spec.orderers": [ORDERER_MANIFEST, ORDERER_MANIFEST]}, "Duplicate value"),
    ("an orderer to trust blindly", ORGANIZATION, {"spec.orderers": [{"address": "o:7050", "tlsCA": {}}]}, ONE_CA),
    ("a peer with a path for a name", ORGANIZATION, {f"{PEER}.serverName": "../peer0"}, "must be a host name"),
    ("no certificate to trust", ORGANIZATION, {f"{PEER}.tlsCA": {}}, ONE_CA),
    ("two certificates to trust", ORGANIZATION, {f"{PEER}.tlsCA.pem": PEM}, ONE_CA),
    ("a private key to trust", ORGANIZATION, {f"{PEER}.tlsCA": {"pem": PEM + KEY}}, CA_PEM),
    ("a Secret of another namespace", ORGANIZATION, {"spec.identities.admin.secretRef.name": "other/admin"},
     "must be the name of a Secret"),
    ("a key with a slash", ORGANIZATION, {"spec.identities.admin.certKey": "a/b", "spec.identities.admin.keyKey": "k"},
     "must be a key of a Secret, for example tls.crt"),
    ("a certificate without its key", ORGANIZATION, {"spec.identities.admin.certKey": "tls.crt"}, BOTH_KEYS),
    ("rules that nobody follows", RULES, {"spec.voting.mode": "Manual"}, RULES_MODE),
    ("no rule to follow", RULES, {"spec.voting.rules": None}, RULES_MODE),
    ("a resync every second", ORGANIZATION, {"spec.resyncPeriod": "1s"}, "resyncPeriod must be at least 10s"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "changes", "sentence"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_the_api_server_refuses(api: Api, sample: str, changes: dict[str, object], sentence: str) -> None:
    answer = await api.refusal("create", "--dry-run=server", manifest=api.sample(sample, changes))

    assert sentence in answer


def test_every_rule_about_an_object_as_it_is_has_a_case_here(project_root: Path) -> None:
    written = {
        rule["message"]
        for file in (project_root / "crds").glob("*.yaml")
        for rule in rules(yaml.safe_load(file.read_text(encoding="utf-8")))
        if "oldSelf" not in rule["rule"]
    }

    assert written - {sentence for *_, sentence in REFUSED} == set()


def rules(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield from node.get("x-kubernetes-validations", ())
        for child in node.values():
            yield from rules(child)
    elif isinstance(node, list):
        for child in node:
            yield from rules(child)
