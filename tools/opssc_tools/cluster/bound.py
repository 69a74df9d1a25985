"""Runs a program that the kernel ends when its parent ends, however the parent ends.

Used as `python bound.py PARENT_PID PROGRAM ARGUMENT...`: it asks for the signal, then becomes the program. A file of
its own, without imports of ours, so that it starts in milliseconds and needs no hook between fork and exec.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Become the program, or end at once when the parent is gone already."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")
    os.execv(program, sys.argv[2:])  # noqa: S606 - replacing this process without a shell is its purpose


if __name__ == "__main__":
    main()
