"""What the API server refuses of ChannelProposals: rows of (what, sample, changes by path, sentence)."""

from __future__ import annotations

Row = tuple[str, str, dict[str, object], str]

SAMPLE, ADDING, TRYING = (
    "channelproposal.yaml",
    "channelproposal-add-organization.yaml",
    "channelproposal-dry-run.yaml",
)
CHANGE = "spec.changes.0"
ADDED = f"{CHANGE}.addOrganization"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
DEFINITION = {"inline": {"rootCerts": [PEM]}}
CONSENTER = {"host": "orderer0.example.com", "port": 7050, "clientTlsCert": PEM, "serverTlsCert": PEM}
CREATION = {
    "members": [{"mspID": "Org1MSP", "definitionFrom": DEFINITION}],
    "orderers": [{"mspID": "Org1MSP", "definitionFrom": DEFINITION, "endpoints": ["orderer0.example.com:7050"]}],
}
ONE_SOURCE = "set exactly one of inline, configMapRef and secretRef"
ONE_WISH = "set exactly one of spec.changes, spec.configUpdate and spec.create"
ACTIONS = "spec.create belongs to action Create, spec.changes and spec.configUpdate to action Update"
HOST = "must be a host name or an IPv4 address"
ENDPOINT = "must be host:port, for example orderer.example.com:7050"
POLICY = "must be a policy: MAJORITY Admins or the like, or a signature policy such as OR('Org1MSP.admin')"
NAMED_POLICY = "must name a policy, for example Admins or /Channel/Application/Admins"
ELEMENT = "must be a path below /Channel, for example /Channel/Application/Admins"
TYPES: dict[str, dict[str, object]] = {
    "addOrganization": {"mspID": "Org4MSP", "definitionFrom": DEFINITION},
    "removeOrganization": {"mspID": "Org4MSP"},
    "setAnchorPeers": {"mspID": "Org1MSP"},
    "setOrganizationMSP": {"mspID": "Org1MSP", "rootCerts": [PEM]},
    "setOrdererEndpoints": {"mspID": "Org1MSP"},
    "addConsenter": CONSENTER,
    "removeConsenter": {"host": "orderer0.example.com", "port": 7050},
    "replaceConsenterCertificates": {"host": "orderer0.example.com", "port": 7050, "serverTlsCert": PEM},
    "setBatch": {"timeout": "1s"},
    "setRaftOptions": {"electionTick": 20},
    "setCapability": {"section": "Application", "level": "V2_5"},
    "setPolicy": {"path": "/Channel/Application/Admins", "rule": "ANY Admins"},
    "setModPolicy": {"path": "/Channel/Application/ACLs", "modPolicy": "Admins"},
    "setACL": {"resource": "peer/Propose"},
    "setMaintenance": {"enabled": True},
}


def change(kind: str, **fields: object) -> dict[str, object]:
    """The first change, in place of the sample's."""
    return {CHANGE: {"type": kind, kind: {**TYPES[kind], **fields}}}


def create(**fields: object) -> dict[str, object]:
    """A new channel in place of the sample's changes."""
    return {"spec.changes": None, "spec.action": "Create", "spec.create": {**CREATION, **fields}}


def _without_member(kind: str) -> Row:
    sentence = f"set {kind} with type {kind}, and only then"
    return f"a change of type {kind} without its member", SAMPLE, {CHANGE: {"type": kind}}, sentence


REFUSED: list[Row] = [
    *(_without_member(kind) for kind in TYPES),
    ("a change with two members", SAMPLE, {f"{CHANGE}.setBatch": {}}, "set setBatch with type setBatch, and only then"),
    ("a change of no type", SAMPLE, {f"{CHANGE}.type": "setFire"}, "supported values:"),
    ("no change at all", SAMPLE, {"spec.changes": None}, ONE_WISH),
    ("changes and an update", SAMPLE, {"spec.configUpdate": "AAAA"}, ONE_WISH),
    (
        "an update that is no base64",
        SAMPLE,
        {"spec.changes": None, "spec.configUpdate": "$(id)"},
        "must be base64 of a ConfigUpdate message",
    ),
    ("a new channel that is an update", SAMPLE, {**create(), "spec.action": "Update"}, ACTIONS),
    ("an update that is a new channel", SAMPLE, {"spec.action": "Create"}, ACTIONS),
    ("a definition from nowhere", ADDING, {f"{ADDED}.definitionFrom": {}}, ONE_SOURCE),
    ("a definition from two places", ADDING, {f"{ADDED}.definitionFrom.secretRef": {"name": "a"}}, ONE_SOURCE),
    (
        "a definition in an object nobody can name",
        ADDING,
        {f"{ADDED}.definitionFrom.configMapRef.name": "A/B"},
        "must be the name of an object",
    ),
    (
        "a definition under a key nobody can name",
        ADDING,
        {f"{ADDED}.definitionFrom.configMapRef.key": "a/b"},
        "must be a key: letters, digits, dots, dashes and underscores",
    ),
    (
        "a unit with a shell in it",
        ADDING,
        {
            f"{ADDED}.definitionFrom": {
                "inline": {"rootCerts": [PEM], "nodeOUs": {"peer": {"organizationalUnit": "$(x)"}}}
            }
        },
        "must be the name of an organizational unit",
    ),
    (
        "a member of a root of trust that is none",
        ADDING,
        {f"{ADDED}.definitionFrom": {"inline": {"rootCerts": []}}},
        "should have at least 1 items",
    ),
    ("an anchor peer by URL", ADDING, {f"{ADDED}.anchorPeers.0.host": "https://peer0"}, HOST),
    ("an anchor peer without a port", ADDING, {f"{ADDED}.anchorPeers.0.port": 0}, "greater than or equal to 1"),
    ("an orderer without a port", ADDING, {f"{ADDED}.ordererEndpoints": ["orderer0"]}, ENDPOINT),
    (
        "an MSP ID that climbs",
        ADDING,
        {f"{ADDED}.mspID": "../Org4"},
        "must be an MSP ID: letters, digits, dots, dashes and underscores, beginning with a letter or a digit",
    ),
    ("a policy with a shell in it", SAMPLE, change("setPolicy", rule="$(id)"), POLICY),
    ("a policy of a new channel with a shell in it", SAMPLE, create(policies={"/Channel/Admins": "$(id)"}), POLICY),
    ("a path that does not begin", SAMPLE, change("setPolicy", path="Channel/Admins"), ELEMENT),
    ("a mod_policy with a space", SAMPLE, change("setModPolicy", modPolicy="My Admins"), NAMED_POLICY),
    ("an access rule with a space", SAMPLE, change("setACL", policy="My Admins"), NAMED_POLICY),
    (
        "a resource with a space",
        SAMPLE,
        change("setACL", resource="peer propose"),
        "must be a resource of peers, for example peer/Propose",
    ),
    (
        "a capability in lower case",
        SAMPLE,
        change("setCapability", level="v2"),
        "must be a capability level, for example V2_5",
    ),
    (
        "a capability of a new channel in lower case",
        SAMPLE,
        create(capabilities={"channel": "v2"}),
        "must be a capability level, for example V2_0",
    ),
    ("a batch without a unit", TRYING, {f"{CHANGE}.setBatch.timeout": "1"}, "must be a duration, for example 2s"),
    (
        "a tick without a unit",
        SAMPLE,
        change("setRaftOptions", tickInterval="5"),
        "must be a duration, for example 500ms",
    ),
    ("a voting period in weeks", SAMPLE, {"spec.votingPeriod": "1w"}, "must be a duration, for example 168h"),
]
