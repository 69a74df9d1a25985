"""What endorsers say, and whose word on it is believed."""

from __future__ import annotations

import pytest

from fabric_admin.errors import ChaincodeError, ErrorDetail, FabricError, GatewayError
from opssc_operator.errors import TransientError
from opssc_operator.ledger.contract import LAGGING_SECONDS, ContractRefused, refusals

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
