"""Which sources an organization trusts: whole hosts and whole parts of paths, and nothing when nothing is listed."""

from __future__ import annotations

import pytest

from opssc_chaincode.model import ArchivePackage, GitPackage, Image, KubernetesPackage, Package
from opssc_operator.api.conditions import Reason
from opssc_operator.api.trust import Trust
from opssc_operator.domain.trust import judge_source, trusted_urls, trusts_repository

LISTED = Trust(
    archive_hosts=("files.example.com", "127.0.0.1:8443"),
    repositories=("https://git.example.com/consortium/", "https://git.example.com/one/repo.git"),
)


@pytest.mark.parametrize(
    ("repository", "trusted"),
    [
        pytest.param("https://git.example.com/consortium/asset.git", True, id="below"),
        pytest.param("https://git.example.com:443/consortium/asset", True, id="its-port"),
        pytest.param("https://GIT.example.com/consortium/asset", True, id="host-in-capitals"),
        pytest.param("https://git.example.com/one/repo", True, id="without-git"),
        pytest.param("https://git.example.com/one/repository", False, id="longer-name"),
        pytest.param("https://git.example.com/consortium-evil/asset", False, id="half-a-part"),
        pytest.param("https://git.example.com/consortium/../evil/asset", False, id="climbing"),
        pytest.param("https://git.example.com/consortium/%2e%2e/evil/asset", False, id="climbing-escaped"),
        pytest.param("https://git.example.com/consortium/.%2E/evil/asset", False, id="climbing-half-escaped"),
        pytest.param("https://git.example.com/consortium/%252e%252e/evil", False, id="climbing-escaped-twice"),
        pytest.param("https://git.example.com/consortium/..%2Fevil/asset", False, id="slash-escaped"),
        pytest.param("https://git.example.com/consortium/..%5Cevil/asset", False, id="backslash-escaped"),
        pytest.param("https://git.example.com/consortium/..\\evil/asset", False, id="backslash"),
        pytest.param("https://git.example.com/consortium/..;/evil/asset", False, id="climbing-with-parameters"),
        pytest.param("https://git.example.com/consortium/./asset", False, id="dot"),
        pytest.param("https://git.example.com/consortium/asset?/..", False, id="query"),
        pytest.param("https://git.example.com/consortium/.hidden/a..b", True, id="names-with-dots"),
        pytest.param("https://git.example.com/consortium/a%40b", True, id="harmless-escape"),
        pytest.param("https://git.example.com:8443/consortium/asset", False, id="another-port"),
        pytest.param("https://git.example.com.evil.com/consortium/asset", False, id="longer-host"),
        pytest.param("https://evil.com/git.example.com/consortium/asset", False, id="host-in-the-path"),
    ],
)
def test_a_repository_is_trusted_by_whole_parts(repository: str, trusted: bool) -> None:
    assert trusts_repository(LISTED, repository) is trusted


def test_only_urls_of_listed_hosts_are_asked_in_their_order() -> None:
    urls = ("https://evil.com/a", "https://127.0.0.1:8443/a", "https://files.example.com:443/a", "https://127.0.0.1/a")

    assert trusted_urls(LISTED, urls) == urls[1:3]


@pytest.mark.parametrize(
    ("package", "rule"),
    [
        pytest.param(
            Package(archive=ArchivePackage(label="a", sha256="0" * 64, urls=("https://evil.com/a",))),
            "evil.com is not in trust.archiveHosts",
            id="archive",
        ),
        pytest.param(
            Package(
                git=GitPackage(label="a", repository="https://evil.com/a", commit="0" * 40, language="node"),
            ),
            "https://evil.com/a is not in trust.repositories",
            id="git",
        ),
        pytest.param(
            Package(
                git=GitPackage(
                    label="a",
                    repository="https://git.example.com/consortium/%2e%2e/evil/asset",
                    commit="0" * 40,
                    language="node",
                ),
            ),
            "which servers read differently",
            id="git-that-climbs",
        ),
        pytest.param(
            Package(k8s=KubernetesPackage(label="a", image=Image(name="evil.com/a", digest=f"sha256:{'0' * 64}"))),
            "image evil.com/a is not in trust.imageRegistries",
            id="image",
        ),
    ],
)
def test_who_is_not_trusted_is_told_by_which_list(package: Package, rule: str) -> None:
    for trust in (Trust(), LISTED):
        verdict = judge_source(trust, package)
        assert verdict is not None
        assert verdict.reason is Reason.UNTRUSTED_SOURCE
        assert rule in verdict.message
