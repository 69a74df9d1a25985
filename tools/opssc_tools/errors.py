"""The errors of the development tools, as one tree.

ToolsError
├── MissingProgramError    a program is not on this machine, or not built yet
├── BuildError             a pinned program could not be built
├── EnvironmentSpecError   nobody can build the consortium that was asked for
├── ConditionTimeoutError  what was waited for did not become true in time
└── ClusterError           a program of a test environment did not start, stop or answer as asked
    └── KubectlError       kubectl ended with an error; carries its text
"""

from __future__ import annotations


class ToolsError(Exception):
    """A development tool could not do its work; the message says what the developer can do."""


class MissingProgramError(ToolsError):
    """A program is not on this machine, or not built yet."""


class BuildError(ToolsError):
    """A pinned program could not be built."""


class EnvironmentSpecError(ToolsError):
    """Nobody can build the consortium that was asked for."""


class ConditionTimeoutError(ToolsError):
    """What was waited for did not become true in time."""


class ClusterError(ToolsError):
    """A program of a test environment did not start, stop or answer as asked."""


class KubectlError(ClusterError):
    """kubectl ended with an error.

    `stderr` is its text, `returncode` its exit code.
    """

    def __init__(self, arguments: tuple[str, ...], returncode: int, stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)} ended with code {returncode}: {stderr.strip()}")
        self.returncode = returncode
        self.stderr = stderr
