"""What can go wrong between a chaincode and its peer.

ShimError
├─ StateError         the peer refused a request on the state; ends the transaction
├─ StreamClosedError  the stream to the peer ended while a transaction ran
├─ InvalidKeyError    a key or an attribute of a key that Fabric's state cannot hold
├─ ProposalError      the transaction's signed proposal does not parse
└─ ServerError        mis-deployed: the address cannot be bound, TLS files are unusable; exit at start
"""


class ShimError(Exception):
    """Base of everything the shim raises."""


class StateError(ShimError):
    """The peer answered a request on the state with an error, whose text is Fabric's."""


class StreamClosedError(ShimError):
    """The stream to the peer ended; nobody waits for this transaction's result any more."""


class InvalidKeyError(ShimError):
    """A key, or an attribute of a composite key, that the state cannot hold."""


class ProposalError(ShimError):
    """The signed proposal of a transaction does not parse or has no usable header."""


class ServerError(ShimError):
    """The server cannot be started as it was configured."""
