"""How long the certificates of a channel's consenters are good for, and what to say about it. Pure.

A consenter whose certificate has expired no longer takes part; when most of them have, nothing is ordered any more, not
even the update that would help. So the end is announced while there is time to vote on a replacement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fabric_admin.certificates import decode_pem, parse_certificate
from fabric_admin.channelconfig import ChannelConfig, Consenter
from fabric_admin.errors import ConfigError, IdentityError
from opssc_operator.api.channel import MAX_CONSENTERS
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.verdict import Verdict, no, yes

ANNOUNCED_BEFORE: Final = timedelta(days=30)
MOST_NAMED: Final = 3
_CERTIFICATES: Final = (
    ("client TLS", "client_tls_cert"),
    ("server TLS", "server_tls_cert"),
    ("identity", "identity"),
)


@dataclass(frozen=True, slots=True)
class ConsenterEnd:
    """When the first of a consenter's certificates expires (UTC), and which those are: ``client TLS``, ``identity``."""

    address: str
    not_after: datetime
    certificates: tuple[str, ...]


def find_ends(config: ChannelConfig) -> tuple[ConsenterEnd, ...]:
    """The consenters of a channel by address; one none of whose certificates can be read is left out."""
    try:
        consenters = config.consenters
    except ConfigError:
        return ()
    found = (_end_of(consenter) for consenter in consenters[:MAX_CONSENTERS])
    return tuple(sorted((end for end in found if end is not None), key=lambda end: end.address))


def judge_ends(ends: Sequence[ConsenterEnd], now: datetime) -> Verdict:
    """True while every certificate is good for another 30 days, else who has to be given others until when."""
    due = sorted((end for end in ends if end.not_after - now <= ANNOUNCED_BEFORE), key=_urgency)
    if not due:
        return yes(Reason.CERTIFICATES_VALID, "no consenter's certificate expires within 30 days")
    reason = Reason.CERTIFICATE_EXPIRED if due[0].not_after <= now else Reason.CERTIFICATE_EXPIRING
    named = [_words(end) for end in due[:MOST_NAMED]]
    if len(due) > MOST_NAMED:
        named.append(f"and {len(due) - MOST_NAMED} more")
    # What to do comes first: a message that is too long loses its end.
    return no(reason, f"propose replaceConsenterCertificates, one at a time: {'; '.join(named)}")


def earliest_ends(ends: Sequence[ConsenterEnd]) -> Mapping[str, float]:
    """By consenter address, the moment its first certificate expires, in seconds since 1970."""
    return {end.address: end.not_after.timestamp() for end in ends}


def _urgency(end: ConsenterEnd) -> tuple[datetime, str]:
    return end.not_after, end.address


def _words(end: ConsenterEnd) -> str:
    return f"{end.address} is valid until {end.not_after:%Y-%m-%d} ({', '.join(end.certificates)})"


def _end_of(consenter: Consenter) -> ConsenterEnd | None:
    ends: dict[str, datetime] = {}
    for name, attribute in _CERTIFICATES:
        der = decode_pem(getattr(consenter, attribute))
        try:
            if der is not None:
                ends[name] = parse_certificate(der).not_valid_after_utc
        except IdentityError:
            continue
    if not ends:
        return None
    first = min(ends.values())
    address = f"{consenter.address.host[:253]}:{consenter.address.port}"
    return ConsenterEnd(address, first, tuple(name for name, end in ends.items() if end == first))
