"""No text of a tenant, an engine or an API server makes a second line of the log, or reaches a terminal as codes."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from medley_operator.logs import JsonFormatter

HOSTILE = 'x\n{"level": "critical", "message": "forged"}\r\n\x1b[2J\x1b[31mred\x00\u2028\u202e"}'


def line(record: logging.LogRecord) -> str:
    return JsonFormatter().format(record)


def record(message: str, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("medley_operator.x", logging.ERROR, __file__, 1, message, (), None)
    vars(made).update(facts)
    return made


@pytest.mark.parametrize(
    "told",
    [
        record(HOSTILE),
        record("plain", object=HOSTILE, error=ValueError(HOSTILE)),
        record("plain", reasons={HOSTILE: 1}, kept=[HOSTILE]),
    ],
    ids=["message", "facts", "keys"],
)
def test_hostile_text_stays_within_one_line_of_plain_characters(told: logging.LogRecord) -> None:
    text = line(told)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["level"] == "error"


def test_no_fact_replaces_a_field_that_each_line_has() -> None:
    told = json.loads(line(record("raised", level=2, time="never", domain="row")))
    assert (told["level"], told["message"], told["domain"]) == ("error", "raised", "row")
    assert told["time"] != "never"


def test_a_trace_is_one_line_too() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        told = logging.LogRecord("medley_operator.x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    text = line(told)
    assert text.isprintable()
    assert "ValueError" in json.loads(text)["exception"]
