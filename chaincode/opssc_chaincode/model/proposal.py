"""Proposals: what an organization gives to `Propose`, and what the contract stores."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Self

from pydantic import Discriminator, Field, Tag, model_validator

from opssc_chaincode import canonical
from opssc_chaincode.canonical import Json
from opssc_chaincode.model.chaincode import ChaincodeContent
from opssc_chaincode.model.channel import ChannelContent
from opssc_chaincode.model.charter import Charter, CharterInForce
from opssc_chaincode.model.document import Document
from opssc_chaincode.model.fields import (
    MAX_MEMBERS,
    NAME_SEPARATOR,
    ChannelName,
    Description,
    Kind,
    MspID,
    ProposalID,
    ProposalName,
    Sha256,
    Subject,
    Time,
    TransactionID,
    format_time,
)
from opssc_chaincode.model.rule import Rule

SCHEMA = 1


def _content_kind(value: object) -> str:
    for content, kind in ((Charter, Kind.CHARTER), (ChannelContent, Kind.CHANNEL)):
        if isinstance(value, content):
            return kind
    if isinstance(value, Mapping) and "action" in value:
        return Kind.CHANNEL
    return Kind.CHARTER if isinstance(value, Mapping) and not {"channel", "name"} & value.keys() else Kind.CHAINCODE


# Told apart by what they hold, so that a refusal names the field and not every class that did not fit.
Content = Annotated[
    Annotated[ChaincodeContent, Tag(Kind.CHAINCODE.value)]
    | Annotated[ChannelContent, Tag(Kind.CHANNEL.value)]
    | Annotated[Charter, Tag(Kind.CHARTER.value)],
    Discriminator(_content_kind),
]


class Snapshot(Document):
    """What the proposer saw on its own peer, pinned for good; nobody believes it unchecked.

    `config_hash` is the hex header hash of block `config_block`.
    """

    channel: ChannelName
    config_block: int = Field(ge=0, le=2**53 - 1)
    config_sequence: int = Field(ge=0, le=2**53 - 1)
    config_hash: Sha256
    members: tuple[MspID, ...] = Field(min_length=1, max_length=MAX_MEMBERS)
    rule: Rule
    charter: CharterInForce

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if list(self.members) != sorted(set(self.members)):
            raise ValueError("members must be sorted, each once")
        strangers = sorted(set(self.rule.leaves()) - set(self.members))
        if strangers:
            raise ValueError(f"rule names {strangers[0]}, which is not in members")
        return self


class ProposalDocument(Document):
    """What `Propose` is given; `content` is of the class that belongs to `kind`."""

    # `schema` is taken by pydantic's base class.
    schema_version: int = Field(alias="schema", ge=SCHEMA, le=SCHEMA)
    id: ProposalID
    kind: Kind
    content: Content
    snapshot: Snapshot
    deadline: Time
    description: Description | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if _content_kind(self.content) != self.kind:
            raise ValueError(f"content is not that of kind {self.kind}")
        return self

    @property
    def content_hash(self) -> str:
        """Hex SHA-256 that votes are bound to."""
        known = self._hashed
        # A copy with other parts takes the remembered hash along: it holds for the very same parts alone.
        if not known.is_of(self):
            known = _Hashed.of(self)
        return known.hash

    @cached_property
    def _hashed(self) -> "_Hashed":
        return _Hashed.of(self)

    def same_meaning(self, other: "ProposalDocument") -> bool:
        """Whether kind and content are equal; snapshot and deadline depend on the moment."""
        return self.kind is other.kind and self.content.canonical() == other.content.canonical()


@dataclass(frozen=True, slots=True)
class _Hashed:
    """A content hash and the parts it was computed from."""

    kind: Kind
    content: Content
    snapshot: Snapshot
    deadline: datetime
    hash: str

    @classmethod
    def of(cls, document: ProposalDocument) -> Self:
        """Compute the hash of a document."""
        parts = document.kind, document.content, document.snapshot, document.deadline
        return cls(*parts, content_hash(*parts))

    def is_of(self, document: ProposalDocument) -> bool:
        """Whether the document holds the very same parts."""
        return (
            self.kind is document.kind
            and self.content is document.content
            and self.snapshot is document.snapshot
            and self.deadline is document.deadline
        )


class Creator(Document):
    """The organization that proposed, and the subject of the certificate that signed for it."""

    msp_id: MspID
    subject: Subject


class Proposal(ProposalDocument):
    """A proposal as stored: what was given, and what the contract computed. Immutable."""

    creator: Creator
    created_time: Time
    tx_id: TransactionID
    hash: Sha256 = Field(alias="contentHash")

    @property
    def name(self) -> ProposalName:
        """The proposal's name everywhere, `Org1MSP/basic-2`."""
        return proposal_name(self.creator.msp_id, self.id)


def proposal_name(creator: MspID, proposal_id: ProposalID) -> ProposalName:
    """Join creator and id to the name of a proposal."""
    return f"{creator}{NAME_SEPARATOR}{proposal_id}"


def content_hash(kind: Kind, content: Content, snapshot: Snapshot, deadline: datetime) -> str:
    """Hash what a vote is bound to: hex SHA-256 of the canonical JSON of kind, content, snapshot and deadline."""
    bound: dict[str, Json] = {
        "kind": kind.value,
        "content": content.to_json(),
        "snapshot": snapshot.to_json(),
        "deadline": format_time(deadline),
    }
    return canonical.digest(bound)
