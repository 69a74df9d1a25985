"""Chaincode packages, against recorded verdicts of the peer's own parsers."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from fabric_admin import package
from fabric_admin.errors import PackageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Case = dict[str, Any]
# From here on Go's JSON library speaks.
_JSON = re.compile(r"(?<=as json: )invalid character.*")


def _expect(expected: Case, act: Callable[[], object]) -> None:
    if expected["ok"]:
        act()
        return
    with pytest.raises(PackageError) as refused:
        act()
    assert _JSON.sub("", expected["error"]) in str(refused.value)


@pytest.mark.vectors
@pytest.mark.vector_cases("package", "cases")
def test_a_package_is_read_as_a_peer_reads_it(case: Case, vectors: Path) -> None:
    expected = case["expected"]
    data = (vectors / "package" / case["package"]).read_bytes()
    if not expected["parse"]["ok"]:
        _expect(expected["parse"], lambda: package.parse(data))
        return

    parsed = package.parse(data)

    recorded = expected["parse"]
    assert (parsed.label, parsed.type, parsed.path) == (recorded["label"], recorded["type"], recorded["path"])
    assert (len(parsed.code), hashlib.sha256(parsed.code).hexdigest()) == (
        recorded["code_size"],
        recorded["code_sha256"],
    )
    assert parsed.package_id == expected["package_id"]
    _expect(expected["install_parse"], lambda: package.check_install(parsed))
    _expect(expected["unpack_code"], lambda: package.unpack_code(parsed))


@pytest.mark.vectors
@pytest.mark.vector_cases("package", "labels")
def test_a_label_is_accepted_as_a_peer_accepts_it(case: Case) -> None:
    _expect(case, lambda: package.check_label(case["label"]))
