"""The deployment of the governance contract itself, as one organization consented to it. Pure."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from opssc_chaincode.model import ChaincodeContent
from opssc_chaincode.model.document import describe
from opssc_operator.api.organization import Bootstrap, Governance
from opssc_operator.domain.content import (
    DEFAULT_POLICY,
    NO_HASH,
    BuiltPackage,
    ContentError,
    build_definition,
    build_package,
    package_fields,
)
from opssc_operator.domain.deployment import Target


def bootstrap_content(governance: Governance, bootstrap: Bootstrap) -> ChaincodeContent:
    """The bootstrap as the content of a proposal that nobody needs to vote on; raises ContentError."""
    manifest = bootstrap.to_manifest()
    fields: dict[str, Any] = {
        "channel": governance.channel,
        "name": governance.chaincode,
        "version": bootstrap.version,
        "sequence": bootstrap.sequence,
        "endorsementPolicy": manifest.get("endorsementPolicy", DEFAULT_POLICY),
        "package": package_fields(manifest["package"]),
        "definitionHash": NO_HASH,
    }
    try:
        return ChaincodeContent.model_validate_json(json.dumps(fields))
    except ValidationError as exc:
        raise ContentError(describe(exc)) from exc


def build_bootstrap_package(governance: Governance, bootstrap: Bootstrap) -> BuiltPackage:
    """The contract's package; raises ContentError."""
    return build_package(bootstrap_content(governance, bootstrap).package)


def bootstrap_target(governance: Governance, bootstrap: Bootstrap, package_id: str) -> Target:
    """The deployment to bring about; organizations are ranked by channel, name and sequence."""
    content = bootstrap_content(governance, bootstrap)
    seed = f"{governance.channel}/{governance.chaincode}/{bootstrap.sequence}".encode()
    # The consortium may have moved the contract on by proposals since: a later sequence is no conflict.
    return Target(governance.channel, build_definition(content), package_id, seed, already_committed=True)
