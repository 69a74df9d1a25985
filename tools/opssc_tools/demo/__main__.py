"""Command: run the demo."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabric_admin.errors import FabricError
from fabric_devnet.errors import DevnetError
from fabric_devnet.spec import BackendName
from opssc_tools.cluster.start import ClusterKind
from opssc_tools.demo.screen import Screen
from opssc_tools.demo.shell import read_command, write_settings
from opssc_tools.demo.story import tell
from opssc_tools.environment import Consortium, EnvironmentSpec, manifests
from opssc_tools.environment.manifests import ServicePackage
from opssc_tools.errors import ToolsError

if TYPE_CHECKING:
    from opssc_tools.demo.story import Outcome

INTERRUPTED = 130
UPGRADE_SAMPLE = "chaincodeproposal-upgrade.yaml"


def main(  # noqa: PLR0917 - typer reads options from parameters; nobody calls it by position
    organizations: Annotated[int, typer.Option("--orgs", min=2, max=100, help="how many organizations")] = 3,
    backend: Annotated[BackendName, typer.Option(help="who plays peers and orderer")] = BackendName.EMBEDDED,
    cluster: Annotated[ClusterKind, typer.Option(help="where the Kubernetes API comes from")] = ClusterKind.LOCAL,
    api_servers: Annotated[int, typer.Option(help="1: a namespace for each organization; 0: as many as sensible")] = 0,
    kubeconfig: Annotated[Path | None, typer.Option(help="for --cluster=existing; default KUBECONFIG")] = None,
    directory: Annotated[Path, typer.Option(help="where everything is written")] = Path(".demo"),
    keep: Annotated[bool, typer.Option("--keep", help="leave it running until Ctrl-C")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print the result as JSON, the story on standard error")
    ] = False,
) -> None:
    """Several organizations, each with a Kubernetes API server and an operator, deploy a chaincode together."""
    screen = Screen(aside=as_json)
    try:
        spec = EnvironmentSpec(
            directory=directory.resolve(),
            organizations=organizations,
            backend=backend,
            cluster=cluster,
            api_servers=api_servers,
            kubeconfig=kubeconfig,
        )
        outcome = asyncio.run(_run(spec, screen, keep=keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.verdict("interrupted; everything is stopped", good=False)
        sys.exit(INTERRUPTED)
    except (ToolsError, DevnetError, FabricError) as exc:
        screen.verdict(f"the demo failed: {exc}", good=False)
        if (directory / "logs").is_dir():
            screen.plain(f"logs: {directory / 'logs'}")
        sys.exit(1)
    if as_json:
        print(json.dumps(outcome.to_json(spec), indent=2))
    sys.exit(0 if outcome.good else 1)


async def _run(spec: EnvironmentSpec, screen: Screen, *, keep: bool) -> Outcome:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    screen.title(f"{spec.organizations} organizations, each with its own peers, Kubernetes API and operator")
    async with Consortium.start(spec, announce=screen.step) as consortium:
        outcome = await tell(consortium, screen)
        count = spec.organizations
        if outcome.good:
            screen.verdict(
                f"TRUE: one manifest became a committed, usable chaincode in {count} organizations, "
                f"{outcome.vote_to_ready_seconds:.1f} s after the last vote; {outcome.seconds:.0f} s in all",
                good=True,
            )
        else:
            screen.verdict("FALSE: see what is not true above", good=False)
        if keep:
            await _keep(consortium, screen)
    return outcome


async def _keep(consortium: Consortium, screen: Screen) -> None:
    """Leave it running until somebody ends it; what was found stays the result."""
    # Whoever goes on proposes the upgrade of the samples, whose chaincode somebody has to run.
    upgrade = manifests.read_sample(UPGRADE_SAMPLE)
    consortium.serve_asset(ServicePackage.of_manifest(upgrade["spec"]["package"]))
    screen.title("Left running until Ctrl-C; everything it wrote is in " + str(consortium.spec.directory))
    screen.plain("Paste into another terminal:")
    for member in consortium.members:
        namespace = f" -n {member.namespace}" if consortium.spec.shares_api_server else ""
        command = read_command(write_settings(consortium.spec.directory, member))
        screen.plain(f"{command}; kubectl get ccp{namespace}")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    screen.step("stopping")


if __name__ == "__main__":
    typer.run(main)
