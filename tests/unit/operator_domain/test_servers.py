"""Chaincode servers: which run, with whose settings, and when one counts as ready."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_chaincode.model import CcaasPackage, Connection, Image, UnchangedPackage, ccaas_label
from opssc_operator.api.conditions import Reason
from opssc_operator.api.servers import ServerSettings
from opssc_operator.api.trust import Trust
from opssc_operator.domain.servers import (
    AskPeers,
    Claim,
    Keep,
    Remove,
    Run,
    Served,
    ServerDecision,
    ServerLook,
    Wish,
    decide_server,
    image_refusal,
    judge_runtime,
    read_deployment,
    served_by,
)

DIGEST = "sha256:" + "ab" * 32
PACKAGE_ID = "asset-0123456789ab:" + "cd" * 32
SERVED = Served(PACKAGE_ID, "asset-0123456789ab", "example.com/asset", DIGEST, 9999)
FEW, MANY = ServerSettings(deploy=True, replicas=1), ServerSettings(deploy=True, replicas=3)
RUN = Claim(PACKAGE_ID, ("mychannel", "asset", 1), Wish.RUN, ("2026-01-01", "asset-1"), FEW, SERVED)
STOP, DEFAULT, UNSAID = (replace(RUN, wish=wish) for wish in (Wish.STOP, Wish.DEFAULT, Wish.UNSAID))
PAST = replace(RUN, current=False)
LATER = replace(RUN, said=("2026-02-01", "asset-2"), settings=MANY)


@pytest.mark.parametrize(
    ("claims", "referenced", "expected"),
    [
        pytest.param((RUN,), None, Run(SERVED, FEW), id="asked-for"),
        pytest.param((replace(RUN, committed=True),), None, Run(SERVED, FEW), id="asked-for-and-committed"),
        pytest.param((STOP,), None, Remove(), id="asked-to-stop"),
        pytest.param((DEFAULT,), None, Remove(), id="the-manifest-asks-no-more"),
        pytest.param((UNSAID,), None, Keep(), id="the-manifest-is-gone"),
        pytest.param((RUN, DEFAULT), None, Run(SERVED, FEW), id="one-of-two-that-share-it-asks"),
        pytest.param((LATER, RUN), None, Run(SERVED, MANY), id="the-latest-word-counts"),
        pytest.param((LATER, replace(LATER, wish=Wish.STOP, said=("2026-03",))), None, Remove(), id="latest-stops"),
        pytest.param((replace(LATER, current=False), RUN), None, Run(SERVED, FEW), id="the-present-before-the-past"),
        pytest.param((PAST, UNSAID), None, Run(SERVED, FEW), id="unchanged-package-goes-on-as-it-was"),
        pytest.param(
            (PAST, replace(LATER, served=None)), None, Run(SERVED, MANY), id="unchanged-package-with-settings"
        ),
        pytest.param((replace(RUN, served=None),), None, Keep(), id="nobody-knows-the-image"),
        pytest.param((PAST,), None, AskPeers(), id="replaced"),
        pytest.param((PAST,), False, Remove(), id="replaced-and-unused"),
        pytest.param((PAST,), True, Run(SERVED, FEW), id="replaced-and-used-by-a-definition-of-others"),
        pytest.param((), None, AskPeers(), id="nobody-claims-it"),
        pytest.param((), False, Remove(), id="nobody-claims-it-and-unused"),
        pytest.param((), True, Keep(), id="nobody-claims-it-and-used"),
        pytest.param((PAST, replace(PAST, held=True)), False, Keep(), id="suspended"),
        pytest.param((replace(STOP, held=True),), None, Keep(), id="suspended-before-it-stops"),
    ],
)
def test_all_claims_together_decide(
    claims: tuple[Claim, ...], referenced: bool | None, expected: ServerDecision
) -> None:
    assert decide_server(claims, referenced=referenced) == expected


CLAIMS = st.lists(
    st.builds(
        Claim,
        package_id=st.just(PACKAGE_ID),
        slot=st.just(("mychannel", "asset", 1)),
        wish=st.sampled_from(Wish),
        said=st.tuples(st.sampled_from(["2026-01", "2026-02"]), st.sampled_from(["a", "b", "c"])),
        settings=st.sampled_from([FEW, MANY]),
        served=st.sampled_from([SERVED, None]),
        current=st.booleans(),
        committed=st.booleans(),
        held=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda claim: claim.said,
)


@given(CLAIMS, st.sampled_from([None, False, True]), st.randoms(use_true_random=False))
def test_the_order_of_claims_never_matters(claims: list[Claim], referenced: bool | None, random: Any) -> None:
    shuffled = list(claims)
    random.shuffle(shuffled)
    assert decide_server(shuffled, referenced=referenced) == decide_server(claims, referenced=referenced)


@given(CLAIMS, st.sampled_from([None, False, True]))
def test_a_server_in_use_is_never_removed_unless_somebody_here_says_so(
    claims: list[Claim], referenced: bool | None
) -> None:
    in_use = referenced or any(claim.current for claim in claims)
    spoken = any(claim.wish in {Wish.STOP, Wish.DEFAULT} for claim in claims)
    if in_use and not spoken:
        assert not isinstance(decide_server(claims, referenced=referenced), Remove)


@given(CLAIMS, st.sampled_from([None, False, True]))
def test_a_server_runs_only_where_somebody_here_asked_for_it(claims: list[Claim], referenced: bool | None) -> None:
    decision = decide_server(claims, referenced=referenced)
    if isinstance(decision, Run):
        assert any(claim.wish is Wish.RUN and claim.settings == decision.settings for claim in claims)


@pytest.mark.parametrize(
    ("image", "registries", "refused"),
    [
        pytest.param("ghcr.io/acme/asset", (), True, id="empty-list"),
        pytest.param("ghcr.io/acme/asset", ("ghcr.io",), False, id="registry"),
        pytest.param("ghcr.io/acme/asset", ("ghcr.io/acme/",), False, id="path"),
        pytest.param("ghcr.io.evil.example/asset", ("ghcr.io",), True, id="longer-host"),
        pytest.param("ghcr.io/acme-evil/asset", ("ghcr.io/acme",), True, id="longer-path"),
    ],
)
def test_an_image_runs_only_from_a_trusted_registry(image: str, registries: tuple[str, ...], refused: bool) -> None:
    assert bool(image_refusal(image, Trust(image_registries=registries))) is refused


@pytest.mark.parametrize(
    ("address", "host"),
    [
        pytest.param(None, None, id="default"),
        pytest.param("{{.chaincode_host}}:9999", None, id="template"),
        pytest.param("asset.example.com:9999", "asset.example.com", id="explicit"),
    ],
)
def test_what_is_served_follows_from_the_package_alone(address: str | None, host: str | None) -> None:
    connection = Connection(port=9999, address=address)
    label = ccaas_label("asset", DIGEST, connection)
    source = CcaasPackage(label=label, image=Image(name="example.com/asset", digest=DIGEST), connection=connection)

    served = served_by(source, PACKAGE_ID)

    assert served == Served(PACKAGE_ID, label, "example.com/asset", DIGEST, 9999, host=host)
    assert served is not None
    assert served.image == f"example.com/asset@{DIGEST}"
    assert served_by(UnchangedPackage(), PACKAGE_ID) is None


def deployment(*, generation: int = 1, replicas: int = 1, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "asset", "generation": generation}, "spec": {"replicas": replicas}, "status": status}


AVAILABLE = {"type": "Available", "status": "True"}
UNAVAILABLE = {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "too few"}
STUCK = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
QUOTA = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        pytest.param(deployment(), "False", "waiting for its pods", id="nobody-looked-yet"),
        pytest.param(
            deployment(observedGeneration=1, updatedReplicas=1, readyReplicas=1, conditions=[AVAILABLE]),
            "True",
            "Deployment asset serves",
            id="available",
        ),
        pytest.param(
            deployment(generation=2, observedGeneration=1, updatedReplicas=1, conditions=[AVAILABLE]),
            "False",
            "waiting for its pods",
            id="of-an-earlier-spec",
        ),
        pytest.param(
            deployment(observedGeneration=1, updatedReplicas=1, replicas=2, conditions=[AVAILABLE]),
            "False",
            "waiting for its pods",
            id="old-pods-still-serve",
        ),
        pytest.param(
            deployment(observedGeneration=1, conditions=[UNAVAILABLE]),
            "False",
            "MinimumReplicasUnavailable: too few",
            id="unavailable",
        ),
        pytest.param(
            deployment(observedGeneration=1, conditions=[UNAVAILABLE, STUCK]),
            "False",
            "ProgressDeadlineExceeded: timed out",
            id="stuck",
        ),
        pytest.param(
            deployment(observedGeneration=1, conditions=[UNAVAILABLE, STUCK, QUOTA]),
            "False",
            "FailedCreate: exceeded quota",
            id="the-first-cause",
        ),
    ],
)
def test_a_server_is_as_ready_as_its_deployment_says(body: dict[str, Any], status: str, text: str) -> None:
    verdict = judge_runtime(ServerLook(Wish.RUN, deployment=read_deployment(body)))
    assert verdict.reason is (Reason.SERVER_READY if status == "True" else Reason.SERVER_NOT_READY)
    assert verdict.status == status
    assert text in verdict.message


@pytest.mark.parametrize(
    ("look", "status", "reason"),
    [
        pytest.param(ServerLook(Wish.RUN), "False", Reason.SERVER_NOT_READY, id="not-there-yet"),
        pytest.param(ServerLook(Wish.RUN, problem="in the way"), "False", Reason.SERVER_NOT_READY, id="impossible"),
        pytest.param(ServerLook(Wish.UNSAID), "Unknown", Reason.SERVER_NOT_MANAGED, id="not-ours"),
        pytest.param(ServerLook(Wish.STOP, problem="no Role"), "Unknown", Reason.SERVER_NOT_MANAGED, id="not-asked"),
    ],
)
def test_without_a_deployment_it_depends_on_who_asked(look: ServerLook, status: str, reason: Reason) -> None:
    verdict = judge_runtime(look)
    assert (verdict.status, verdict.reason) == (status, reason)
