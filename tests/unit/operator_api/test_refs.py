from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opssc_operator.api.refs import ProposalRef, ProposalReference, mirror_name

OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
MSP_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)
PROPOSAL_IDS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@given(MSP_IDS, PROPOSAL_IDS)
def test_the_text_of_a_proposal_s_name_reads_as_that_name(creator: str, proposal_id: str) -> None:
    ref = ProposalRef(creator, proposal_id)

    assert ProposalRef.parse(str(ref)) == ref


@pytest.mark.parametrize("text", ["", "/", "Org1MSP", "Org1MSP/", "/basic-2", "Org1MSP/a/b"], ids=repr)
def test_a_text_that_names_no_proposal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a proposal name"):
        ProposalRef.parse(text)


def test_a_reference_in_a_manifest_is_the_same_name() -> None:
    reference = ProposalReference.model_validate({"creator": "Org1MSP", "id": "basic-2"})

    assert str(reference.ref) == "Org1MSP/basic-2"


def test_a_mirror_is_named_after_id_and_creator() -> None:
    assert mirror_name(ProposalRef("Org1MSP", "basic-2")) == "basic-2.org1msp"


@given(MSP_IDS, PROPOSAL_IDS)
def test_a_mirror_s_name_is_the_name_of_an_object_and_never_a_single_label(creator: str, proposal_id: str) -> None:
    name = mirror_name(ProposalRef(creator, proposal_id))

    assert OBJECT_NAME.fullmatch(name)
    assert len(name) <= 253
    assert name.startswith(f"{proposal_id}.")


@pytest.mark.parametrize(("one", "other"), [("Org1MSP", "org1msp"), ("Org.1", "Org-1"), ("Org-", "Org")], ids=str)
def test_mirrors_of_creators_that_fold_to_the_same_keep_apart(one: str, other: str) -> None:
    among = frozenset({one, other, "Another"})

    names = {mirror_name(ProposalRef(creator, "basic-2"), among=among) for creator in among}

    assert len(names) == 3
    assert "basic-2.another" in names
