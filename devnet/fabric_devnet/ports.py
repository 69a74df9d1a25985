"""Choosing TCP ports that nobody uses, on one loopback address or on several at once."""

from __future__ import annotations

import secrets
import socket

from fabric_devnet.errors import NodeFailed

LOOPBACK = "127.0.0.1"
# Below Linux's ephemeral range, so that no outgoing connection takes a port between choosing and listening.
_FIRST_PORT, _LAST_PORT = 20000, 32000
_ATTEMPTS = 1000


def free_ports(count: int, hosts: tuple[str, ...] = (LOOPBACK,)) -> tuple[int, ...]:
    """Choose `count` different TCP ports that were free on every one of `hosts` just now.

    Raises NodeFailed when a thousand attempts did not find them.
    """
    chosen: list[int] = []
    for _ in range(_ATTEMPTS + count):
        if len(chosen) == count:
            return tuple(chosen)
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT)
        if port not in chosen and all(_is_free(host, port) for host in hosts):
            chosen.append(port)
    raise NodeFailed(f"no {count} free TCP ports on {', '.join(hosts)} between {_FIRST_PORT} and {_LAST_PORT}")


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
