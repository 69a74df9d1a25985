"""Command: say whether this machine can run a node, and build what is missing for it."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys

from opssc_tools.errors import BuildError, MissingProgramError
from opssc_tools.node import machine
from opssc_tools.toolchain import NODE
from opssc_tools.toolchain.build import ensure

INSTALL_SECONDS = 900


def main() -> int:
    """Prepare the machine; 0 also where it cannot run a node (the suite says so and skips), 1 when a step failed."""
    parser = argparse.ArgumentParser(prog="python -m opssc_tools.node", description=main.__doc__)
    parser.add_argument(
        "--install", action="store_true", help="as root on Debian: install the packages that are missing"
    )
    options = parser.parse_args()
    shortages = machine.find_shortages()
    packages = machine.packages(shortages)
    try:
        if options.install and packages:
            _install(packages)
            shortages = machine.find_shortages()
        if shortages:
            print(machine.describe(shortages))
        else:
            ensure(NODE)
    except (BuildError, MissingProgramError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    return 0


def _install(packages: tuple[str, ...]) -> None:
    """Install packages with apt-get.

    Raises:
        MissingProgramError: when there is no apt-get, no right to use it, or it fails.
    """
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise MissingProgramError(f"--install needs root and apt-get; install {' '.join(packages)} yourself")
    print(f"installing {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update", "-qq"), ("install", "-qq", "--no-install-recommends", *packages)):
        done = subprocess.run((apt, *words), env=environment, check=False, timeout=INSTALL_SECONDS)
        if done.returncode != 0:
            raise MissingProgramError(f"apt-get {words[0]} ended with code {done.returncode}; see its words above")


if __name__ == "__main__":
    sys.exit(main())
