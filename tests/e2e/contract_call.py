"""Calls of the OpsSC contract in an organization's name, past its operator, as a hostile or careless admin can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_admin.errors import ChaincodeError, CommitFailed, GatewayError

if TYPE_CHECKING:
    from opssc_tools.environment import Member

GOVERNANCE = "ops-channel"
CONTRACT = "opssc"


async def refusal_of(member: Member, *arguments: str) -> str:
    """The contract's words when it refuses; empty when the transaction was committed."""
    try:
        await member.reader.submit(GOVERNANCE, CONTRACT, *arguments)
    except GatewayError as exc:
        return "; ".join(detail.message for detail in exc.details) or str(exc)
    except (ChaincodeError, CommitFailed) as exc:
        return str(exc)
    return ""
