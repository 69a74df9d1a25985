"""The image of the asset chaincode's server, made from this work tree and this machine's Python."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import opssc_chaincode
import opssc_tools
from opssc_tools.node import oci, runtime

REPOSITORY: Final = "opssc.invalid"
"""No such registry can exist (RFC 2606)."""
NAME: Final = "asset"
USER: Final = "65532:65532"


async def pack(archive: Path, tag: str) -> oci.Image:
    """Write the image to `archive`; it listens where CHAINCODE_SERVER_ADDRESS says, for the package CHAINCODE_ID.

    The tag goes into the image, so that every tag is an image with a digest of its own.

    Raises:
        ClusterError: when a system library is missing on this machine.
    """
    sources = [Path(package.__path__[0]) for package in (opssc_chaincode, opssc_tools)]
    files = await runtime.collect(["opssc-chaincode", "grpcio"], sources)
    process = {
        "Entrypoint": [runtime.INTERPRETER, "-m", "opssc_tools.asset"],
        "Env": [*runtime.ENVIRONMENT, "PATH=/usr/local/bin"],
        "User": USER,
        "WorkingDir": "/",
        "Labels": {"org.opencontainers.image.version": tag},
    }
    return oci.pack(archive, f"{REPOSITORY}/{NAME}", tag, files, process=process)
