"""The demo's story: what people do, and what is waited for before the next thing is done."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_tools.demo.progress import Progress, object_name
from opssc_tools.demo.proof import Finding, prove
from opssc_tools.environment import Consortium, manifests
from opssc_tools.environment.manifests import ServicePackage
from opssc_tools.environment.objects import condition, is_true

if TYPE_CHECKING:
    from opssc_tools.demo.screen import Screen
    from opssc_tools.environment import EnvironmentSpec, Member
    from opssc_tools.environment.objects import Body

PROPOSAL_SAMPLE: Final = "chaincodeproposal.yaml"
VOTE_SAMPLE: Final = "vote-agree.yaml"
STEP_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the demo ended: what was found, and the seconds since its start at which each step was reached."""

    findings: tuple[Finding, ...]
    reached: dict[str, dict[str, float]]
    vote_to_ready_seconds: float
    seconds: float

    @property
    def good(self) -> bool:
        """Whether all of it is true."""
        return all(finding.holds for finding in self.findings)

    def to_json(self, spec: EnvironmentSpec) -> dict[str, Any]:
        """The same for programs."""
        return {
            "verdict": self.good,
            "organizations": spec.organizations,
            "backend": str(spec.backend),
            "cluster": str(spec.cluster),
            "seconds": round(self.seconds, 2),
            "voteToReadySeconds": round(self.vote_to_ready_seconds, 2),
            "reached": {
                name: {step: round(at, 3) for step, at in steps.items()} for name, steps in self.reached.items()
            },
            "findings": [{"claim": f.claim, "holds": f.holds, "seen": f.seen} for f in self.findings],
        }


async def tell(consortium: Consortium, screen: Screen) -> Outcome:
    """Deploy the sample chaincode with everybody's agreement, and check what became of it.

    Raises:
        ToolsError: when a step is not reached in time, or kubectl is refused.
    """
    manifest = manifests.read_sample(PROPOSAL_SAMPLE)
    ref = ProposalRef(consortium.member(1).msp_id, manifest["metadata"]["name"])
    consortium.serve_asset(ServicePackage.of_manifest(manifest["spec"]["package"]))
    screen.step(f"{len(consortium.members)} asset chaincode servers run; no peer knows them yet")
    progress = Progress(ref, screen)
    with ExitStack() as following:
        for number, member in enumerate(consortium.members):
            following.callback(progress.follow(member, number))
        await _propose(consortium, screen, ref)
        voted = await _vote(consortium, screen, ref)
        await asyncio.gather(
            *(
                member.until_true(Kind.CHAINCODE_PROPOSAL, object_name(ref, member), ConditionType.READY)
                for member in consortium.members
            )
        )
        vote_to_ready = time.monotonic() - voted
    screen.title("The end, in every cluster: kubectl get chaincodeproposals")
    for member in consortium.members:
        screen.plain(f"{member.name}\n{await member.kubectl('get', 'chaincodeproposals')}")
    screen.title("What the peers say, without the operators")
    findings = await prove(consortium, ref, manifest)
    for finding in findings:
        screen.step(f"{'true ' if finding.holds else 'FALSE'}  {finding.claim}  ({finding.seen or 'seen'})")
    return Outcome(tuple(findings), progress.reached, vote_to_ready, screen.elapsed_seconds)


async def _propose(consortium: Consortium, screen: Screen, ref: ProposalRef) -> None:
    first = consortium.member(1)
    sample = manifests.SAMPLES / PROPOSAL_SAMPLE
    screen.title(f"{first.name} proposes: kubectl apply -f config/samples/{PROPOSAL_SAMPLE}")
    await first.kubectl("apply", "--filename", str(sample))
    screen.step("applied the proposal", who=first.name)
    await asyncio.gather(
        *(
            member.until_true(
                Kind.CHAINCODE_PROPOSAL, object_name(ref, member), ConditionType.VERIFIED, seconds=STEP_SECONDS
            )
            for member in consortium.members
        )
    )


async def _vote(consortium: Consortium, screen: Screen, ref: ProposalRef) -> float:
    """Apply votes until the proposal is accepted; return the monotonic time of the last one."""
    screen.title(f"The others vote: kubectl apply -f config/samples/{VOTE_SAMPLE}")
    last = time.monotonic()
    for number, member in enumerate(consortium.members[1:], start=1):
        name = object_name(ref, member)
        await _until_older(member, name)
        await member.kubectl("apply", "--filename", str(manifests.SAMPLES / VOTE_SAMPLE))
        last = time.monotonic()
        screen.step("applied a Vote that agrees", who=member.name, number=number)
        vote = manifests.read_sample(VOTE_SAMPLE)["metadata"]["name"]
        await member.until_true(Kind.VOTE, vote, ConditionType.COUNTED, seconds=STEP_SECONDS)
        # The vote is on the ledger: what it decided shows at once, or more votes are needed.
        body = await member.until(
            Kind.CHAINCODE_PROPOSAL, name, _decided_or_waiting, "its vote shows", seconds=STEP_SECONDS
        )
        if is_true(body, ConditionType.ACCEPTED):
            break
    return last


async def _until_older(member: Member, name: str) -> None:
    """Wait until a Vote made now is younger than the mirror by a whole second, which is how finely times are kept.

    A Vote without contentHash counts only if what it agrees to was shown here before it was made.
    """
    body = member.objects.get(Kind.CHAINCODE_PROPOSAL, name)
    if body is None:
        raise AssertionError("a verified proposal has an object")
    shown = datetime.fromisoformat(body["metadata"]["creationTimestamp"])
    while (left := int(shown.timestamp()) + 1 - time.time()) > 0:  # noqa: ASYNC110 - the clock tells nobody
        await asyncio.sleep(left)


def _decided_or_waiting(body: Body | None) -> bool:
    accepted = condition(body, ConditionType.ACCEPTED)
    return accepted.get("status") == "True" or accepted.get("reason") == "AwaitingVotes"
