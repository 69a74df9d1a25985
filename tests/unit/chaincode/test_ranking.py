"""Who acts first, and which of several accepted proposals is carried out."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from unit.chaincode.strategies import members

from opssc_chaincode.ranking import LedgerPosition, decided_last, proposal_seed, rank_by

SEED = proposal_seed("Org1MSP", "basic-1")


def test_organizations_are_ranked_by_a_hash_that_anyone_can_compute() -> None:
    expected = sorted(members(5), key=lambda msp_id: sha256(b"Org1MSP\x00basic-1\x00" + msp_id.encode()).hexdigest())

    assert rank_by(SEED, members(5)) == tuple(expected)


@given(st.permutations(members(6)))
def test_the_order_of_organizations_given_does_not_matter(given_order: list[str]) -> None:
    assert rank_by(SEED, given_order + given_order) == rank_by(SEED, members(6))


def test_every_organization_is_first_for_some_proposal() -> None:
    first = {rank_by(proposal_seed("Org1MSP", f"p-{number}"), members(5))[0] for number in range(100)}

    assert first == set(members(5))


def test_the_proposal_decided_last_is_carried_out() -> None:
    decided = {
        "Org1MSP/a": LedgerPosition(9, 2),
        "Org2MSP/b": LedgerPosition(10, 0),
        "Org3MSP/c": LedgerPosition(10, 1),
        "Org4MSP/d": LedgerPosition(2, 7),
    }

    assert decided_last(decided) == "Org3MSP/c"
    assert decided_last({}) is None
