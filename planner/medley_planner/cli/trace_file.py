"""Reads a trace of requests from a file: when each arrives, its prompt and its generation. `trace_forms` has the forms.

CSV with a header or with three bare columns, JSON lines and JSON, also what `vllm bench serve --save-detailed` writes.
CSV, JSON lines and a list in JSON are read row by row, so that memory does not grow with what a row holds beside its
request. Requests that failed are left out and counted. Arrivals are given from 0 on. Every refusal names file, line or
request, field and value.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from medley_planner.bad_input import MISSING
from medley_planner.cli.trace_columns import MOST_SECONDS, BadTrace, ReadTrace, TraceColumns, TracePart
from medley_planner.cli.trace_forms import ARRIVAL, GENERATION, PROMPT, has_failed, plain_name, requests_in
from medley_planner.documents import BadText, RepeatedField, json_value, json_value_at
from medley_planner.engine import Trace

__all__ = ["MOST_SECONDS", "BadTrace", "ReadTrace", "TracePart", "read_requests", "read_trace"]

WHOLE = TracePart()
_BLOCK = 1 << 20
_LONGEST = 1 << 24
"""Characters that are read at once, and that one request of a list has at most."""
_NO_SPACE = re.compile(r"\S")


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
    # Not by line: a list may be one line of gigabytes.
    first = next((block.lstrip() for block in iter(lambda: file.read(_BLOCK), "") if block.strip()), "")
    if not first:
        way_out = "is empty; give one request a line: arrival seconds, prompt, generation tokens"
        raise BadTrace.whole(str(path), way_out)
    file.seek(0)
    if first[0] == "[":
        _add_list(columns, file)
        return columns
    first = next(line for line in file if line.strip())
    file.seek(0)
    if first.lstrip()[0] != "{":
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
    _add_object(columns, "request 0", document)


def _add_list(columns: TraceColumns, file: TextIO) -> None:
    """The entries of one list, each forgotten before the next is read."""
    values, number = _Values(file), 0
    values.take("[")
    try:
        while values.next != "]":
            if number and not values.take(","):
                raise BadText.whole("", f"is not JSON (before it comes {values.next or 'the end'} and no comma)")
            _add_object(columns, f"request {number}", values.value())
            number += 1
        values.take("]")
        if values.next:
            raise BadText.whole("", f"is not JSON ({values.next} follows its list)")
    except BadText as error:
        place = f"{columns.path} request {number}"
        raise BadTrace.whole(place, error.or_else("write a list of requests, with commas between them")) from None


class _Values:
    """The values of a text, one after the other, of which no more is held than a block and the value under way."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0

    @property
    def next(self) -> str:
        """The next character after all spaces; "" at the end."""
        while True:
            found = _NO_SPACE.search(self._text, self._at)
            if found:
                self._at = found.start()
                return found[0]
            self._text, self._at = self._file.read(_BLOCK), 0
            if not self._text:
                return ""

    def take(self, character: str) -> bool:
        """Goes past the next character if it is this one."""
        taken = self.next == character
        self._at += taken
        return taken

    def value(self) -> object:
        """The next value. Raises `BadText`."""
        while self.next:
            try:
                value, end = json_value_at(self._text, self._at)
            except RepeatedField:
                raise
            except BadText:
                # Cut off, or broken: that shows with more of it.
                end = len(self._text)
                if end - self._at > _LONGEST or not self._more():
                    raise
                continue
            if end < len(self._text) or not self._more():
                self._at = end
                return value
        raise BadText.whole("", "is not JSON (it ends within the list)")

    def _more(self) -> bool:
        block = self._file.read(max(_BLOCK, len(self._text) - self._at))
        if block:
            self._text, self._at = self._text[self._at :] + block, 0
        return bool(block)


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
