"""Reads a trace of requests from a file: when each arrives, its prompt and its generation. Recognises five forms.

CSV with a header (arrival in seconds or as a date and time, as the Azure LLM inference trace has it) or with three bare
columns; JSON lines (Mooncake's, whose timestamps are milliseconds, or one request a line); the JSON that `vllm bench
serve --save-detailed` writes. Arrivals are given from 0 on. Every refusal names file, line, field and value.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.documents import BadText, RepeatedField, json_value
from medley_planner.engine import Trace

ARRIVAL = ("arrival_seconds", "arrival_time", "arrival", "start_time", "timestamp", "time")
PROMPT = ("prompt_tokens", "contexttokens", "input_length", "input_tokens", "input_toks", "prompt_len", "prompt", "isl")
GENERATION = (
    "generation_tokens",
    "generatedtokens",
    "output_length",
    "output_tokens",
    "output_toks",
    "output_len",
    "generation",
    "osl",
)
_MOONCAKE = frozenset({"timestamp", "input_length", "output_length"})
_MILLISECONDS = 1e-3
MOST_SECONDS = 1e9
"""From first to last arrival: 30 years. Beyond it doubles no longer hold the microseconds of a latency."""


class BadTrace(BadInput):
    """A file that is not a trace; `where` is the file, and the line where one is at fault."""


@dataclass(frozen=True, slots=True)
class _Row:
    """`where` is the line for messages; `fields` in lower case, as read."""

    where: str
    fields: Mapping[str, Any]


def read_trace(path: Path) -> Trace:
    """The requests in order of arrival. Raises BadTrace."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadTrace.whole(str(path), f"cannot be read ({error.strerror}); give the path of a trace") from None
    except UnicodeDecodeError as error:
        way_out = f"is not text in UTF-8 ({error.reason}); give a CSV, JSON or JSON lines file"
        raise BadTrace.whole(str(path), way_out) from None
    start = text.lstrip()[:1]
    if not start:
        way_out = "is empty; give one request a line: arrival seconds, prompt, generation tokens"
        raise BadTrace.whole(str(path), way_out)
    rows = list(_json_rows(path, text) if start in "{[" else _csv_rows(path, text))
    if not rows:
        raise BadTrace.whole(str(path), "has no request below its header; give at least one")
    return _trace(path, rows)


def _trace(path: Path, rows: Sequence[_Row]) -> Trace:
    known = rows[0].fields
    names = {
        what: _name(path, rows[0], what, names)
        for what, names in (("arrival", ARRIVAL), ("prompt", PROMPT), ("generation", GENERATION))
    }
    milliseconds = names["arrival"] == "timestamp" and known.keys() >= _MOONCAKE
    scale = _MILLISECONDS if milliseconds else 1.0
    arrivals = [scale * _field(path, row, names["arrival"], _seconds, "seconds or a date and time") for row in rows]
    prompts, generations = (
        [_field(path, row, names[what], _tokens, "a whole number of at least 1") for row in rows]
        for what in ("prompt", "generation")
    )
    first = min(arrivals)
    last = max(range(len(rows)), key=arrivals.__getitem__)
    if not arrivals[last] - first <= MOST_SECONDS:
        way_out = (
            f"it is {arrivals[last] - first:g} s after the first arrival; give arrivals within {MOST_SECONDS:g} s, all "
            "in seconds or all as date and time"
        )
        value = rows[last].fields[names["arrival"]]
        raise BadTrace(f"{path} {rows[last].where}", f"field {names['arrival']}", value, way_out)
    return Trace.of([arrival - first for arrival in arrivals], [int(p) for p in prompts], [int(g) for g in generations])


def _name(path: Path, row: _Row, what: str, names: Sequence[str]) -> str:
    found = next((name for name in names if name in row.fields), None)
    if found is None:
        present = ", ".join(map(str, row.fields)) or "none"
        way_out = (
            f"no field for the {what} of a request (fields: {present}); name one of them {names[0]}; also known: "
            f"{', '.join(names[1:])}"
        )
        raise BadTrace.whole(f"{path} {row.where}", way_out)
    return found


def _field(path: Path, row: _Row, name: str, parse: Callable[[Any], float], wanted: str) -> float:
    value = row.fields.get(name)
    try:
        return parse(value)
    except (TypeError, ValueError, OverflowError):
        found = MISSING if value is None else value
        raise BadTrace(f"{path} {row.where}", f"field {name}", found, f"give {wanted}") from None


def _seconds(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            # Python keeps six digits of a second, Azure writes seven.
            head, _, fraction = value.strip().partition(".")
            moment = datetime.fromisoformat(f"{head}.{fraction[:6]}" if fraction else head)
            value = (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()  # noqa: DTZ001 - a difference
    seconds = float(value)
    if not math.isfinite(seconds):
        raise ValueError(value)
    return seconds


def _tokens(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    number = float(value)
    if not (1 <= number < 2**31 and number == int(number)):
        raise ValueError(value)
    return number


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    try:
        reader = csv.reader(text.splitlines(), strict=True)
        header: list[str] | None = None
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                bare = len(cells) == 3 and all(_is_number(cell) for cell in cells)
                header = [ARRIVAL[0], PROMPT[0], GENERATION[0]] if bare else [cell.strip().lower() for cell in cells]
                twice = next((name for name in header if name and header.count(name) > 1), None)
                if twice is not None:
                    way_out = f"has the field {twice} twice; keep one of them"
                    raise BadTrace.whole(f"{path} line {reader.line_num}", way_out)
                if not bare:
                    continue
            yield _Row(f"line {reader.line_num}", dict(zip(header, (cell.strip() for cell in cells), strict=False)))
    except csv.Error as error:
        way_out = f"is not CSV ({error}); quote fields that hold commas"
        raise BadTrace.whole(f"{path} line {reader.line_num}", way_out) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _json_rows(path: Path, text: str) -> Iterator[_Row]:
    try:
        document = json_value(text)
    except RepeatedField as error:
        raise BadTrace.whole(str(path), str(error)) from None
    except BadText:
        yield from _json_lines(path, text)
        return
    if isinstance(document, dict) and "input_lens" in document:
        yield from _vllm_rows(path, document)
        return
    for number, entry in enumerate(document if isinstance(document, list) else [document]):
        yield _row(path, f"request {number}", entry)


def _json_lines(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json_value(line)
        except BadText as error:
            raise BadTrace.whole(f"{path} line {number}", error.or_else("write one request a line")) from None
        yield _row(path, f"line {number}", entry)


def _row(path: Path, where: str, entry: object) -> _Row:
    if not isinstance(entry, dict):
        raise BadTrace(f"{path} {where}", "it", entry, "give an object with the fields of a request")
    return _Row(where, {str(name).lower(): value for name, value in entry.items()})


def _vllm_rows(path: Path, document: Mapping[str, Any]) -> Iterator[_Row]:
    """Requests that failed have generated nothing and are left out."""
    columns = {name: document.get(name) for name in ("start_times", "input_lens", "output_lens")}
    for name, column in columns.items():
        if not isinstance(column, list):
            way_out = (
                "give a list; run `vllm bench serve` with --save-detailed (of a version that writes "
                "start_times), or give a CSV"
            )
            raise BadTrace(str(path), f"field {name}", MISSING if column is None else column, way_out)
    lengths = {name: len(column or ()) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        way_out = f"its lists differ in length ({lengths}); they must be of the same requests"
        raise BadTrace.whole(str(path), way_out)
    starts, inputs, outputs = (columns[name] or () for name in ("start_times", "input_lens", "output_lens"))
    for number, (start, prompt, generation) in enumerate(zip(starts, inputs, outputs, strict=True)):
        if generation != 0:
            yield _Row(f"request {number}", {"start_time": start, "prompt_len": prompt, "output_len": generation})
