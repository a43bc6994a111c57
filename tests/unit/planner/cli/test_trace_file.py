"""Traces in every form that is recognised, and one clear line for each kind of file that is not a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medley_planner.cli.trace_file import BadTrace, read_trace

WANTED = ([0.0, 0.5, 2.0], [374, 396, 879], [44, 109, 55])
MOONCAKE = [
    {"timestamp": 1000, "input_length": 374, "output_length": 44, "hash_ids": [1]},
    {"timestamp": 1500, "input_length": 396, "output_length": 109, "hash_ids": [1]},
    {"timestamp": 3000, "input_length": 879, "output_length": 55, "hash_ids": [1]},
]
BENCH = {
    "request_rate": 2.0,
    "start_times": [71.0, 71.25, 71.5, 73.0],
    "input_lens": [374, 10, 396, 879],
    "output_lens": [44, 0, 109, 55],
}
FORMS = {
    "bare.csv": "10,374,44\n10.5,396,109\n\n12,879,55\n",
    "named.csv": "id,prompt_tokens,Generation_Tokens,arrival_seconds\na,374,44,0\nb,396,109,0.5\nc,879,55,2\n",
    "azure.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"
    "2023-11-16 18:15:47.1805900,396,109\n2023-11-16 18:15:48.6805900,879,55\n",
    "mooncake.jsonl": "\n".join(json.dumps(row) for row in MOONCAKE),
    "array.json": json.dumps(MOONCAKE),
    "requests.jsonl": "\n".join(
        json.dumps({"arrival_time": at, "input_toks": prompt, "output_toks": generation})
        for at, prompt, generation in zip((7.0, 7.5, 9.0), *WANTED[1:], strict=True)
    ),
    "bench.json": json.dumps(BENCH),
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_recognised(name: str, tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, name, FORMS[name]))
    assert trace.arrival_seconds.tolist() == pytest.approx(WANTED[0], abs=1e-6)
    assert (trace.prompt_tokens.tolist(), trace.generation_tokens.tolist()) == WANTED[1:]


def test_requests_are_put_in_order_of_arrival(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, "t.csv", "5,1,2\n3,3,4\n"))
    assert trace.arrival_seconds.tolist() == [0.0, 2.0]
    assert trace.prompt_tokens.tolist() == [3, 1]


BAD = {
    "": "is empty",
    "arrival_seconds,prompt_tokens,generation_tokens\n": "no request below its header",
    "when,prompt_tokens,generation_tokens\n1,2,3\n": "line 2: no field for the arrival of a request (fields: when",
    "arrival_seconds,prompt_tokens,generation_tokens\n1,2,3\n2,x,3\n": 'line 3: field prompt_tokens is "x"',
    "1,2,3\n2,2,0\n": 'line 2: field generation_tokens is "0": give a whole number of at least 1',
    "1,2,3\n2,2.5,1\n": 'field prompt_tokens is "2.5"',
    "1,2,3\n2,2\n": "line 2: field generation_tokens is missing",
    "1,2,3\nnan,2,1\n": 'line 2: field arrival_seconds is "nan": give seconds or a date and time',
    "1,2,3\nsoon,2,1\n": 'field arrival_seconds is "soon"',
    '{"timestamp": 1, "input_length": 2, "output_length": 3}\n{"timestamp": 1,\n': "line 2: is not JSON",
    '{"timestamp": 1, "input_length": true, "output_length": 3}': "field input_length is true",
    '{"timestamp": 1, "input_length": 1e400, "output_length": 3}': "field input_length is Infinity",
    "1,2,3\n1e300,2,3\n": 'line 2: field arrival_seconds is "1e300": it is 1e+300 s after the first arrival',
    "-1e308,2,3\n1e308,2,3\n": 'line 2: field arrival_seconds is "1e308": it is inf s after the first arrival',
    "time,isl,osl\n5,1,2\n2023-11-16 18:15:46.68,1,2\n": "all in seconds or all as date and time",
    "time,isl,osl,isl\n5,1,2,3\n": "line 1: has the field isl twice; keep one of them",
    "[" * 100_000: "line 1: is not JSON",
    '{"a":' * 100_000: "line 1: is not JSON",
    "\0\0": "no request below its header",
    '{"timestamp": 1, "timestamp": 2, "input_length": 1, "output_length": 3}': 'has the field "timestamp" twice',
    "[1, 2]": "request 0: it is 1: give an object",
    '{"input_lens": [1], "output_lens": [1]}': "field start_times is missing: give a list; run `vllm bench serve` with",
    '{"input_lens": [1], "output_lens": [1, 2], "start_times": [1]}': "lists differ in length",
    '{"input_lens": 3, "output_lens": [1], "start_times": [1]}': "field input_lens is 3: give a list",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_no_trace_is_refused_with_the_place(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, "bad", text)
    with pytest.raises(BadTrace) as refused:
        read_trace(path)
    assert str(path) in str(refused.value)
    assert BAD[text] in str(refused.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadTrace, match="cannot be read"):
        read_trace(tmp_path / "none.csv")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadTrace, match="is not text in UTF-8"):
        read_trace(tmp_path / "binary")
