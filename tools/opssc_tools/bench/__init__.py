"""The benchmark of the main job: from `kubectl apply` to Ready everywhere, next to what blocks alone take.

`make bench` or `python -m opssc_tools.bench`; docs/performance.md has figures and how to read them.
"""

import os

# Read when grpc is imported, so it must come first: at INFO, gRPC itself writes lines between ours.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
