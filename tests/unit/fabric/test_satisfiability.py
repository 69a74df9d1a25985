"""Who can satisfy the policies of a tree, and that hostile trees cost no more than their size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from fabric_protos.common import configtx_pb2, policies_pb2
from fabric_protos.msp import msp_config_pb2, msp_principal_pb2
from hypothesis import given
from hypothesis import strategies as st

from fabric_admin.channelconfig.satisfiability import NOBODY, Reach, group_msp_id, policy_reach

Group = configtx_pb2.ConfigGroup
ORGANIZATIONS = ("Org1MSP", "Org2MSP", "Org3MSP")
STRANGER = "Org9MSP"
NAMES = ("Admins", "Readers", "Writers")
EVERYBODY = msp_principal_pb2.MSPPrincipal(principal_classification=msp_principal_pb2.MSPPrincipal.ANONYMITY)
UNREADABLE = msp_principal_pb2.MSPPrincipal(principal=b"\xff")


def member(msp_id: str) -> msp_principal_pb2.MSPPrincipal:
    return msp_principal_pb2.MSPPrincipal(
        principal=msp_principal_pb2.MSPRole(msp_identifier=msp_id).SerializeToString()
    )


PRINCIPALS = (*(member(each) for each in (*ORGANIZATIONS, STRANGER)), EVERYBODY, UNREADABLE)


def signature(rule: policies_pb2.SignaturePolicy) -> policies_pb2.Policy:
    envelope = policies_pb2.SignaturePolicyEnvelope(rule=rule, identities=PRINCIPALS)
    return policies_pb2.Policy(type=policies_pb2.Policy.SIGNATURE, value=envelope.SerializeToString())


def implicit(sub_policy: str, rule: int) -> policies_pb2.Policy:
    value = policies_pb2.ImplicitMetaPolicy(sub_policy=sub_policy)
    value.rule = rule  # type: ignore[assignment]
    return policies_pb2.Policy(type=policies_pb2.Policy.IMPLICIT_META, value=value.SerializeToString())


def tree(
    policies: dict[str, policies_pb2.Policy], groups: dict[str, configtx_pb2.ConfigGroup], msp_id: str = ""
) -> configtx_pb2.ConfigGroup:
    made = Group()
    for name, policy in policies.items():
        made.policies[name].policy.CopyFrom(policy)
    for name, group in groups.items():
        made.groups[name].CopyFrom(group)
    if msp_id:
        definition = msp_config_pb2.MSPConfig(config=msp_config_pb2.FabricMSPConfig(name=msp_id).SerializeToString())
        made.values["MSP"].value = definition.SerializeToString()
    return made


def gate(needed: int, rules: Sequence[policies_pb2.SignaturePolicy]) -> policies_pb2.SignaturePolicy:
    made = policies_pb2.SignaturePolicy()
    made.n_out_of.n = needed
    made.n_out_of.rules.extend(rules)
    return made


RULES = st.recursive(
    st.integers(-1, len(PRINCIPALS)).map(lambda index: policies_pb2.SignaturePolicy(signed_by=index)),
    lambda inner: st.builds(gate, st.integers(-1, 3), st.lists(inner, max_size=3)),
    max_leaves=5,
)
POLICIES = st.one_of(
    RULES.map(signature),
    st.builds(implicit, st.sampled_from((*NAMES, "a/Admins", "/Channel/a/Admins", "")), st.integers(0, 3)),
    st.just(policies_pb2.Policy(type=policies_pb2.Policy.SIGNATURE, value=b"\xff")),
    st.just(policies_pb2.Policy()),
)
SETS = st.dictionaries(st.sampled_from(NAMES), POLICIES, max_size=3)
LEAVES = st.builds(tree, SETS, st.just({}), st.sampled_from(("", *ORGANIZATIONS)))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(tree, SETS, st.dictionaries(st.sampled_from("abc"), inner, max_size=3), st.just("")),
    max_leaves=8,
)


def groups_of(group: configtx_pb2.ConfigGroup, path: str) -> Iterator[tuple[str, configtx_pb2.ConfigGroup]]:
    """Groups by path, those below before those above."""
    for name, child in group.groups.items():
        yield from groups_of(child, f"{path}/{name}")
    yield path, group


def defined_reach(root: configtx_pb2.ConfigGroup) -> dict[str, Reach]:
    """What the reach of each policy is by definition: every organization is asked of every policy on its own."""
    members = frozenset(filter(None, (group_msp_id(group) for _, group in groups_of(root, ""))))
    found: dict[str, Reach] = {}
    for path, group in groups_of(root, "/Channel"):
        for name, item in group.policies.items():
            try:
                found[f"{path}/{name}"] = _defined(
                    item.policy, [f"{path}/{each}" for each in group.groups], members, found
                )
            except ValueError:
                found[f"{path}/{name}"] = NOBODY
    return found


def _defined(
    policy: policies_pb2.Policy, children: list[str], members: frozenset[str], found: dict[str, Reach]
) -> Reach:
    if policy.type == policies_pb2.Policy.IMPLICIT_META:
        rule = policies_pb2.ImplicitMetaPolicy.FromString(policy.value)
        subs = [found.get(f"{child}/{rule.sub_policy}", NOBODY) for child in children]
        needed = {0: 1, 1: len(subs), 2: len(subs) // 2 + 1}.get(rule.rule, 0) if subs else 0
        alone = frozenset(each for each in members if sum(each in sub.alone for sub in subs) >= needed)
        return _counted(needed, subs, alone)
    if policy.type == policies_pb2.Policy.SIGNATURE and policy.value != b"\xff":
        return _defined_rule(policies_pb2.SignaturePolicyEnvelope.FromString(policy.value).rule, members)
    return NOBODY


def _defined_rule(rule: policies_pb2.SignaturePolicy, members: frozenset[str]) -> Reach:
    if rule.WhichOneof("Type") == "n_out_of":
        needed, parts = rule.n_out_of.n, [_defined_rule(each, members) for each in rule.n_out_of.rules]
        counting = [part for part in parts if needed == 1]
        alone = frozenset(each for each in members if needed <= 0 or any(each in part.alone for part in counting))
        return _counted(needed, parts, alone)
    if not 0 <= rule.signed_by < len(PRINCIPALS):
        return NOBODY
    principal = PRINCIPALS[rule.signed_by]
    if principal == UNREADABLE:
        raise ValueError
    if principal == EVERYBODY:
        return Reach(somebody=True, anybody=False, alone=members)
    named = {(*ORGANIZATIONS, STRANGER)[rule.signed_by]} & members
    return Reach(somebody=bool(named), anybody=False, alone=frozenset(named))


def _counted(needed: int, parts: Sequence[Reach], alone: frozenset[str]) -> Reach:
    return Reach(
        somebody=sum(part.somebody for part in parts) >= needed,
        anybody=sum(part.anybody for part in parts) >= needed,
        alone=alone,
    )


@given(TREES)
def test_the_reach_of_every_policy_is_what_asking_each_organization_of_each_policy_gives(
    root: configtx_pb2.ConfigGroup,
) -> None:
    assert policy_reach(root) == defined_reach(root)


def steps(work: Callable[[], object]) -> int:
    """How many instructions of Python a call takes: the same on every machine."""
    taken, before = 0, sys.gettrace()

    def trace(frame: Any, event: str, argument: object) -> Any:
        nonlocal taken
        del argument
        frame.f_trace_opcodes = True
        taken += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return taken


def many_rules(size: int) -> configtx_pb2.ConfigGroup:
    """As many organizations as policies over all of them."""
    groups = {f"g{n}": tree({"Admins": signature(gate(0, ()))}, {}, f"Org{n}MSP") for n in range(size)}
    return tree({f"p{n}": implicit("Admins", n % 3) for n in range(size)}, groups)


def many_names(size: int) -> configtx_pb2.ConfigGroup:
    """As many organizations as policies that ask each of them for another name."""
    groups = {f"g{n}": tree({}, {}, f"Org{n}MSP") for n in range(size)}
    return tree({f"p{n}": implicit(f"q{n}", 1) for n in range(size)}, groups)


@pytest.mark.parametrize("build", [many_rules, many_names], ids=lambda build: build.__name__)
def test_a_config_of_twice_the_size_takes_twice_the_work(build: Callable[[int], configtx_pb2.ConfigGroup]) -> None:
    small, large = build(30), build(60)

    grown = steps(lambda: policy_reach(large)) / steps(lambda: policy_reach(small))

    assert grown < 2.5
