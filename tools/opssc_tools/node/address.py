"""The addresses between this machine, its node and the pods: fixed, so that one such node runs at a time."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Final

HOST: Final = IPv4Address("10.199.0.1")
"""This machine's end of the cable, where the API server listens."""
NODE: Final = IPv4Address("10.199.0.2")
CABLE_PREFIX: Final = 30
PODS: Final = IPv4Network("10.199.64.0/20")
SERVICES: Final = IPv4Network("10.199.128.0/20")
EVERYTHING: Final = IPv4Network("10.199.0.0/16")
"""All of the above; nothing else on this machine may use it."""
