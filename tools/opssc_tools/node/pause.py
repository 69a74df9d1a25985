"""The image of every pod's first container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opssc_tools.node import oci
from opssc_tools.node.configuration import PAUSE_IMAGE

if TYPE_CHECKING:
    from pathlib import Path


def pack(program: Path, archive: Path) -> Path:
    """Write the image to `archive`, and return that."""
    name, tag = PAUSE_IMAGE.split(":")
    oci.pack(archive, name, tag, [oci.File("pause", program)], process={"Entrypoint": ["/pause"], "User": "65535"})
    return archive
