from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2
from hypothesis import given
from hypothesis import strategies as st
from unit.fabric.authority import authority

from fabric_admin import policy
from fabric_admin.errors import ConfigError, IdentityError, PolicyNotSatisfied, PolicySyntaxError
from fabric_admin.msp import Identity, MSPManager
from fabric_admin.policy_rule import organization_rule

ORGANIZATIONS = ["AMSP", "BMSP", "CMSP", "DMSP"]
PRINCIPALS = st.builds(
    "'{}.{}'".format, st.sampled_from(ORGANIZATIONS), st.sampled_from(["member", "peer", "client", "admin"])
)


def _gate(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.lists(inner, min_size=1, max_size=4)
    out_of = parts.flatmap(
        lambda texts: st.integers(0, len(texts) + 1).map(lambda n: f"OutOf({n}, {', '.join(texts)})")
    )
    named = st.builds(lambda name, texts: f"{name}({', '.join(texts)})", st.sampled_from(["AND", "OR"]), parts)
    return out_of | named


TEXTS = _gate(st.recursive(PRINCIPALS, _gate, max_leaves=8))


@dataclass(frozen=True)
class Roll:
    """Everybody of an organization has every role in it."""

    def deserialize(self, data: bytes) -> Identity:
        return _someone(data.decode())

    def satisfies(self, identity: Identity, principal: msp_principal_pb2.MSPPrincipal) -> None:
        if msp_principal_pb2.MSPRole.FromString(principal.principal).msp_identifier != identity.msp_id:
            raise IdentityError("another organization")


def _someone(msp_id: str) -> Identity:
    return Identity(msp_id, authority("Org1MSP").certificate, f"the one of {msp_id}")


@given(TEXTS)
def test_a_policy_survives_being_written_and_read(text: str) -> None:
    parsed = policy.parse(text)

    assert policy.parse(policy.format(parsed)) == parsed


@given(st.text(max_size=60) | st.text(alphabet="ANDORoutf('A.member',)1 +[]-\\\"", max_size=60))
def test_any_text_is_read_or_refused_with_a_typed_error(text: str) -> None:
    with contextlib.suppress(PolicySyntaxError):
        assert policy.parse(text).HasField("rule")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("OR(" * 500 + "'A.member'" + ")" * 500, id="calls"),
        pytest.param("(" * 5000, id="brackets"),
        pytest.param("-" * 5000 + "1", id="signs"),
        pytest.param("OutOf(" + "9" * 5000 + ", 'A.member')", id="huge-number"),
        pytest.param("OutOf(1e999, 'A.member')", id="infinite"),
    ],
)
def test_a_hostile_text_is_refused_quickly(text: str) -> None:
    with pytest.raises(PolicySyntaxError):
        policy.parse(text)


@given(TEXTS, st.frozensets(st.sampled_from(ORGANIZATIONS)))
def test_the_rule_over_organizations_agrees_with_the_evaluation_of_signatures(
    text: str, agreed: frozenset[str]
) -> None:
    compiled = policy.SignaturePolicy(policy.parse(text))
    try:
        rule = organization_rule(compiled, frozenset(ORGANIZATIONS))
    except ConfigError:
        return

    def satisfied() -> bool:
        try:
            compiled.check([_someone(msp_id) for msp_id in sorted(agreed)], Roll())
        except PolicyNotSatisfied:
            return False
        return True

    assert rule.satisfied_by(agreed) == satisfied()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("AND('AMSP.peer', 'AMSP.admin')", id="two-of-one"),
        pytest.param("AND(OR('AMSP.peer','BMSP.peer'), 'BMSP.peer')", id="overlap"),
    ],
)
def test_a_policy_that_counts_people_has_no_rule_over_organizations(text: str) -> None:
    with pytest.raises(ConfigError, match="asks for several signers") as refused:
        organization_rule(policy.SignaturePolicy(policy.parse(text)), frozenset(ORGANIZATIONS))

    assert "AMSP" in str(refused.value)


def test_one_signature_per_person_counts_whatever_the_encoding() -> None:
    admin = authority("Org1MSP").issue("admin")
    manager = MSPManager({"Org1MSP": authority("Org1MSP").msp()})
    envelope = policy.parse("AND('Org1MSP.member', 'Org1MSP.member')")
    wrapped = admin.creator.replace(b"-----BEGIN", b"a comment\n-----BEGIN")
    signed = [
        policy.SignedData(b"data", creator, admin.sign(b"data")) for creator in (admin.creator, admin.creator, wrapped)
    ]

    with pytest.raises(PolicyNotSatisfied, match="signature set did not satisfy policy"):
        policy.evaluate(envelope, signed, manager)


def test_two_people_of_one_organization_count_as_two() -> None:
    authority1 = authority("Org1MSP")
    people = [authority1.issue("admin"), authority1.issue("client")]
    manager = MSPManager({"Org1MSP": authority1.msp()})
    signed = [policy.SignedData(b"data", each.creator, each.sign(b"data")) for each in people]

    policy.evaluate(policy.parse("AND('Org1MSP.member', 'Org1MSP.member')"), signed, manager)


def test_a_policy_nested_too_deeply_to_evaluate_is_refused() -> None:
    envelope = policies_pb2.SignaturePolicyEnvelope()
    rule = envelope.rule
    for _ in range(policy.MAX_RULE_DEPTH + 2):
        rule.n_out_of.n = 1
        rule = rule.n_out_of.rules.add()
    rule.signed_by = 0

    with pytest.raises(PolicySyntaxError, match="nested more than"):
        policy.SignaturePolicy(envelope)
