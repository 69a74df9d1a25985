"""Command: serve the contract to peers (chaincode as a service)."""

import argparse
import asyncio
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from opssc_chaincode.contract import OpsscChaincode
from opssc_chaincode.queries import VERSION
from opssc_chaincode.shim.errors import ServerError
from opssc_chaincode.shim.server import TLS, serve


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m opssc_chaincode",
        description="Serve the OpsSC contract. Peers connect to it; stop it with SIGTERM.",
    )
    environment = os.environ.get
    parser.add_argument(
        "--address",
        default=environment("CHAINCODE_SERVER_ADDRESS"),
        help="host:port to listen on (CHAINCODE_SERVER_ADDRESS)",
    )
    parser.add_argument(
        "--package-id", default=environment("CHAINCODE_ID"), help="ID of the installed package (CHAINCODE_ID)"
    )
    parser.add_argument(
        "--tls-cert",
        type=Path,
        default=environment("CHAINCODE_TLS_CERT"),
        help="PEM file of the server's certificate chain (CHAINCODE_TLS_CERT)",
    )
    parser.add_argument(
        "--tls-key",
        type=Path,
        default=environment("CHAINCODE_TLS_KEY"),
        help="PEM file of the server's private key (CHAINCODE_TLS_KEY)",
    )
    parser.add_argument("--tls-client-ca", type=Path, help="PEM file of the CA that peers' certificates must come from")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    parser.add_argument("--version", action="version", version=VERSION)
    options = parser.parse_args()
    if not options.address or not options.package_id:
        parser.error("--address and --package-id are needed (or CHAINCODE_SERVER_ADDRESS and CHAINCODE_ID)")
    if (options.tls_cert is None) != (options.tls_key is None) or (options.tls_client_ca and not options.tls_cert):
        parser.error("--tls-cert and --tls-key are given together; --tls-client-ca needs both")
    return options


def main() -> int:
    """Serve until SIGTERM or SIGINT; exit code 2 when it cannot start."""
    options = _arguments()
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    chaincode = OpsscChaincode(lambda: datetime.now(UTC))
    try:
        tls = TLS.from_files(options.tls_cert, options.tls_key, options.tls_client_ca) if options.tls_cert else None
        asyncio.run(serve(chaincode, options.address, options.package_id, tls=tls))
    except ServerError as exc:
        print(exc, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
