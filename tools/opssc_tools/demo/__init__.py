"""The demo: several organizations turn one applied manifest into a committed, usable chaincode."""

import os

# Read when grpc is imported, so it must come first: at INFO, gRPC itself writes a line between ours for every chaincode
# server that ends.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
