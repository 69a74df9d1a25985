"""Ports chosen for nodes and chaincode servers are free on every address that will use them."""

from __future__ import annotations

import contextlib
import socket

import pytest

from fabric_devnet import ports
from fabric_devnet.errors import NodeFailed

_HOSTS = ("127.0.0.1", "127.9.8.7")


def test_a_port_used_on_the_second_address_is_not_chosen() -> None:
    with contextlib.ExitStack() as stack:
        taken = set(ports.free_ports(4000))
        for port in taken:
            stack.enter_context(socket.socket()).bind((_HOSTS[1], port))
        chosen = ports.free_ports(200, _HOSTS)
    assert len(set(chosen)) == 200
    assert not taken.intersection(chosen)


def test_an_address_of_another_machine_has_no_free_port() -> None:
    with pytest.raises(NodeFailed, match=r"no 1 free TCP ports on 203\.0\.113\.1"):
        ports.free_ports(1, ("203.0.113.1",))
