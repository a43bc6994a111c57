"""Reads a trace of requests from a file: when each arrives, its prompt and its generation. `trace_forms` has the forms.

CSV with a header or with three bare columns, JSON lines and JSON, also what `vllm bench serve --save-detailed` writes.
CSV and JSON lines are read row by row, so that memory does not grow with what a row holds beside its request. Requests
that failed are left out and counted. Arrivals are given from 0 on. Every refusal names file, line, field and value.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from medley_planner.bad_input import MISSING
from medley_planner.cli.trace_columns import MOST_SECONDS, BadTrace, ReadTrace, TraceColumns, TracePart
from medley_planner.cli.trace_forms import ARRIVAL, GENERATION, PROMPT, has_failed, plain_name, requests_in
from medley_planner.documents import BadText, RepeatedField, json_value
from medley_planner.engine import Trace

__all__ = ["MOST_SECONDS", "BadTrace", "ReadTrace", "TracePart", "read_requests", "read_trace"]

WHOLE = TracePart()


def read_trace(path: Path) -> Trace:
    """The requests in order of arrival. Raises BadTrace."""
    return read_requests(path).trace


def read_requests(path: Path, part: TracePart = WHOLE) -> ReadTrace:
    """The requests of a part of the file, in order of arrival. Raises BadTrace."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns = _read(path, file)
    except OSError as error:
        raise BadTrace.whole(str(path), f"cannot be read ({error.strerror}); give the path of a trace") from None
    except UnicodeDecodeError as error:
        way_out = f"is not text in UTF-8 ({error.reason}); give a CSV, JSON or JSON lines file"
        raise BadTrace.whole(str(path), way_out) from None
    return columns.read(part)


def _read(path: Path, file: TextIO) -> TraceColumns:
    columns = TraceColumns(path)
    first = next((line for line in file if line.strip()), "")
    if not first:
        way_out = "is empty; give one request a line: arrival seconds, prompt, generation tokens"
        raise BadTrace.whole(str(path), way_out)
    file.seek(0)
    if first.lstrip()[0] not in "{[":
        _add_csv(columns, file)
    elif _is_json_line(first):
        _add_json_lines(columns, file)
    else:
        _add_json(columns, file.read())
    return columns


def _is_json_line(line: str) -> bool:
    """Whether the first line is a request of its own, rather than the beginning or all of one document."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        # A line that is broken in a file of lines is told of as a line.
        return line.lstrip().startswith("{") and '"' in line and line.rstrip().endswith("}")
    return isinstance(value, dict) and "input_lens" not in value


def _add_csv(columns: TraceColumns, lines: Iterable[str]) -> None:
    path = columns.path
    reader = csv.reader(lines, strict=True)
    try:
        header: list[str] = []
        places: list[int] = []
        tells: list[int] = []
        for cells in reader:
            if not any(cells) or not any(cell.strip() for cell in cells):
                continue
            if not header:
                bare = len(cells) == 3 and all(_is_number(cell) for cell in cells)
                header = [ARRIVAL[0], PROMPT[0], GENERATION[0]] if bare else [plain_name(cell) for cell in cells]
                twice = next((name for name in header if name and header.count(name) > 1), None)
                if twice is not None:
                    way_out = f"has the field {twice} twice; keep one of them"
                    raise BadTrace.whole(f"{path} line {reader.line_num}", way_out)
                if not bare:
                    continue
            if not columns.first:
                columns.begin(f"line {reader.line_num}", header)
                places = [header.index(name) for name in columns.names]
                tells = [place for place, name in enumerate(header) if name in ("error", "errors", "success")]
            told = {header[place]: cells[place] for place in tells if place < len(cells)} if tells else {}
            arrival, prompt, generation = (cells[place].strip() if place < len(cells) else None for place in places)
            columns.add_values(
                f"line {reader.line_num}", arrival, prompt, generation, failed=bool(told) and has_failed(told)
            )
    except csv.Error as error:
        way_out = f"is not CSV ({error}); quote fields that hold commas"
        raise BadTrace.whole(f"{path} line {reader.line_num}", way_out) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _add_json_lines(columns: TraceColumns, lines: Iterable[str]) -> None:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            entry = json_value(line)
        except BadText as error:
            raise BadTrace.whole(f"{columns.path} {where}", error.or_else("write one request a line")) from None
        _add_object(columns, where, entry)


def _add_object(columns: TraceColumns, where: str, entry: object) -> None:
    try:
        requests = list(requests_in(entry)) if isinstance(entry, dict) else None
    except TypeError:
        requests = None
    if requests is None:
        raise BadTrace(f"{columns.path} {where}", "it", entry, "give an object with the fields of a request")
    for request in requests:
        columns.add(where, request)


def _add_json(columns: TraceColumns, text: str) -> None:
    try:
        document = json_value(text)
    except RepeatedField as error:
        raise BadTrace.whole(str(columns.path), str(error)) from None
    except BadText:
        _add_json_lines(columns, text.splitlines())
        return
    if isinstance(document, dict) and "input_lens" in document:
        for where, fields in _vllm_requests(columns.path, document):
            columns.add(where, fields)
        return
    for number, entry in enumerate(document if isinstance(document, list) else [document]):
        _add_object(columns, f"request {number}", entry)


def _vllm_requests(path: Path, document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
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
        yield f"request {number}", {"start_time": start, "prompt_len": prompt, "output_len": generation}
