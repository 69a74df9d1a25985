"""Every error this library raises, as one tree.

::

    FabricError
    ├─ InvalidInput                 malformed bytes or text; never heals by retrying
    │  ├─ PolicySyntaxError         policy text or policy message
    │  ├─ PackageError              chaincode package
    │  ├─ IdentityError             certificate, key, signature or MSP
    │  ├─ ConfigError               channel configuration or profile
    │  │  └─ HazardousChange        Fabric would accept it, and the channel or its nodes would suffer
    │  └─ BlockError                block, envelope or transaction
    ├─ ConfigUpdateRefused          what an orderer would answer to a config update
    ├─ PolicyNotSatisfied           well-formed signatures that do not reach a policy
    ├─ TransportError               endpoint unreachable, TLS, connection lost; transient
    │  └─ DeadlineExceeded          no answer within the deadline
    ├─ RequestRefused               gRPC-level refusal before any simulation
    ├─ ChaincodeError               response status outside 200..399
    ├─ GatewayError                 refusal by the Gateway service, with each endorser's detail
    ├─ CommitFailed                 ordered, then flagged invalid by the committing peer
    ├─ DeliverError                 a block stream ended with a status other than SUCCESS
    ├─ OrdererRefused               Broadcast answered with a status other than SUCCESS
    ├─ ParticipationError           an orderer's channel participation API answered with an error
    └─ NotOffered                   the node's release of Fabric does not have what was asked for

This module must not import anything of the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RETRYABLE_VALIDATION_CODES: Final = frozenset({"MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT"})


class FabricError(Exception):
    """Anything that went wrong between this library and a Fabric network."""


class InvalidInput(FabricError):
    """The bytes or text are malformed: the same input will always be refused."""


class PolicySyntaxError(InvalidInput):
    """A policy's text or message cannot be understood."""


class PackageError(InvalidInput):
    """A chaincode package, or what one should be built from, is malformed."""


class IdentityError(InvalidInput):
    """A certificate, key, signature, identity or MSP definition is not acceptable."""


class ConfigError(InvalidInput):
    """A channel configuration, or the profile of one, is not acceptable; ``element`` is its path when it is known."""

    def __init__(self, message: str, *, element: str = "") -> None:
        super().__init__(message)
        self.element = element


class HazardousChange(ConfigError):
    """Fabric would accept the change and then the channel or its nodes would suffer; ``hazard`` names how."""

    def __init__(self, element: str, hazard: str, remedy: str) -> None:
        super().__init__(f"{element}: {hazard}; {remedy}", element=element)
        self.hazard = hazard
        self.remedy = remedy


class BlockError(InvalidInput):
    """A block, or an envelope inside one, is malformed."""


class ConfigUpdateRefused(FabricError):
    """An orderer would refuse the config update; the text is what it would answer, word for word.

    ``stage`` is the check that failed, ``element`` the path at fault as far as it is known, ``remedy`` what would
    satisfy the rule, ``status`` the name of the Broadcast status (empty: the orderer would not answer at all).
    """

    def __init__(
        self, stage: str, message: str, *, element: str = "", remedy: str = "", status: str = "BAD_REQUEST"
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.message = message
        self.element = element
        self.remedy = remedy
        self.status = status

    @property
    def explanation(self) -> str:
        """The refusal as a sentence that names the element, the rule and what would satisfy it."""
        where = f"{self.element}: " if self.element and self.element not in self.message else ""
        return f"{where}{self.message}" + (f"; {self.remedy}" if self.remedy else "")

    def within(self, prefix: str) -> ConfigUpdateRefused:
        """Return the same refusal as part of a larger step, whose name goes in front."""
        return ConfigUpdateRefused(
            self.stage, f"{prefix}: {self.message}", element=self.element, remedy=self.remedy, status=self.status
        )


class PolicyNotSatisfied(FabricError):
    """The signatures are readable but do not satisfy the policy; the text is Fabric's."""


class TransportError(FabricError):
    """The endpoint could not be reached or the connection broke; trying again may help."""

    def __init__(self, endpoint: str, message: str) -> None:
        super().__init__(f"{endpoint}: {message}")
        self.endpoint = endpoint
        self.message = message


class DeadlineExceeded(TransportError):
    """The endpoint did not answer within the deadline; whether it acted is unknown."""


class RequestRefused(FabricError):
    """A node refused the request at gRPC level, before simulating anything."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ChaincodeError(FabricError):
    """A chaincode (or system chaincode) answered with a status outside 200..399."""

    def __init__(self, status: int, message: str, payload: bytes = b"") -> None:
        super().__init__(f"chaincode response {status}, {message}")
        self.status = status
        self.message = message
        self.payload = payload


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What one endorser or orderer said when the Gateway gave up."""

    address: str
    msp_id: str
    message: str


class GatewayError(FabricError):
    """The Gateway service refused or failed; ``details`` holds one entry per node asked."""

    def __init__(self, code: str, message: str, details: tuple[ErrorDetail, ...] = ()) -> None:
        said = "; ".join(f"{detail.msp_id} {detail.address}: {detail.message}" for detail in details)
        super().__init__(f"{code}: {message}" + (f" ({said})" if said else ""))
        self.code = code
        self.message = message
        self.details = details


class CommitFailed(FabricError):
    """The transaction is in a block but was flagged invalid, so it changed nothing."""

    def __init__(self, transaction_id: str, code: str, block_number: int) -> None:
        super().__init__(f"transaction {transaction_id} in block {block_number} was not valid: {code}")
        self.transaction_id = transaction_id
        self.code = code
        self.block_number = block_number

    @property
    def retryable(self) -> bool:
        """Whether the same invocation, endorsed anew, may succeed."""
        return self.code in RETRYABLE_VALIDATION_CODES


class DeliverError(FabricError):
    """A block stream ended with a status (its protobuf name) other than SUCCESS."""

    def __init__(self, status: str, message: str = "") -> None:
        super().__init__(f"deliver ended with {status}" + (f": {message}" if message else ""))
        self.status = status
        self.message = message


class OrdererRefused(FabricError):
    """An orderer answered Broadcast with a status (its protobuf name) other than SUCCESS."""

    def __init__(self, status: str, info: str) -> None:
        super().__init__(f"orderer refused the envelope with {status}: {info}")
        self.status = status
        self.info = info


class NotOffered(FabricError):
    """The node's release of Fabric does not have what was asked for; ``since`` is the first that does (``3.1.2``)."""

    def __init__(self, what: str, since: str, instead: str) -> None:
        super().__init__(f"the node does not offer {what}, which came with Fabric {since}: {instead}")
        self.since = since


class ParticipationError(FabricError):
    """The channel participation API answered with an HTTP error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"channel participation answered {status}: {message}")
        self.status = status
        self.message = message
