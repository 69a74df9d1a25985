"""What peers and orderers of the embedded network refuse, in the words of Fabric.

Refusal                    a client asked for something that Fabric would refuse; the text is what the client sees
├─ ProposalRefused         refused before simulation: gRPC UNKNOWN
│  └─ ProposalUnreadable   malformed, expired or out of time: refused before the channel is looked at
├─ AccessDenied            an access policy is not satisfied
├─ InvocationFailed        a system chaincode answers with a status and a message
├─ DefinitionRefused       a chaincode definition breaks a rule of `_lifecycle`
├─ NamespaceNotDefined     no chaincode is defined under that name: status 404
├─ BuildFailed             a chaincode package that no builder here can build
├─ ChaincodeUnavailable    no chaincode runs under that name here, or its server cannot be reached
├─ NodeUnreachable         another node does not answer, or refuses at gRPC level
└─ ExecutionFailed         the chaincode's stream broke, timed out or broke the protocol
LedgerError                the ledger, or a simulation on it, refuses; the text is Fabric's
├─ NotInLedger             no such block number, block hash or transaction
├─ BadBlock                a block that does not continue this ledger, or cannot be applied to it
│  └─ IncompatibleConfig   a config that asks for more than peers of this kind can do
├─ SimulationError         the transaction asks for what a simulation cannot do
└─ OrderingStopped         no orderer of the channel is running
"""

from __future__ import annotations


class Refusal(Exception):
    """A request that Fabric would refuse; `text` is what the client sees."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class ProposalRefused(Refusal):
    """A proposal that is refused before anything is simulated."""


class ProposalUnreadable(ProposalRefused):
    """A proposal that is malformed, expired or out of time."""


class AccessDenied(Refusal):
    """A creator who does not satisfy the policy of a resource."""


class InvocationFailed(Refusal):
    """A system chaincode that answers with a status other than 200."""

    def __init__(self, text: str, status: int = 500) -> None:
        super().__init__(text)
        self.status = status


class DefinitionRefused(Refusal):
    """A chaincode definition that breaks a rule of `_lifecycle`."""


class NamespaceNotDefined(Refusal):
    """A chaincode name that is not defined on the channel."""


class BuildFailed(Refusal):
    """A package that no builder of this peer can build."""


class ChaincodeUnavailable(Refusal):
    """A chaincode that is not defined, approved, installed or reachable."""


class NodeUnreachable(Refusal):
    """Another node that does not answer, or refuses at gRPC level."""


class ExecutionFailed(Refusal):
    """A chaincode that gave no usable answer."""


class LedgerError(Exception):
    """The ledger, or a simulation on it, refuses."""


class NotInLedger(LedgerError):
    """No such block number, block hash or transaction."""


class BadBlock(LedgerError):
    """A block that does not continue this ledger, or cannot be applied to it."""


class IncompatibleConfig(BadBlock):
    """A config that asks for more than peers of this kind can do: Fabric's peers end at once."""


class SimulationError(LedgerError):
    """A transaction that asks for what a simulation cannot do."""


class OrderingStopped(LedgerError):
    """A channel without any running orderer."""
