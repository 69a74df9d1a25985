"""Package sources and other parts of documents as they are sent, and a way to change them."""

from __future__ import annotations

from typing import Any

from unit.chaincode.strategies import DIGEST

COLLECTION = {"name": "secrets", "memberOrgsPolicy": "OR('Org1MSP.member')"}
K8S = {"k8s": {"label": "basic_1.0", "image": {"name": "basic", "digest": DIGEST}}}
ARCHIVE = {"archive": {"label": "basic", "sha256": "a" * 64, "urls": ["https://example.com/basic.tar.gz"]}}
GIT = {
    "git": {"label": "b", "repository": "https://example.com/a/b.git", "commit": "a" * 40, "language": "golang"},
}


def find(raw: Any, path: str) -> tuple[Any, str | int]:
    """What holds the member at a dotted path, and its key; a number is an index."""
    *parents, last = (int(part) if part.isdecimal() else part for part in path.split("."))
    for parent in parents:
        raw = raw[parent]
    return raw, last
