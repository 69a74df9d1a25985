"""What the API server's refusals become."""

from __future__ import annotations

import json

import pytest

from opssc_operator.errors import AccessDenied, TerminalError, TransientError
from opssc_operator.kube.refusal import Request, refusal, status_message
from opssc_operator.kube.resources import EVENTS, SECRETS

READ_SECRET = Request("get", SECRETS, "org1", "admin")


def said(message: str) -> bytes:
    return json.dumps({"kind": "Status", "message": message}).encode()


@pytest.mark.parametrize(
    ("code", "headers", "error", "retry_after"),
    [
        pytest.param(401, {}, TransientError, None, id="a token that is being rotated"),
        pytest.param(409, {}, TransientError, None, id="a conflict"),
        pytest.param(429, {"Retry-After": "7"}, TransientError, 7.0, id="too many requests"),
        pytest.param(429, {"Retry-After": "Wed, 21 Oct"}, TransientError, None, id="a date instead of seconds"),
        pytest.param(500, {}, TransientError, None, id="an internal error"),
        pytest.param(503, {"Retry-After": "1"}, TransientError, 1.0, id="overload"),
        pytest.param(403, {}, AccessDenied, 30.0, id="a missing right"),
        pytest.param(400, {}, TerminalError, None, id="a bad request"),
        pytest.param(422, {}, TerminalError, None, id="an invalid object"),
    ],
)
def test_a_status_code_becomes_one_error_of_the_tree(
    code: int, headers: dict[str, str], error: type[Exception], retry_after: float | None
) -> None:
    found = refusal(READ_SECRET, code, headers, said("because"))

    assert type(found) is error
    assert "because" in found.message
    assert getattr(found, "retry_after", None) == retry_after


def test_a_missing_right_is_named_as_a_role_must_grant_it() -> None:
    found = refusal(Request("create", EVENTS, "org1"), 403, {}, said("no"))

    assert found.message == (
        "the operator may not create events: no; "
        "add verb 'create' on 'events' (apiGroup 'events.k8s.io') to its Role in org1"
    )


def test_a_namespace_that_is_being_deleted_is_no_matter_of_rights() -> None:
    found = refusal(READ_SECRET, 403, {}, said("namespace org1 because it is being terminated"))

    assert not isinstance(found, AccessDenied)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"message": 7}', b"\xff\xfe"])
def test_an_answer_that_is_no_status_object_still_makes_a_sentence(body: bytes) -> None:
    assert refusal(READ_SECRET, 502, {}, body).message == "get secrets org1/admin failed: HTTP status 502"


def test_a_long_answer_is_cut() -> None:
    assert len(status_message(said("x" * 100_000))) == 512
