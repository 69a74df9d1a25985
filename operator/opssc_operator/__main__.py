"""`python -m opssc_operator`: serves one namespace of one cluster until told to stop."""

from __future__ import annotations

import asyncio
import os
import sys

# Before anything loads gRPC, whose core would write every failed attempt to connect to standard error by itself.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from opssc_operator.errors import ConfigError
from opssc_operator.handlers.process import run_operator
from opssc_operator.observability.logs import configure_logs
from opssc_operator.reconcile.wiring import build_reconcilers
from opssc_operator.settings import read_settings


def main() -> int:
    """Exit code 0 after a signal, 2 when the process is mis-deployed."""
    try:
        settings = read_settings(sys.argv[1:])
        configure_logs(settings.log_format, settings.log_level)
        asyncio.run(run_operator(settings, build_reconcilers))
    except ConfigError as error:
        print(f"opssc-operator: {error.message}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
