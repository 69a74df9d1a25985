"""What objects are told while nothing can be observed, and who is told that the organization cannot work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.chaincode import strategies as ledger
from unit.operator_domain.proposals import observed

from opssc_chaincode.model import Evidence, Facts, Outcome, Step
from opssc_operator.api.group import Kind
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.proposal import decide_proposal
from opssc_operator.errors import TransientError
from opssc_operator.reconcile.keys import proposal_key
from opssc_operator.reconcile.queue import WorkQueue
from opssc_operator.reconcile.sessions import Sessions
from opssc_operator.reconcile.store import ObjectStore
from opssc_operator.reconcile.telling import Teller

if TYPE_CHECKING:
    from opssc_operator.kube.client import KubeClient

    from .conftest import Manifests

REF = ProposalRef("Org1MSP", "basic")


class Cluster:
    """Remembers the statuses written."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    async def apply_status(self, kind: Kind, namespace: str, name: str, uid: str, status: dict[str, Any]) -> bool:
        del kind, namespace, name, uid
        self.written.append(status)
        return True

    async def post_event(self, *arguments: object, **words: object) -> None:
        """Events are not looked at here."""


def standing(phase: str, *, status: str, reason: str) -> dict[str, Any]:
    return {
        "observedGeneration": 1,
        "phase": phase,
        "conditions": [{"type": "Ready", "status": status, "reason": reason}],
    }


@pytest.mark.parametrize(
    ("status", "rewritten"),
    [
        pytest.param(standing("Committed", status="True", reason="Ready"), False, id="committed"),
        pytest.param(standing("Rejected", status="False", reason="Rejected"), False, id="rejected"),
        pytest.param(standing("Withdrawn", status="False", reason="Withdrawn"), False, id="withdrawn"),
        pytest.param(standing("Expired", status="False", reason="Expired"), False, id="expired"),
        pytest.param(standing("Voting", status="False", reason="AwaitingVotes"), True, id="voting"),
        pytest.param(
            standing("Rejected", status="False", reason="Rejected") | {"observedGeneration": 0}, True, id="edited"
        ),
    ],
)
async def test_a_failure_to_look_takes_back_nothing_that_is_over(
    status: dict[str, Any], rewritten: bool, manifests: Manifests
) -> None:
    # Given
    store, cluster = ObjectStore(), Cluster()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic") | {"status": status})
    teller = Teller(cast("KubeClient", cluster), store)

    # When
    await teller.tell_problem("org1", REF, TransientError("no own peer answers"))
    await teller.tell_not_ready("org1", REF, store.organization("org1"), looked=True)

    # Then
    assert bool(cluster.written) is rewritten


async def test_the_block_of_an_own_commit_outlives_the_process_that_made_it(manifests: Manifests) -> None:
    # Given
    proposal = ledger.proposal(ledger.document(proposal_id="basic"), creator="Org1MSP")
    ours, theirs = (Evidence(sequence=1, definition_hash="a" * 64, tx_id=digit * 64) for digit in "12")
    reports = (
        ledger.report(proposal, "AOrgMSP", Step.COMMITTED, Outcome.DONE, theirs),
        ledger.report(proposal, "Org1MSP", Step.COMMITTED, Outcome.DONE, ours),
    )
    seen = observed(Facts(proposal=proposal, reports=reports), ref=REF)
    store, cluster = ObjectStore(), Cluster()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    standing_commit = {"commit": {"by": "Org1MSP", "txID": "1" * 64, "block": 7}}
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic") | {"status": standing_commit})

    # When
    await Teller(cast("KubeClient", cluster), store).tell("org1", seen, decide_proposal(seen), None)

    # Then
    assert cluster.written[-1]["commit"] == standing_commit["commit"]


async def test_every_proposal_learns_once_whether_the_organization_can_work(manifests: Manifests) -> None:
    # Given
    store, queue = ObjectStore(), WorkQueue()
    store.put(Kind.FABRIC_ORGANIZATION, manifests.organization())
    store.put(Kind.CHAINCODE_PROPOSAL, manifests.proposal("basic"))
    sessions = Sessions(store, queue)

    # When
    woken = []
    for ready in (False, False, True, True, False):
        sessions.set_ready("org1", ready=ready)
        woken.append(queue.ready)
        while queue.ready:
            key = await queue.get()
            assert key == proposal_key("org1", str(REF))
            queue.done(key)

    # Then
    assert woken == [1, 0, 1, 0, 1]
