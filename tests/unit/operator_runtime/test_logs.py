"""Log lines, as text and as JSON."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from opssc_operator.observability.logs import JsonFormatter, TextFormatter


def record(message: str = "reconcile is stuck", **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("opssc_operator.test", logging.INFO, "file.py", 1, message, (), None)
    made.created = 1_795_252_800.25
    vars(made).update(fields)
    return made


def test_a_line_for_people_has_time_level_message_and_fields() -> None:
    line = TextFormatter().format(record(kind="proposal", object="Org1MSP/basic", error="two words"))

    assert (
        line == '2026-11-21T09:20:00.250Z INFO reconcile is stuck kind=proposal object=Org1MSP/basic error="two words"'
    )


def test_a_line_for_machines_is_one_json_object() -> None:
    line = JsonFormatter().format(record(kind="proposal", retry_seconds=0.5))

    assert json.loads(line) == {
        "time": "2026-11-21T09:20:00.250Z",
        "level": "INFO",
        "logger": "opssc_operator.test",
        "message": "reconcile is stuck",
        "kind": "proposal",
        "retry_seconds": 0.5,
    }


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
@pytest.mark.parametrize("hostile", ["a\n2026 ERROR forged", "a\r\x1b[31mred", "a\u2028b"])
def test_text_of_others_stays_on_one_line(formatter: logging.Formatter, hostile: str) -> None:
    line = formatter.format(record(error=hostile))

    assert "\n" not in line
    assert "\r" not in line
    assert "\x1b" not in line


def test_a_failure_carries_its_traceback() -> None:
    try:
        raise ZeroDivisionError("as asked for")
    except ZeroDivisionError:
        made = record()
        made.exc_info = sys.exc_info()

    assert "ZeroDivisionError: as asked for" in TextFormatter().format(made)
    assert "ZeroDivisionError: as asked for" in json.loads(JsonFormatter().format(made))["exception"]
