"""Time and chance, the two things the pure core must be given."""

from __future__ import annotations

import secrets
import time

from fabric_admin.proposal import NONCE_BYTES, Moment


def new_moment() -> Moment:
    """Return now with a fresh nonce."""
    return Moment(secrets.token_bytes(NONCE_BYTES), time.time_ns())
