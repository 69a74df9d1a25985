"""What a person pastes into a shell to be an organization's administrator there."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opssc_tools.environment import Member


def write_settings(directory: Path, member: Member) -> Path:
    """Write `orgN.env`, which makes kubectl one of the shell's commands and points it to the organization's cluster."""
    path = directory / f"{member.name}.env"
    programs = shlex.quote(str(member.cluster.kubectl.program.parent))
    kubeconfig = shlex.quote(str(member.cluster.admin_kubeconfig))
    path.write_text(f'export PATH={programs}:"$PATH" KUBECONFIG={kubeconfig}\n', encoding="utf-8")
    return path


def read_command(path: Path) -> str:
    """The line to paste, from wherever the demo was started."""
    shown = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    # A shell looks for a name without a slash elsewhere.
    return f". {shlex.quote(shown if '/' in shown else f'./{shown}')}"
