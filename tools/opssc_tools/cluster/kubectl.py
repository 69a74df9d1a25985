"""Runs kubectl against one cluster, with a deadline and no shell."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opssc_tools.errors import ClusterError, KubectlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT_SECONDS = 60.0


async def run(
    command: tuple[str, ...],
    *,
    stdin: str | None = None,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str, str]:
    """Run a program to its end, in our environment or the one given; return its exit code and both outputs.

    Raises:
        ClusterError: when it has not ended in time (it is killed then).
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            out, err = await process.communicate(None if stdin is None else stdin.encode())
    except TimeoutError as exc:
        raise ClusterError(f"{' '.join(command)} did not end within {timeout_seconds:.0f} s") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    code = process.returncode
    if code is None:
        raise ClusterError(f"{command[0]} closed its outputs and did not end")
    return code, out.decode(), err.decode()


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with one kubeconfig; calls return its standard output."""

    program: Path
    kubeconfig: Path
    cache: Path

    async def __call__(
        self, *arguments: str, stdin: str | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> str:
        """Run kubectl with these arguments, feeding it `stdin`.

        Raises:
            KubectlError: when kubectl ends with an error.
            ClusterError: when it has not ended in time.
        """
        # Ports are used again by later clusters, so the cached discovery of one must never serve another.
        command = (str(self.program), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}", *arguments)
        code, out, err = await run(command, stdin=stdin, timeout_seconds=timeout_seconds)
        if code != 0:
            raise KubectlError(arguments, code, err)
        return out
