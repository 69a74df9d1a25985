"""Which package sources this organization trusts, by the allow-lists of its FabricOrganization. Pure.

Nothing is fetched from a source that is not trusted, and no rule votes for one.
"""

from __future__ import annotations

from opssc_chaincode.model import ArchivePackage, CcaasPackage, GitPackage, KubernetesPackage, Package
from opssc_operator.api.conditions import Reason
from opssc_operator.api.trust import Trust, host_of
from opssc_operator.domain.verdict import Verdict, no


def judge_source(trust: Trust, package: Package) -> Verdict | None:
    """Why a package's source is not trusted, naming the list; None when it is, or when nothing has a source."""
    problem = ""
    match package.source:
        case ArchivePackage(urls=urls) if not trusted_urls(trust, urls):
            problem = f"{', '.join(sorted({host_of(url) for url in urls}))} is not in trust.archiveHosts"
        case GitPackage(repository=repository) if not trusts_repository(trust, repository):
            problem = f"{repository} is not in trust.repositories"
        case CcaasPackage(image=image) | KubernetesPackage(image=image):
            if not any(continues(image.name, prefix) for prefix in trust.image_registries):
                problem = f"image {image.name} is not in trust.imageRegistries"
    if not problem:
        return None
    return no(
        Reason.UNTRUSTED_SOURCE, f"{problem} of the FabricOrganization, so nothing is fetched; add it, or disagree"
    )


def trusted_urls(trust: Trust, urls: tuple[str, ...]) -> tuple[str, ...]:
    """The URLs of an archive that may be asked, in their order."""
    return tuple(url for url in urls if host_of(url) in trust.archive_hosts)


def trusts_repository(trust: Trust, repository: str) -> bool:
    """Whether a repository, or what holds it up to a slash, is listed; ``.git`` at the end makes no difference."""
    if any(part in {".", ".."} for part in repository.split("/")):
        return False
    wanted = _comparable(repository)
    return any(continues(wanted, _comparable(entry)) for entry in trust.repositories)


def _comparable(url: str) -> str:
    path = url.removeprefix("https://").partition("/")[2].rstrip("/")
    return f"{host_of(url)}/{path.removesuffix('.git')}".rstrip("/")


def continues(name: str, prefix: str) -> bool:
    """Whether a name equals a prefix or continues it at a path boundary (never in the middle of a word)."""
    whole = prefix.rstrip("/")
    return name == whole or name.startswith(whole + "/")
