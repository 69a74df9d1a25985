"""What the contract refuses, and with which code.

ContractError
└─ RefusedError   a call that the rules refuse: `.code` and a text that says what was wrong and what would be right

The state's own failures are `opssc_chaincode.shim.errors.ShimError`; they pass through the contract untouched.
"""

from enum import StrEnum


class Code(StrEnum):
    """Why a call was refused; the first word of the response's message."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    CLOSED = "CLOSED"
    HASH_MISMATCH = "HASH_MISMATCH"
    CONFLICT = "CONFLICT"
    CLOCK_SKEW = "CLOCK_SKEW"
    BAD_SIGNATURE = "BAD_SIGNATURE"

    @property
    def status(self) -> int:
        """Status of the chaincode response, 400 to 409."""
        return _STATUS[self]


_STATUS = {
    Code.INVALID: 400,
    Code.CLOCK_SKEW: 400,
    Code.BAD_SIGNATURE: 400,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.CLOSED: 409,
    Code.CONFLICT: 409,
    Code.HASH_MISMATCH: 409,
}


class ContractError(Exception):
    """Base of everything the contract raises."""


class RefusedError(ContractError):
    """A call that the rules refuse."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
