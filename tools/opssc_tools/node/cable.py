"""The cable between this machine and a node: a veth pair, and routes to the pods and Services behind it.

This machine's sysctls and packet filter stay as they are. Cable and routes go when the node's namespaces go.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from opssc_tools.cluster.shared import find_program
from opssc_tools.errors import ClusterError
from opssc_tools.node import address
from opssc_tools.node.command import carry_out

if TYPE_CHECKING:
    from opssc_tools.node.namespaces import Namespaces

HOST_END = "opssc-node"
NODE_END = "eth0"


async def lay(namespaces: Namespaces) -> None:
    """Connect the namespaces with this machine.

    Raises:
        ClusterError: when the addresses are in use here, by another such node or by something else.
    """
    ip = find_program("ip", "install iproute2")
    await _check_free(str(ip))
    await carry_out(
        ip, "link", "add", HOST_END, "type", "veth", "peer", "name", NODE_END, "netns", str(namespaces.first)
    )
    for words in (
        ("link", "set", "lo", "up"),
        ("address", "add", f"{address.NODE}/{address.CABLE_PREFIX}", "dev", NODE_END),
        ("link", "set", NODE_END, "up"),
        ("route", "add", "default", "via", str(address.HOST)),
    ):
        await namespaces.carry_out(ip, *words)
    await carry_out(ip, "address", "add", f"{address.HOST}/{address.CABLE_PREFIX}", "dev", HOST_END)
    await carry_out(ip, "link", "set", HOST_END, "up")
    for behind in (address.PODS, address.SERVICES):
        await carry_out(ip, "route", "add", str(behind), "via", str(address.NODE))


async def _check_free(ip: str) -> None:
    """Refuse when a route of this machine leads into the node's addresses.

    Raises:
        ClusterError: naming the interface in the way.
    """
    for route in json.loads(await carry_out(ip, "-json", "-4", "route", "show", "table", "all")):
        if route["dst"] != "default" and IPv4Network(route["dst"], strict=False).overlaps(address.EVERYTHING):
            raise ClusterError(
                f"{address.EVERYTHING} is needed for a node, but {route.get('dev')} uses {route['dst']} of it: "
                "end the other `make test-node`, or free these addresses"
            )
