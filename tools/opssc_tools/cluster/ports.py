"""Free ports of one address of this machine that stay ours from the choice until the server is gone."""

from __future__ import annotations

import socket


class ReservedPort:
    """A TCP port of an address of this machine, held by a bound socket that never listens.

    The server binds it too, with SO_REUSEPORT, and gets every connection; nobody else is given the port in between.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((address, 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give the port back."""
        self._socket.close()
