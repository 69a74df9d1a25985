"""What must be true at the end of the demo, asked of the peers and the clusters themselves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_admin.errors import FabricError
from opssc_operator.api.conditions import ConditionType
from opssc_operator.api.group import Kind
from opssc_tools.demo.progress import object_name
from opssc_tools.environment.objects import is_true
from opssc_tools.environment.readback import commits_of, facts_of

if TYPE_CHECKING:
    from opssc_operator.api.refs import ProposalRef
    from opssc_tools.environment import Consortium
    from opssc_tools.environment.manifests import Manifest


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must be true, whether it is, and what was seen."""

    claim: str
    holds: bool
    seen: str


async def prove(consortium: Consortium, ref: ProposalRef, manifest: Manifest) -> list[Finding]:
    """Look at everything; never raises for what is not true."""
    checks = (_ready(consortium, ref), _committed(consortium, manifest), _once(consortium, ref, manifest))
    findings = list(await asyncio.gather(*checks))
    findings.append(await _usable(consortium, manifest))
    return findings


async def _ready(consortium: Consortium, ref: ProposalRef) -> Finding:
    waiting = [
        member.name
        for member in consortium.members
        if not is_true(member.objects.get(Kind.CHAINCODE_PROPOSAL, object_name(ref, member)), ConditionType.READY)
    ]
    return Finding(
        "the proposal is Ready in every cluster", not waiting, f"not Ready in {', '.join(waiting)}" if waiting else ""
    )


async def _committed(consortium: Consortium, manifest: Manifest) -> Finding:
    spec = manifest["spec"]
    wanted = (spec["chaincode"]["name"], spec["chaincode"]["version"], 1)
    seen: list[str] = []
    right = True
    for member in consortium.members:
        for reader in member.readers:
            found = await reader.definition(spec["channel"], wanted[0])
            right = right and found is not None and (found.name, found.version, found.sequence) == wanted
            seen.append(f"{reader.name}: {f'{found.version} sequence {found.sequence}' if found else 'nothing'}")
    return Finding("every peer shows the committed definition", right, "; ".join(seen))


async def _once(consortium: Consortium, ref: ProposalRef, manifest: Manifest) -> Finding:
    spec, reader = manifest["spec"], consortium.member(1).reader
    commits = commits_of(await reader.transactions(spec["channel"]), spec["chaincode"]["name"], 1)
    written = facts_of(await reader.transactions("ops-channel"), ref.creator, ref.id)
    proposals = written.count("proposal")
    votes = [fact for fact in written if fact.startswith("vote ")]
    right = len(commits) == 1 and proposals == 1 and len(votes) == len(set(votes))
    seen = f"{proposals} proposal, {len(votes)} votes, {len(commits)} commit transaction"
    return Finding("the ledger holds one proposal, one vote per organization at most, one commit", right, seen)


async def _usable(consortium: Consortium, manifest: Manifest) -> Finding:
    channel, chaincode = manifest["spec"]["channel"], manifest["spec"]["chaincode"]["name"]
    first, last = consortium.members[0], consortium.members[-1]
    claim = f"a value written through {first.name} is read through {last.name}"
    try:
        submitted = await first.reader.submit(channel, chaincode, "Set", "demo", "hello from Org1MSP")
        await last.reader.gateway.commit_status(channel, submitted.transaction_id)
        value = (await last.reader.evaluate(channel, chaincode, "Get", "demo")).decode()
    except FabricError as exc:
        return Finding(claim, holds=False, seen=str(exc))
    return Finding(claim, value == "hello from Org1MSP", f"demo = {value!r}, block {submitted.block_number}")
