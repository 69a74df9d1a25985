"""`python -m opssc_operator.definition`: an organization's definition for channel proposals, from its MSP folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fabric_protos.msp import msp_config_pb2
from pydantic import ValidationError

from fabric_admin.errors import IdentityError
from fabric_admin.msp import MSP
from fabric_admin.msp_directory import read_config
from opssc_chaincode.model import OrganizationDefinition
from opssc_chaincode.model.document import describe
from opssc_operator.domain.channels.definitions import build_msp, read_definition

KEY = "definition.json"


def main(arguments: list[str] | None = None) -> int:
    """Print the ConfigMap; exit code 2 when the folder is no MSP that a channel could take."""
    options = _parse(arguments)
    try:
        definition = read(options.msp_dir, options.msp_id)
    except (IdentityError, ValueError) as exc:
        shown = describe(exc) if isinstance(exc, ValidationError) else exc
        sys.stderr.write(f"{options.msp_dir}: {shown}\n")
        return 2
    name = options.name or f"{options.msp_id.lower().removesuffix('msp')}-definition"
    json.dump(_config_map(name, definition), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def read(folder: Path, msp_id: str) -> OrganizationDefinition:
    """The definition of an MSP folder, which every peer would load; raises IdentityError or ValueError saying why not.

    Only certificates are read: a private key in the folder stays where it is.
    """
    config = read_config(folder, msp_id)
    definition = read_definition(msp_config_pb2.FabricMSPConfig.FromString(config.config))
    MSP.from_config(build_msp(msp_id, definition))
    return definition


def _config_map(name: str, definition: OrganizationDefinition) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {KEY: json.dumps(definition.to_json(), indent=2)},
    }


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m opssc_operator.definition",
        description="Print a ConfigMap with an organization's definition, for kubectl apply --filename -.",
    )
    parser.add_argument("--msp-id", required=True, help="MSP ID of the organization, such as Org4MSP")
    parser.add_argument(
        "--msp-dir", required=True, type=Path, help="the organization's MSP folder, with cacerts/ and tlscacerts/"
    )
    parser.add_argument("--name", help="name of the ConfigMap (default: org4-definition for Org4MSP)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
