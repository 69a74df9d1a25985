"""Command: serve the asset chaincode."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from opssc_chaincode.shim.errors import ServerError
from opssc_chaincode.shim.server import TLS, serve
from opssc_tools.asset.chaincode import AssetChaincode


def main() -> int:
    """Parse arguments and serve until SIGTERM; exit code 2 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m opssc_tools.asset", description=AssetChaincode.__doc__)
    parser.add_argument("--address", default=os.environ.get("CHAINCODE_SERVER_ADDRESS"), help="host:port to listen on")
    parser.add_argument("--package-id", default=os.environ.get("CHAINCODE_ID"), help="package ID to register under")
    for name, what in (("cert", "certificate chain"), ("key", "private key")):
        default = os.environ.get(f"CHAINCODE_TLS_{name.upper()}")
        parser.add_argument(f"--tls-{name}", type=Path, default=default, help=f"PEM file of the server's {what}")
    options = parser.parse_args()
    if not options.address or not options.package_id:
        parser.error("--address and --package-id are needed (or CHAINCODE_SERVER_ADDRESS and CHAINCODE_ID)")
    if (options.tls_cert is None) != (options.tls_key is None):
        parser.error("--tls-cert and --tls-key are given together")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        tls = TLS.from_files(options.tls_cert, options.tls_key) if options.tls_cert else None
        asyncio.run(serve(AssetChaincode(), options.address, options.package_id, tls=tls))
    except ServerError as exc:
        print(exc, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
