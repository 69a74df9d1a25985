"""FabricOrganization: who this namespace acts for, with which keys, peers and policies."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from opssc_chaincode.model.fields import ChaincodeName, ChaincodeVersion, ChannelName, MspID
from opssc_operator.api.conditions import Condition
from opssc_operator.api.definition import EndorsementPolicy, Sequence
from opssc_operator.api.durations import Duration
from opssc_operator.api.fields import Address, ApiModel, SecretKey, ServerName, StatusText, Time
from opssc_operator.api.metadata import ApiObject
from opssc_operator.api.package import ImagePackage
from opssc_operator.api.secretrefs import SecretRef, TlsAuthority
from opssc_operator.api.servers import ChaincodeServers, NamespaceName
from opssc_operator.api.trust import ImagePrefix, Trust


class VotingMode(StrEnum):
    """Who decides this organization's votes."""

    MANUAL = "Manual"
    RULES = "Rules"


class ExecutionMode(StrEnum):
    """Which accepted proposals this organization carries out."""

    FOLLOW_DECISION = "FollowDecision"
    OWN_VOTE_ONLY = "OwnVoteOnly"


class CatchUpMode(StrEnum):
    """Which committed chaincodes of a channel it joined later this organization installs and approves."""

    TRUSTED = "Trusted"
    MANUAL = "Manual"


class JoinMode(StrEnum):
    """Who has own peers join channels that this organization is let into."""

    MANUAL = "Manual"
    AUTOMATIC = "Automatic"


class ProposalKind(StrEnum):
    """Kinds of proposals on the ledger."""

    CHAINCODE = "Chaincode"


class PeerSource(StrEnum):
    """How a peer was found."""

    EXPLICIT = "Explicit"
    SERVICE = "Service"
    POD = "Pod"


class IdentitySource(ApiModel):
    """Where a certificate and its key are read at use.

    Without `certKey` and `keyKey` the layouts cert.pem/key.pem, tls.crt/tls.key and signcert/keystore are tried in this
    order; the two are set together or not at all.
    """

    secret_ref: SecretRef
    cert_key: SecretKey | None = None
    key_key: SecretKey | None = None

    @model_validator(mode="after")
    def _both_keys(self) -> Self:
        if (self.cert_key is None) != (self.key_key is None):
            raise ValueError("set certKey and keyKey together, or neither")
        return self


class Identities(ApiModel):
    """Identities of this organization; `client` reports and reads, and is `admin` when absent."""

    admin: IdentitySource
    client: IdentitySource | None = None


class Peer(ApiModel):
    """An own peer."""

    name: ServerName
    address: Address
    tls_ca: TlsAuthority
    server_name: ServerName | None = None


LabelName = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=317, pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
    ),
]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$")]


class PeerSelector(ApiModel):
    """Labels that a Service has to have to be looked at."""

    match_labels: Annotated[dict[LabelName, LabelValue], Field(min_length=1, max_length=16)]


class Peers(ApiModel):
    """The own peers: `explicit` is all of them; without it, they are looked for in `namespaces`."""

    explicit: Annotated[tuple[Peer, ...], Field(min_length=1, max_length=64)] | None = None
    selector: PeerSelector | None = None
    namespaces: Annotated[tuple[NamespaceName, ...], Field(max_length=16)] = ()
    tls_ca: TlsAuthority | None = None

    @model_validator(mode="after")
    def _listed_or_found(self) -> Self:
        if self.explicit is not None and (self.selector or self.namespaces or self.tls_ca):
            raise ValueError("peers.explicit is all peers: leave out selector, namespaces and tlsCA, or explicit")
        return self


class OrdererAdmin(ApiModel):
    """The channel participation endpoint of an own orderer, and who may use it: `tls` is a TLS client certificate."""

    address: Address
    tls: IdentitySource


class OrdererNode(ApiModel):
    """An orderer that blocks are fetched from when no own peer has them, yet or any more; an own one has `admin`."""

    address: Address
    tls_ca: TlsAuthority
    server_name: ServerName | None = None
    admin: OrdererAdmin | None = None


class Bootstrap(ApiModel):
    """This organization's consent to deploy the OpsSC contract itself with exactly these parameters."""

    version: ChaincodeVersion
    sequence: Sequence
    package: ImagePackage
    endorsement_policy: EndorsementPolicy | None = None


class Governance(ApiModel):
    """Where the consortium decides."""

    channel: ChannelName
    chaincode: ChaincodeName = "opssc"
    bootstrap: Bootstrap | None = None


class VotingRule(ApiModel):
    """Agree to proposals that match every list given here; an empty list matches anything."""

    kinds: Annotated[tuple[ProposalKind, ...], Field(min_length=1, max_length=8)] = (ProposalKind.CHAINCODE,)
    channels: Annotated[tuple[ChannelName, ...], Field(max_length=64)] = ()
    chaincodes: Annotated[tuple[ChaincodeName, ...], Field(max_length=64)] = ()
    image_prefixes: Annotated[tuple[ImagePrefix, ...], Field(max_length=64)] = ()
    creators: Annotated[tuple[MspID, ...], Field(max_length=64)] = ()


class Voting(ApiModel):
    """How this organization votes when nobody applied a Vote."""

    mode: VotingMode = VotingMode.MANUAL
    rules: Annotated[tuple[VotingRule, ...], Field(max_length=32)] = ()


class Mirror(ApiModel):
    """Which proposals of others appear as objects here."""

    enabled: bool = True
    retention: Duration = timedelta(hours=720)


class FabricOrganizationSpec(ApiModel):
    """What the platform team declares."""

    msp_id: MspID
    governance: Governance
    identities: Identities
    peers: Peers
    orderers: Annotated[tuple[OrdererNode, ...], Field(max_length=32)] = ()
    join_channels: JoinMode = JoinMode.MANUAL
    voting: Voting = Voting()
    execution: ExecutionMode = ExecutionMode.FOLLOW_DECISION
    catch_up: CatchUpMode = CatchUpMode.TRUSTED
    chaincode_servers: ChaincodeServers = ChaincodeServers()
    trust: Trust = Trust()
    mirror: Mirror = Mirror()
    suspend: bool = False
    resync_period: Duration = timedelta(minutes=5)


class PeerStatus(ApiModel):
    """An own peer as last seen."""

    name: ServerName
    address: Address
    source: PeerSource
    reachable: bool
    channels: Annotated[tuple[ChannelName, ...], Field(max_length=256)] = ()
    message: StatusText | None = None


class IdentityStatus(ApiModel):
    """A certificate in use; never its key."""

    name: Literal["admin", "client"]
    subject: StatusText | None = None
    not_after: Time | None = None


class GovernanceStatus(ApiModel):
    """The ops channel as last seen; `open` and `awaitingMyVote` count proposals."""

    block: Annotated[int, Field(ge=0)] | None = None
    contract_version: StatusText | None = None
    charter_version: Annotated[int, Field(ge=0)] | None = None
    open: Annotated[int, Field(ge=0)] | None = None
    awaiting_my_vote: Annotated[int, Field(ge=0)] | None = None


class FabricOrganizationStatus(ApiModel):
    """What the operator found."""

    observed_generation: Annotated[int, Field(ge=-1)]
    peers: Annotated[tuple[PeerStatus, ...], Field(max_length=64)] = ()
    identities: Annotated[tuple[IdentityStatus, ...], Field(max_length=2)] = ()
    governance: GovernanceStatus | None = None
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()


class FabricOrganization(ApiObject):
    """An organization."""

    kind: Literal["FabricOrganization"] = "FabricOrganization"
    spec: FabricOrganizationSpec
