"""Words and reasons for what Fabric answered, fit for a status: short, without addresses of keys or payloads.

Owns the border between the Fabric library's errors and the operator's; everything above sees only the latter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fabric_admin.errors import (
    ChaincodeError,
    CommitFailed,
    DeadlineExceeded,
    DeliverError,
    FabricError,
    GatewayError,
    InvalidInput,
    RequestRefused,
    TransportError,
)
from opssc_operator.api.conditions import Reason
from opssc_operator.errors import TerminalError, TransientError

LIMIT: Final = 200
HEAD: Final = 60
TRANSACTION_ID: Final = re.compile(r"(?: ?\btransaction(?: ID:)?)? ?\b[0-9a-f]{64}\b(?!:[0-9a-f])")
REFUSED_BY_ORDERER: Final = "status=FORBIDDEN"
"""In what a peer's Gateway passes on of an orderer (Fabric: internal/pkg/gateway/submit.go)."""


def explain(exc: FabricError) -> str:
    """One line of at most 200 characters that says what Fabric said."""
    match exc:
        case DeadlineExceeded():
            text = "no answer in time"
        case TransportError():
            text = f"cannot be reached: {exc.message}"
        case ChaincodeError():
            text = exc.message
        case GatewayError() if exc.details:
            text = exc.details[0].message
        case GatewayError() | RequestRefused() | DeliverError():
            text = exc.message
        case _:
            text = str(exc)
    return shorten(text)


def shorten(text: str) -> str:
    """One line of at most 200 characters that stays the same while its cause does.

    Transaction IDs differ at every try, so they are left out; the cause stands at the end of what Fabric says, so a
    text that is too long loses its middle.
    """
    line = TRANSACTION_ID.sub("", " ".join(text.split()))
    return line if len(line) <= LIMIT else line[:HEAD] + " … " + line[-(LIMIT - HEAD - 3) :]


def reason_of(exc: FabricError, otherwise: Reason) -> Reason:
    """The stable reason behind a Fabric error."""
    text = str(exc)
    if "creator org unknown" in text or "expected MSP ID" in text:
        return Reason.UNKNOWN_MSP
    if "access denied" in text or "identity expired" in text:
        return Reason.IDENTITY_INVALID
    if REFUSED_BY_ORDERER in text:
        return Reason.NOT_A_MEMBER
    if isinstance(exc, TransportError):
        return Reason.PEER_UNREACHABLE
    return otherwise


@contextmanager
def translated(doing: str, *, reason: Reason = Reason.GOVERNANCE_UNAVAILABLE) -> Iterator[None]:
    """Turn any Fabric error of the block into the operator's: input errors are terminal, all others transient."""
    try:
        yield
    except InvalidInput as exc:
        raise TerminalError(reason, f"{doing}: {explain(exc)}") from exc
    except CommitFailed as exc:
        raise TransientError(f"{doing}: {explain(exc)}", retry_after=0.0 if exc.retryable else None) from exc
    except FabricError as exc:
        raise TransientError(f"{doing}: {explain(exc)}", reason=reason_of(exc, reason)) from exc
