"""Conditions of all kinds: their types, the closed set of reasons, and one condition as it stands in status."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from opssc_operator.api.fields import ApiModel, StatusText, Time


class ConditionStatus(StrEnum):
    """Truth of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """What a condition is about; `docs/api.md` says what True means for each."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    # FabricOrganization
    IDENTITY_READY = "IdentityReady"
    PEERS_READY = "PeersReady"
    GOVERNANCE_READY = "GovernanceReady"
    # ChaincodeProposal
    VERIFIED = "Verified"
    ACCEPTED = "Accepted"
    INSTALLED = "Installed"
    APPROVED = "Approved"
    COMMIT_READY = "CommitReady"
    COMMITTED = "Committed"
    RUNTIME_READY = "RuntimeReady"
    INITIALIZED = "Initialized"
    # ChannelProposal
    APPLIED = "Applied"
    # FabricChannel
    MEMBER = "Member"
    CONSENTERS_VALID = "ConsentersValid"
    # CharterProposal
    IN_FORCE = "InForce"
    # Vote
    COUNTED = "Counted"


class Reason(StrEnum):
    """Why a condition has its status; stable words that people and alerts may depend on."""

    # Good news: the reason of a condition that is True.
    IDENTITY_VALID = "IdentityValid"
    PEERS_REACHABLE = "PeersReachable"
    CONTRACT_COMMITTED = "ContractCommitted"
    VERIFIED = "Verified"
    ACCEPTED = "Accepted"
    INSTALLED = "Installed"
    APPROVED = "Approved"
    COMMIT_READY = "CommitReady"
    COMMITTED = "Committed"
    APPLIED = "Applied"
    JOINED = "Joined"
    DRY_RUN = "DryRun"
    SERVER_READY = "ServerReady"
    SERVER_REACHED = "ServerReached"
    INITIALIZED = "Initialized"
    IN_FORCE = "InForce"
    COUNTED = "Counted"
    CERTIFICATES_VALID = "CertificatesValid"
    READY = "Ready"

    # At work or waiting for others; nobody here needs to do anything.
    PENDING = "Pending"
    PROPOSING = "Proposing"
    PROGRESSING = "Progressing"
    SUSPENDED = "Suspended"
    AWAITING_PROPOSAL = "AwaitingProposal"
    AWAITING_VERIFICATION = "AwaitingVerification"
    PACKAGE_PENDING = "PackagePending"
    AWAITING_VOTES = "AwaitingVotes"
    AWAITING_OWN_VOTE = "AwaitingOwnVote"
    AWAITING_INSTALL = "AwaitingInstall"
    AWAITING_ORGANIZATIONS = "AwaitingOrganizations"
    AWAITING_COMMIT = "AwaitingCommit"
    AWAITING_CONSENT = "AwaitingConsent"
    AWAITING_INIT = "AwaitingInit"
    AWAITING_ORDERER = "AwaitingOrderer"
    AWAITING_SIGNATURES = "AwaitingSignatures"
    AWAITING_SUBMISSION = "AwaitingSubmission"
    IN_MAINTENANCE = "InMaintenance"
    BOOTSTRAPPING = "Bootstrapping"

    # The organization: identities, peers, governance.
    ORGANIZATION_NOT_READY = "OrganizationNotReady"
    DUPLICATE_ORGANIZATION = "DuplicateOrganization"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, no secret
    DEFINITION_INVALID = "DefinitionInvalid"
    DEFINITION_NOT_FOUND = "DefinitionNotFound"
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105 - a reason, no secret
    IDENTITY_INVALID = "IdentityInvalid"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    CERTIFICATE_EXPIRING = "CertificateExpiring"
    UNKNOWN_MSP = "UnknownMSP"
    JOIN_FAILED = "JoinFailed"
    ORDERER_UNREACHABLE = "OrdererUnreachable"
    NO_PEERS = "NoPeers"
    PEER_UNREACHABLE = "PeerUnreachable"
    CHANNEL_NOT_FOUND = "ChannelNotFound"
    GOVERNANCE_UNAVAILABLE = "GovernanceUnavailable"
    CONTRACT_NOT_COMMITTED = "ContractNotCommitted"
    CONTRACT_MISMATCH = "ContractMismatch"
    CONTRACT_POLICY_TOO_WEAK = "ContractPolicyTooWeak"

    # The proposal: what it says against what the ledger and the own peer say.
    INVALID_SPEC = "InvalidSpec"
    DUPLICATE_MANIFEST = "DuplicateManifest"
    CONTENT_CONFLICT = "ContentConflict"
    SNAPSHOT_MISMATCH = "SnapshotMismatch"
    PACKAGE_ID_MISMATCH = "PackageIDMismatch"
    PACKAGE_INVALID = "PackageInvalid"
    UNTRUSTED_SOURCE = "UntrustedSource"
    DOWNLOAD_FAILED = "DownloadFailed"
    DELTA_MISMATCH = "DeltaMismatch"
    PEER_TOO_OLD = "PeerTooOld"
    NOT_A_MEMBER = "NotAMember"
    ORDERERS_REFUSE = "OrderersRefuse"
    REFUSED_BY_CONTRACT = "RefusedByContract"
    UNSUPPORTED_BY_THIS_VERSION = "UnsupportedByThisVersion"

    # Its end other than a commit.
    REJECTED = "Rejected"
    WITHDRAWN = "Withdrawn"
    WITHDRAWN_FINAL = "WithdrawnFinal"
    EXPIRED = "Expired"
    STALE = "Stale"
    SEQUENCE_CONFLICT = "SequenceConflict"
    SUPERSEDED = "Superseded"

    # Carrying it out.
    INSTALL_FAILED = "InstallFailed"
    EXTERNAL_BUILDER_MISSING = "ExternalBuilderMissing"
    SKIPPED_BY_VOTE = "SkippedByVote"
    APPROVAL_FAILED = "ApprovalFailed"
    APPROVAL_DATA_MISSING = "ApprovalDataMissing"
    DEFINITION_MISMATCH = "DefinitionMismatch"
    DISAGREED = "Disagreed"
    COMMIT_FAILED = "CommitFailed"
    SUBMISSION_REFUSED = "SubmissionRefused"
    SERVER_NOT_READY = "ServerNotReady"
    SERVER_UNREACHABLE = "ServerUnreachable"
    SERVER_MISMATCH = "ServerMismatch"
    SERVER_SILENT = "ServerSilent"
    SERVER_NOT_ASKED = "ServerNotAsked"
    SERVER_NOT_MANAGED = "ServerNotManaged"
    INIT_FAILED = "InitFailed"

    # The vote.
    CONTENT_HASH_REQUIRED = "ContentHashRequired"
    HASH_MISMATCH = "HashMismatch"
    VOTING_CLOSED = "VotingClosed"
    ALREADY_VOTED = "AlreadyVoted"
    DUPLICATE_VOTE = "DuplicateVote"


class Condition(ApiModel):
    """One condition; times are put in when it is merged into the status that stands."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: StatusText = ""
    last_transition_time: Time | None = None
    observed_generation: Annotated[int, Field(ge=0)] | None = None
