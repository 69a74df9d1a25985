"""How many requests an API server was sent about what operators use, by its own count."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from opssc_operator.api.group import GROUP
from opssc_tools.bench.exposition import parse_samples

if TYPE_CHECKING:
    from opssc_tools.environment import Member

_RESOURCES: Final = frozenset(
    {"secrets", "events", "services", "serviceaccounts", "deployments", "networkpolicies", "pods"}
)
_WATCH: Final = "WATCH"


async def count_calls(member: Member) -> Counter[str]:
    """Requests so far by verb and resource, watches left out.

    Counted are our kinds, and everything of those kinds of Kubernetes that operators touch in a namespace: what the
    control plane does for itself about other kinds is its own affair, as is the Lease that each API server renews every
    10 seconds; operators have no right to any.
    """
    text = await member.kubectl("get", "--raw", "/metrics")
    found: Counter[str] = Counter()
    for sample in parse_samples(text, "apiserver_request_total"):
        labels = sample.labels
        if labels["verb"] == _WATCH or labels.get("scope") == "cluster":
            continue
        if labels["group"] == GROUP or labels["resource"] in _RESOURCES:
            found[f"{labels['verb']} {labels['resource']}"] += int(sample.value)
    return found
