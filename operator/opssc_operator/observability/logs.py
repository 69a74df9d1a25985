"""Log lines: a constant message plus fields, as text for people or JSON for machines; standard library only."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal

_OWN_ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET: Final = ("kopf", "aiohttp", "asyncio", "grpc", "kubernetes", "urllib3")
"""Libraries that say at INFO what is no news to an operator's user."""


def configure_logs(style: Literal["text", "json"], level: str) -> None:
    """Sends all log records of the process to standard error in the given style."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level) if level != "DEBUG" else logging.DEBUG)


def record_fields(record: logging.LogRecord) -> dict[str, object]:
    """What the caller put into `extra`."""
    return {key: value for key, value in vars(record).items() if key not in _OWN_ATTRIBUTES and key[0] != "_"}


class TextFormatter(logging.Formatter):
    """``2026-11-21T09:20:00.123Z INFO reconcile is stuck kind=proposal object=Org1MSP/basic-2``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, followed by the traceback if there is one."""
        fields = "".join(f" {key}={_plain(value)}" for key, value in record_fields(record).items())
        line = f"{_time(record)} {record.levelname} {_one_line(record.getMessage())}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line; the caller's fields stand beside `time`, `level`, `logger` and `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        document = record_fields(record) | {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> str:
    text = _one_line(str(value))
    return json.dumps(text, ensure_ascii=False) if not text or any(sign in text for sign in ' "=') else text


def _one_line(text: str) -> str:
    # Text of other people may hold line breaks or terminal escapes, and must not look like lines or colours of ours.
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
