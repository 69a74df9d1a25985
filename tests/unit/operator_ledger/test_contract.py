"""What endorsers say, and whose word on it is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from fabric_admin.errors import ChaincodeError, ErrorDetail, FabricError, GatewayError
from opssc_operator.api.conditions import Reason
from opssc_operator.errors import TransientError
from opssc_operator.ledger.contract import LAGGING_SECONDS, ContractRefused, OpsContract, refusals

if TYPE_CHECKING:
    from opssc_operator.ledger.peers import OwnPeers

OWN = "Org1MSP"


def refused(**said: str) -> GatewayError:
    details = tuple(
        ErrorDetail(f"{msp_id}:7051", msp_id, f"chaincode response 403, {text}") for msp_id, text in said.items()
    )
    return GatewayError("ABORTED", "failed to endorse transaction, see attached details for more info", details)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        pytest.param(refused(Org1MSP="FORBIDDEN: bad role"), "FORBIDDEN", id="own"),
        pytest.param(refused(Org2MSP="CLOSED: late", Org1MSP="FORBIDDEN: bad role"), "FORBIDDEN", id="own-first"),
        pytest.param(refused(Org2MSP="CLOSED: late", Org3MSP="CLOSED: too late"), "CLOSED", id="others-alike"),
        pytest.param(ChaincodeError(404, "NOT_FOUND: none"), "NOT_FOUND", id="evaluated-on-the-own-peer"),
        pytest.param(GatewayError("UNKNOWN", "evaluate failed: NOT_FOUND: none"), "NOT_FOUND", id="own-gateway"),
    ],
)
def test_a_refusal_of_the_own_peer_or_of_several_organizations_is_believed(failure: FabricError, code: str) -> None:
    with pytest.raises(ContractRefused) as caught, refusals("Vote", OWN):
        raise failure
    assert caught.value.code == code
    assert caught.value.reason == Reason.REFUSED_BY_CONTRACT


@pytest.mark.parametrize(
    ("failure", "retry_after"),
    [
        pytest.param(refused(Org2MSP="FORBIDDEN: you are not welcome"), None, id="one-other-organization"),
        pytest.param(refused(Org2MSP="FORBIDDEN: no", Org3MSP="CLOSED: late"), None, id="others-differ"),
        pytest.param(refused(Org2MSP="FORBIDDEN: no", Org3MSP="cannot be reached"), None, id="only-one-is-coded"),
        pytest.param(refused(Org2MSP="NOT_FOUND: no proposal"), LAGGING_SECONDS, id="another-peer-lags"),
        pytest.param(refused(Org1MSP="CLOCK_SKEW: 400 s"), None, id="a-clock-that-heals"),
    ],
)
def test_what_one_other_organization_says_is_tried_again(failure: FabricError, retry_after: float | None) -> None:
    with pytest.raises(TransientError) as caught, refusals("Vote", OWN):
        raise failure
    assert caught.value.retry_after == retry_after


class Peers:
    """One own peer, on which the contract gives an answer of another version."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def on(self, channel: str) -> Peers:
        del channel
        return self

    @property
    def client_gateway(self) -> Peers:
        return self

    async def evaluate(self, *_: object, **__: object) -> bytes:
        return self._answer


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"not json", id="not-json"),
        pytest.param(b'{"colour":"blue"}', id="other-fields"),
    ],
)
async def test_an_answer_that_cannot_be_read_says_that_the_versions_do_not_fit(answer: bytes) -> None:
    contract = OpsContract(OWN, cast("OwnPeers", Peers(answer)), "ops-channel", "opssc")

    with pytest.raises(TransientError) as caught:
        await contract.fetch_version()

    assert caught.value.reason == Reason.CONTRACT_MISMATCH
    assert "upgrade one of them" in caught.value.message
