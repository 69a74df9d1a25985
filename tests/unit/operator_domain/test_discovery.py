"""Which Services lead to own peers, whatever others write into them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from opssc_operator.api.fields import Address, ServerName
from opssc_operator.api.organization import PeerSource
from opssc_operator.api.surroundings import Pod, Service
from opssc_operator.domain.discovery import (
    MAX_PEERS,
    Discovery,
    FoundPeer,
    PodSeen,
    ServiceSeen,
    discover_peers,
    read_pod,
    read_service,
)

OWN, HERE = "Org1MSP", "org1"
PEER0 = ServiceSeen(HERE, "peer0", labelled=True, annotations={}, selector={"app": "peer0"}, ports=(("grpc", 7051),))
PLAIN = replace(PEER0, labelled=False)
POD0 = PodSeen(HERE, "peer0-0", {"app": "peer0", "org": "1"}, frozenset({OWN}))
FOUND0 = FoundPeer("peer0", "peer0.org1.svc:7051", PeerSource.SERVICE)


def told(**annotations: str) -> ServiceSeen:
    return replace(PEER0, annotations={name.replace("_", "-"): text for name, text in annotations.items()})


@pytest.mark.parametrize(
    ("service", "found"),
    [
        pytest.param(PEER0, FOUND0, id="by-label"),
        pytest.param(
            replace(PEER0, ports=(("", 9000),)), replace(FOUND0, address="peer0.org1.svc:9000"), id="one-port"
        ),
        pytest.param(
            replace(PEER0, ports=(("chaincode", 7052), ("peer", 7051))), FOUND0, id="the-port-named-for-clients"
        ),
        pytest.param(
            replace(PEER0, namespace="fabric"),
            replace(FOUND0, name="peer0.fabric", address="peer0.fabric.svc:7051"),
            id="elsewhere",
        ),
        pytest.param(told(peer_address="127.0.0.1:17051"), replace(FOUND0, address="127.0.0.1:17051"), id="address"),
        pytest.param(told(peer_name="alpha"), replace(FOUND0, name="alpha"), id="name"),
        pytest.param(
            told(tls_server_name="p.example.com"), replace(FOUND0, server_name="p.example.com"), id="tls-name"
        ),
        pytest.param(told(tls_ca_secret="tls-ca"), replace(FOUND0, tls_secret=("tls-ca", "ca.crt")), id="secret"),
        pytest.param(told(tls_ca_secret="tls/ca.pem"), replace(FOUND0, tls_secret=("tls", "ca.pem")), id="secret-key"),
        pytest.param(told(msp_id=OWN), FOUND0, id="ours"),
    ],
)
def test_a_labelled_service_leads_to_a_peer(service: ServiceSeen, found: FoundPeer) -> None:
    assert discover_peers(OWN, HERE, [service], []) == Discovery((found,))


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        pytest.param(replace(PEER0, ports=()), "name the port", id="no-port"),
        pytest.param(replace(PEER0, ports=(("a", 1), ("b", 2))), "name the port", id="which-port"),
        pytest.param(told(peer_address="$(reboot):7051"), "peer-address", id="shell"),
        pytest.param(told(peer_address="peer0:7051\n"), "peer-address", id="line-feed"),
        pytest.param(told(peer_address="peer0:0"), "between 1 and 65535", id="port-zero"),
        pytest.param(told(peer_address="peer0:99999"), "between 1 and 65535", id="port-too-high"),
        pytest.param(told(peer_name="../../etc"), "peer-name", id="path"),
        pytest.param(told(peer_name="x" * 300), "peer-name", id="long"),
        pytest.param(told(tls_ca_secret="../admin"), "tls-ca-secret", id="secret-path"),
        pytest.param(told(tls_ca_secret="a/b/c"), "tls-ca-secret", id="secret-parts"),
        pytest.param(
            replace(told(tls_ca_secret="theirs"), namespace="fabric"), "counts in namespace org1 only", id="their-trust"
        ),
    ],
)
def test_a_service_that_cannot_be_used_is_named_and_keeps_no_other_from_being_used(
    service: ServiceSeen, problem: str
) -> None:
    # Given
    other = replace(PEER0, name="peer9")

    # When
    found = discover_peers(OWN, HERE, [service, other], [])

    # Then
    assert [peer.name for peer in found.peers] == ["peer9"]
    assert len(found.problems) == 1
    assert service.title in found.problems[0]
    assert problem in found.problems[0]


def test_services_of_another_organization_are_left_out() -> None:
    assert discover_peers(OWN, HERE, [told(msp_id="Org2MSP")], []) == Discovery()


def test_two_services_for_one_name_are_told() -> None:
    found = discover_peers(OWN, HERE, [PEER0, replace(told(peer_name="peer0"), name="peer0-too")], [])
    assert (found.peers, len(found.problems)) == ((FOUND0,), 1)


def test_no_more_peers_than_status_holds_are_used() -> None:
    found = discover_peers(OWN, HERE, [replace(PEER0, name=f"peer{number}") for number in range(MAX_PEERS + 2)], [])
    assert (len(found.peers), len(found.problems)) == (MAX_PEERS, 2)


@pytest.mark.parametrize(
    ("services", "pods", "names", "problems"),
    [
        pytest.param([PLAIN], [POD0], ["peer0"], 0, id="selected"),
        pytest.param([PLAIN], [replace(POD0, msp_ids=frozenset({"Org2MSP"}))], [], 0, id="anothers-pod"),
        pytest.param([PLAIN], [replace(POD0, namespace="fabric")], [], 1, id="no-service-in-its-namespace"),
        pytest.param([replace(PLAIN, selector={})], [POD0], [], 1, id="selects-nothing"),
        pytest.param([replace(PLAIN, selector={"app": "peer1"})], [POD0], [], 1, id="selects-others"),
        pytest.param([replace(PLAIN, ports=())], [POD0], [], 1, id="no-port"),
        pytest.param([PLAIN], [POD0, replace(POD0, name="peer0-1")], ["peer0"], 0, id="two-pods-of-one-peer"),
        pytest.param(
            [replace(PLAIN, name="all", selector={"org": "1"}), PLAIN],
            [POD0, replace(POD0, name="peer1-0", labels={"app": "peer1", "org": "1"})],
            ["peer0"],
            1,
            id="one-service-for-several-peers",
        ),
        pytest.param([PEER0, replace(PLAIN, name="peer1")], [POD0], ["peer0"], 0, id="labels-come-first"),
    ],
)
def test_without_a_labelled_service_pods_say_whose_they_are(
    services: list[ServiceSeen], pods: list[PodSeen], names: list[str], problems: int
) -> None:
    found = discover_peers(OWN, HERE, services, pods)
    assert [peer.name for peer in found.peers] == names
    assert len(found.problems) == problems
    if not any(service.labelled for service in services):
        assert all(peer.source is PeerSource.POD for peer in found.peers)


def body(**spec: Any) -> dict[str, Any]:
    return {"kind": "Any", "metadata": {"name": "peer0", "namespace": HERE, "uid": "1"}, "spec": spec}


def test_what_is_kept_of_a_service_is_what_discovery_needs() -> None:
    # Given
    given_body = body(
        selector={"app": "peer0"}, ports=[{"name": "grpc", "port": 7051, "nodePort": 30001}], type="NodePort"
    )
    given_body["metadata"] |= {
        "labels": {"opssc.dev/peer": "true", "app": "x"},
        "annotations": {"opssc.dev/peer-name": "alpha", "other.dev/huge": "x" * 100_000},
    }

    # When
    seen = read_service(Service.model_validate(given_body))

    # Then
    assert seen == replace(PEER0, annotations={"peer-name": "alpha"})


@pytest.mark.parametrize(
    ("env", "msp_ids"),
    [
        pytest.param([{"name": "CORE_PEER_LOCALMSPID", "value": OWN}], frozenset({OWN}), id="a-peer"),
        pytest.param(
            [{"name": "CORE_PEER_LOCALMSPID", "valueFrom": {"configMapKeyRef": {}}}], None, id="from-elsewhere"
        ),
        pytest.param([{"name": "OTHER", "value": OWN}], None, id="no-peer"),
    ],
)
def test_a_pod_is_kept_when_it_says_to_be_a_peer(env: list[dict[str, Any]], msp_ids: frozenset[str] | None) -> None:
    seen = read_pod(Pod.model_validate(body(containers=[{"name": "peer", "image": "x"}, {"env": env}])))
    assert (None if seen is None else seen.msp_ids) == msp_ids


texts = st.text(max_size=20) | st.sampled_from(["peer0", "127.0.0.1:7051", "tls/ca.crt"])
maps = st.dictionaries(st.sampled_from(["app", "org"]), st.sampled_from(["a", "b"]), max_size=2)
services = st.builds(
    ServiceSeen,
    namespace=st.sampled_from([HERE, "fabric"]),
    name=st.sampled_from(["peer0", "peer1", "peer2"]),
    labelled=st.booleans(),
    annotations=st.dictionaries(
        st.sampled_from(["msp-id", "peer-name", "peer-address", "tls-ca-secret", "tls-server-name"]), texts, max_size=3
    ),
    selector=maps,
    ports=st.lists(st.tuples(st.sampled_from(["", "grpc", "x"]), st.integers(1, 65535)), max_size=2).map(tuple),
)
pods = st.builds(
    PodSeen,
    namespace=st.sampled_from([HERE, "fabric"]),
    name=st.sampled_from(["pod0", "pod1"]),
    labels=maps,
    msp_ids=st.frozensets(st.sampled_from([OWN, "Org2MSP"]), min_size=1),
)


@given(
    st.lists(services, max_size=4, unique_by=lambda one: (one.namespace, one.name)),
    st.lists(pods, max_size=3, unique_by=lambda one: (one.namespace, one.name)),
    st.randoms(),
)
def test_what_is_found_is_well_formed_and_does_not_depend_on_any_order(
    some: list[ServiceSeen], around: list[PodSeen], random: Any
) -> None:
    # When
    found = discover_peers(OWN, HERE, some, around)

    # Then
    for peer in found.peers:
        TypeAdapter(Address).validate_python(peer.address)
        TypeAdapter(ServerName).validate_python(peer.name)
        assert peer.tls_secret is None or "/" not in peer.tls_secret[0]
    assert [peer.name for peer in found.peers] == sorted({peer.name for peer in found.peers})
    shuffled = random.sample(some, len(some)), random.sample(around, len(around))
    assert discover_peers(OWN, HERE, *shuffled) == found
