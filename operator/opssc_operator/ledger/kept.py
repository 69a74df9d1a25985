"""The package an organization already has: which one it approved before, and the bytes its own peers hold."""

from __future__ import annotations

from typing import Final

from fabric_admin.errors import ChaincodeError, FabricError
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.deployment import Approval
from opssc_operator.errors import TransientError
from opssc_operator.ledger.peers import OwnPeers
from opssc_operator.ledger.translate import explain, translated

QUERY_SECONDS: Final = 10.0


async def fetch_approval(peers: OwnPeers, channel: str, name: str, sequence: int) -> Approval | None:
    """What the own organization approved at ``sequence``, which may be no package; None when it approved nothing there.

    Raises TransientError or TerminalError.
    """
    with translated(f"reading the approval of sequence {sequence} of {name} on channel {channel}"):
        found = await peers.ask(
            channel,
            lambda peer: peer.lifecycle.query_approved(channel, name, sequence, timeout_seconds=QUERY_SECONDS),
        )
    return None if found is None else Approval(found.definition, found.package_id)


async def fetch_installed_package(peers: OwnPeers, package_id: str) -> bytes:
    """The bytes of a package from any own peer that has it; raises TransientError when none gives them."""
    problems = []
    for peer in peers.all:
        try:
            return await peer.lifecycle.get_installed_package(package_id)
        except ChaincodeError:
            problems.append(f"{peer.name} does not have it")
        except FabricError as exc:
            problems.append(f"{peer.name}: {explain(exc)}")
    raise TransientError(
        f"package {package_id} is kept, and no own peer has it: {'; '.join(problems)}; install it on one of them",
        reason=Reason.INSTALL_FAILED,
    )
