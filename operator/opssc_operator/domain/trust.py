"""Which package sources this organization trusts, by the allow-lists of its FabricOrganization. Pure.

Nothing is fetched from a source that is not trusted, and no rule votes for one.
"""

from __future__ import annotations

import re
from typing import Final

from opssc_chaincode.model import ArchivePackage, CcaasPackage, GitPackage, KubernetesPackage, Package
from opssc_operator.api.conditions import Reason
from opssc_operator.api.trust import Trust, host_of
from opssc_operator.domain.verdict import Verdict, no

_AMBIGUOUS: Final = re.compile(r"%(?:2[ef5]|5c)|[\\?#]|/\.{1,2}(?=[/;]|$)", re.IGNORECASE)
"""What clients and servers read in different ways: escaped dots, slashes, backslashes and percents, and dot parts."""


def judge_source(trust: Trust, package: Package) -> Verdict | None:
    """Why a package's source is not trusted, naming the list; None when it is, or when nothing has a source."""
    problem = ""
    match package.source:
        case ArchivePackage(urls=urls) if not trusted_urls(trust, urls):
            problem = f"{', '.join(sorted({host_of(url) for url in urls}))} is not in trust.archiveHosts"
        case GitPackage(repository=repository) if _AMBIGUOUS.search(repository):
            return no(
                Reason.UNTRUSTED_SOURCE,
                f"the path of {repository} holds '.', '..', %2e, %2f, %5c or %25, which servers read differently, "
                "so nothing is fetched; disagree",
            )
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
    """Whether a repository, or what holds it up to a slash, is listed; ``.git`` at the end makes no difference.

    What can be read in two ways is not trusted, so what is compared here is what is asked for.
    """
    if _AMBIGUOUS.search(repository):
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
