"""Packages of source trees: laid out as the ``peer`` packager does it, and refused when somebody plays tricks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric_admin import package
from fabric_admin.errors import PackageError
from fabric_admin.sourcetree import Language, SourceFile

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER = "META-INF/statedb/couchdb/indexes/owner.json"
INDEX = b'{"index":{"fields":["owner",{"size":"desc"}]},"ddoc":"d","name":"n","type":"json"}'
GO_MOD = b"""module example.com/consortium/asset // the module

go 1.20

require (
\texample.com/helper v1.0.0
\t"example.com/other" v0.2.0 // indirect
)
"""
MODULES_TXT = b"""# example.com/helper v1.0.0
## explicit; go 1.20
example.com/helper
# example.com/other v0.2.0
## explicit; go 1.20
"""
GO = {
    "README.md": b"not in the module",
    "cc/go.mod": GO_MOD,
    "cc/main.go": b'package main\n\nimport "example.com/helper"\n\nfunc main() { helper.Do() }\n',
    "cc/vendor/modules.txt": MODULES_TXT,
    "cc/vendor/example.com/helper/helper.go": b"package helper\n\nfunc Do() {}\n",
    "cc/.hidden/secret.txt": b"not packaged",
    "cc/.golangci.yml": b"packaged",
    "cc/nested/deep/main.go": b"package main\n\nfunc main() {}\n",
    "cc/nested/deep/META-INF/statedb/couchdb/indexes/owner.json": INDEX,
    "cc/META-INF/statedb/couchdb/indexes/owner.json": INDEX,
    "cc/META-INF/.hidden": b"ignored",
    "cc/META-INF/statedb/couchdb/collections/secret/indexes/size.json": INDEX,
}
NODE = {
    "package.json": b"{}",
    "index.js": b"",
    "lib/.config/a.js": b"hidden folders are taken",
    "node_modules/x/index.js": b"not packaged",
    "lib/node_modules/x/index.js": b"not packaged",
    "META-INF/statedb/couchdb/indexes/owner.json": INDEX,
    "META-INF/statedb/.DS_Store": b"ignored",
}
JAVA = {
    "build.gradle": b"",
    "src/main/java/Asset.java": b"class Asset {}",
    "src/main/java/Asset.class": b"not packaged",
    ".class": b"not packaged",
    "target/a.jar": b"not packaged",
    "src/build/b.txt": b"not packaged",
    "out/c.txt": b"not packaged",
    "META-INF/statedb/couchdb/indexes/owner.json": INDEX,
}


def tree_of(files: Mapping[str, bytes]) -> dict[str, SourceFile]:
    return {name: SourceFile(content) for name, content in files.items()}


def built(files: Mapping[str, bytes], language: Language, path: str = "") -> tuple[package.ParsedPackage, set[str]]:
    parsed = package.parse(package.build_git(tree_of(files), "asset_1.0", language, path=path), unambiguous=True)
    package.check_install(parsed)
    return parsed, set(package.unpack_code(parsed))


def test_a_go_package_is_its_whole_module_with_the_metadata_of_the_package() -> None:
    parsed, files = built(GO, "golang", "cc/nested/deep")

    assert (parsed.type, parsed.path) == ("golang", "example.com/consortium/asset/nested/deep")
    assert files == {
        "src/go.mod",
        "src/main.go",
        "src/vendor/modules.txt",
        "src/vendor/example.com/helper/helper.go",
        "src/.golangci.yml",
        "src/nested/deep/main.go",
        "src/META-INF/statedb/couchdb/indexes/owner.json",
        "src/META-INF/statedb/couchdb/collections/secret/indexes/size.json",
        "src/META-INF/.hidden",
        "META-INF/statedb/couchdb/indexes/owner.json",
    }


@given(st.permutations(sorted(NODE)))
def test_the_same_tree_gives_the_same_bytes(order: list[str]) -> None:
    shuffled = {name: SourceFile(NODE[name], 0o100755) for name in order}

    assert package.build_git(shuffled, "a", "node") == package.build_git(tree_of(NODE), "a", "node")


@pytest.mark.parametrize(
    ("language", "files", "path", "reason"),
    [
        pytest.param("golang", {"main.go": b""}, "", r"no go\.mod", id="no-module"),
        pytest.param("golang", {"go.mod": b"go 1.20\n", "main.go": b""}, "", "names no module", id="no-module-name"),
        pytest.param(
            "golang", {"go.mod": b"module ../x\n", "main.go": b""}, "", "names no module", id="climbing-module"
        ),
        pytest.param("golang", {"go.mod": b"module x\n", "main_test.go": b""}, "", "no Go files", id="tests-alone"),
        pytest.param("golang", {"go.mod": GO_MOD, "main.go": b""}, "", "run go mod vendor", id="not-vendored"),
        pytest.param(
            "golang",
            {"go.mod": GO_MOD, "main.go": b"", "vendor/modules.txt": MODULES_TXT.replace(b"v1.0.0", b"v1.0.1")},
            "",
            r"example\.com/helper v1\.0\.0",
            id="another-version-vendored",
        ),
        pytest.param("node", {"a/index.js": b""}, "b", "no source files", id="empty-folder"),
        pytest.param("node", {"../index.js": b""}, "", "escaping", id="traversal"),
        pytest.param("node", {"a/../index.js": b""}, "", "escaping", id="hidden-traversal"),
        pytest.param("node", {"/etc/passwd": b""}, "", "absolute", id="absolute"),
        pytest.param("node", {"index.js": b""}, "../x", "escaping", id="path-traversal"),
        pytest.param("node", {"a/.GIT/config": b""}, "", "own folder", id="git-folder"),
        pytest.param("node", {"a.js": b"", "META-INF/x.json": INDEX}, "", "no index file", id="index-elsewhere"),
        pytest.param("node", {"a.js": b"", "META-INFO/x.json": INDEX}, "", "no index file", id="like-metadata"),
        pytest.param("node", {OWNER: b"{"}, "", "not a valid JSON", id="index-no-json"),
        pytest.param(
            "node",
            {"META-INF/statedb/couchdb/indexes/a.json": b'{"index":{"fields":[{"a":"up"}]}}'},
            "",
            "Sort must",
            id="index-order",
        ),
        pytest.param(
            "node",
            {"META-INF/statedb/couchdb/indexes/a.json": b'{"ddoc":"d"}'},
            "",
            "must include",
            id="index-of-nothing",
        ),
    ],
)
def test_a_tree_no_peer_could_use_is_refused(
    language: Language, files: Mapping[str, bytes], path: str, reason: str
) -> None:
    with pytest.raises(PackageError, match=reason):
        package.build_git(tree_of(files), "asset", language, path=path)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [pytest.param(0o120000, "symbolic link", id="link"), pytest.param(0o160000, "no regular file", id="sub-module")],
)
def test_links_and_sub_modules_are_refused_where_they_would_be_packaged(mode: int, reason: str) -> None:
    tree = {**tree_of(NODE), "lib/passwd": SourceFile(b"/etc/passwd", mode)}

    with pytest.raises(PackageError, match=reason):
        package.build_git(tree, "asset", "node")
    elsewhere = {"doc": SourceFile(b"x", mode), **{f"cc/{name}": file for name, file in tree_of(NODE).items()}}
    assert package.build_git(elsewhere, "asset", "node", path="cc")
