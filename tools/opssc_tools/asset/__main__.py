"""Command: serve the asset chaincode."""

import argparse
import asyncio
import logging
import os
import sys

from opssc_chaincode.shim.errors import ServerError
from opssc_chaincode.shim.server import serve
from opssc_tools.asset.chaincode import AssetChaincode


def main() -> int:
    """Parse arguments and serve until SIGTERM; exit code 2 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m opssc_tools.asset", description=AssetChaincode.__doc__)
    parser.add_argument("--address", default=os.environ.get("CHAINCODE_SERVER_ADDRESS"), help="host:port to listen on")
    parser.add_argument("--package-id", default=os.environ.get("CHAINCODE_ID"), help="package ID to register under")
    options = parser.parse_args()
    if not options.address or not options.package_id:
        parser.error("--address and --package-id are needed (or CHAINCODE_SERVER_ADDRESS and CHAINCODE_ID)")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(serve(AssetChaincode(), options.address, options.package_id))
    except ServerError as exc:
        print(exc, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
