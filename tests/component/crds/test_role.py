"""What the operator's Role lets it do with our objects and with others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from component.crds.conftest import Api

ALLOWED = [
    ("list", "fabricorganizations.opssc.dev"),
    ("watch", "chaincodeproposals.opssc.dev"),
    ("get", "votes.opssc.dev"),
    ("create", "chaincodeproposals.opssc.dev"),
    ("patch", "chaincodeproposals.opssc.dev"),
    ("delete", "chaincodeproposals.opssc.dev"),
    ("patch", "votes.opssc.dev/status"),
    ("patch", "fabricorganizations.opssc.dev/status"),
    ("patch", "chaincodeproposals.opssc.dev/status"),
    ("create", "channelproposals.opssc.dev"),
    ("patch", "channelproposals.opssc.dev/status"),
    ("create", "charterproposals.opssc.dev"),
    ("patch", "charterproposals.opssc.dev"),
    ("delete", "charterproposals.opssc.dev"),
    ("patch", "charterproposals.opssc.dev/status"),
    ("create", "fabricchannels.opssc.dev"),
    ("patch", "fabricchannels.opssc.dev"),
    ("delete", "fabricchannels.opssc.dev"),
    ("patch", "fabricchannels.opssc.dev/status"),
    ("get", "secrets"),
    ("get", "configmaps"),
    ("list", "services"),
    ("watch", "pods"),
    ("create", "events.events.k8s.io"),
]
DENIED = [
    ("list", "secrets"),
    ("watch", "secrets"),
    ("create", "secrets"),
    ("patch", "votes.opssc.dev"),
    ("create", "votes.opssc.dev"),
    ("delete", "votes.opssc.dev"),
    ("patch", "fabricorganizations.opssc.dev"),
    ("update", "chaincodeproposals.opssc.dev"),
    ("list", "configmaps"),
    ("get", "pods"),
    ("create", "pods"),
]


async def test_the_role_of_the_operator_allows_what_it_needs_and_no_more(api: Api, project_root: Path) -> None:
    own = await api.cluster.create_operator_credentials(
        api.namespace, "opssc-operator", project_root / "config" / "rbac" / "operator.yaml"
    )
    kubectl = api.cluster.kubectl_as(own)

    async def may(verb: str, resource: str, namespace: str) -> bool:
        resource, _, subresource = resource.partition("/")
        resource, _, group = resource.partition(".")
        asked = {
            "namespace": namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        answer = await kubectl(
            "create", "--validate=false", "-f", "-", "-o", "jsonpath={.status.allowed}", stdin=json.dumps(review)
        )
        return answer == "true"

    granted = {(verb, resource): await may(verb, resource, api.namespace) for verb, resource in ALLOWED + DENIED}
    elsewhere = [await may("get", "secrets", "default"), await may("list", "votes.opssc.dev", "default")]

    assert [pair for pair, allowed in granted.items() if allowed] == ALLOWED
    assert elsewhere == [False, False]


def test_the_role_names_nothing_by_wildcard(project_root: Path) -> None:
    role = yaml.safe_load((project_root / "config" / "rbac" / "operator.yaml").read_text(encoding="utf-8"))

    assert role["kind"] == "Role"
    assert "*" not in json.dumps(role["rules"])
