"""Traces in every form that is recognised, and one clear line for each kind of file that is not a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medley_planner.cli.trace_file import BadTrace, TracePart, read_requests, read_trace
from medley_planner.cli.trace_times import TimeUnit

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
    "1,2,3\n2,2,-1\n": 'line 2: field generation_tokens is "-1": give a whole number of at least 1',
    "1,2,0\n2,2,0\n": "all its 2 requests failed",
    "1,2,3\n2,2.5,1\n": 'field prompt_tokens is "2.5"',
    "1,2,3\n2,2\n": "line 2: field generation_tokens is missing",
    "1,2,3\nnan,2,1\n": 'line 2: field arrival_seconds is "nan": give seconds or a date and time',
    "1,2,3\nsoon,2,1\n": 'field arrival_seconds is "soon"',
    '{"timestamp": 1, "input_length": 2, "output_length": 3}\n{"timestamp": 1,\n': "line 2: is not JSON",
    '{"timestamp": 1, "input_length": true, "output_length": 3}': "field input_length is true",
    '{"timestamp": 1, "input_length": 1e400, "output_length": 3}': "field input_length is Infinity",
    "1,2,3\n1e300,2,3\n": "request 1: field arrival_seconds is 1e+300: it is 1e+300 s after the first arrival",
    "-1e308,2,3\n1e308,2,3\n": "request 1: field arrival_seconds is 1e+308: it is inf s after the first arrival",
    "time,isl,osl\n5,1,2\n2023-11-16 18:15:46.68,1,2\n": "all in seconds or all as date and time",
    "time,isl,osl,isl\n5,1,2,3\n": "line 1: has the field isl twice; keep one of them",
    "[" * 100_000: "request 0: is not JSON",
    "[": "request 0: is not JSON (it ends within the list); write a list of requests",
    '[{"timestamp": 1, "input_length": 2, "output_length": 3}': "request 1: is not JSON (before it comes the end",
    '[{"timestamp": 1, "input_length": 2, "output_length": 3} {}]': "request 1: is not JSON (before it comes { and no",
    '[{"timestamp": 1, "input_length": 2, "output_length": 3}, {"timestamp"]': "request 1: is not JSON (Expecting ':'",
    '[{"timestamp": 1, "input_length": 2, "output_length": 3}] 5': "request 1: is not JSON (5 follows its list)",
    '[{"timestamp": 1, "timestamp": 2}]': 'request 0: has the field "timestamp" twice',
    "[]": "has no request below its header",
    '{"a":' * 100_000: "line 1: is not JSON",
    "\0\0": "no request below its header",
    '{"timestamp": 1, "timestamp": 2, "input_length": 1, "output_length": 3}': 'has the field "timestamp" twice',
    "[1, 2]": "request 0: it is 1: give an object",
    '{"input_lens": [1], "output_lens": [1]}': "field start_times is missing: give a list; run `vllm bench serve` with",
    '{"input_lens": [1], "output_lens": [1, 2], "start_times": [1]}': "lists differ in length",
    '{"input_lens": 3, "output_lens": [1], "start_times": [1]}': "field input_lens is 3: give a list",
}


@pytest.mark.parametrize("spaces", ["", "\n  " * 700_000], ids=["dense", "loose"])
def test_a_list_is_read_across_blocks_of_the_file(spaces: str, tmp_path: Path) -> None:
    entry = '{"arrival_seconds": %d, "prompt_tokens": 2, "generation_tokens": 3, "hash_ids": [1, 2, 3, 4, 5, 6, 7, 8]}'
    rows = [entry % number for number in range(30_000)]
    text = f"\n[{spaces}{','.join(rows[:2])},{spaces}{','.join(rows[2:])}{spaces}]{spaces}"
    trace = read_trace(write(tmp_path, "list.json", text))
    assert len(text) > 2**21
    assert trace.arrival_seconds.tolist() == [float(number) for number in range(30_000)]


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


ROW = {"timestamp": 61.114, "input_length": 5, "output_length": 7}
UNITS: dict[str, list[dict[str, Any]]] = {
    "Bailian's seconds": [{"chat_id": 1, **ROW, "timestamp": 61}, {"chat_id": 2, **ROW, "timestamp": 63}],
    "fractions of the same names": [ROW, {**ROW, "timestamp": 63.114}],
    "Mooncake's milliseconds": [{**ROW, "timestamp": 0}, {**ROW, "timestamp": 2000}],
    "epoch seconds": [{"timestamp": 1700000000.5, "isl": 5, "osl": 7}, {"timestamp": 1700000002.5, "isl": 5, "osl": 7}],
    "epoch milliseconds": [{"time": 1700000000500, "isl": 5, "osl": 7}, {"time": 1700000002500, "isl": 5, "osl": 7}],
    "epoch microseconds": [{"time": 17e14, "isl": 5, "osl": 7}, {"time": 17e14 + 2e6, "isl": 5, "osl": 7}],
    "a unit in the name": [{"timestamp_ms": 5, "isl": 5, "osl": 7}, {"timestamp_ms": 2005, "isl": 5, "osl": 7}],
    "offsets over the end of summer time": [
        {"time": "2025-10-26T02:59:59.9+02:00", "isl": 5, "osl": 7},
        {"time": "2025-10-26T02:00:01.9+01:00", "isl": 5, "osl": 7},
    ],
    "nine digits and a Z": [
        {"time": "2025-10-26T02:00:00.123456789Z", "isl": 5, "osl": 7},
        {"time": "2025-10-26 02:00:02.1234Z", "isl": 5, "osl": 7},
    ],
    "AIBrix": [
        {"timestamp": 1000, "requests": [{"Prompt Length": 5, "Output Length": 7}]},
        {"timestamp": 3000, "requests": [{"prompt_length": 5, "output_length": 7}]},
    ],
    "aiperf's records": [
        {
            "metadata": {"request_start_ns": 1700000000000000000 + start},
            "metrics": {
                "input_sequence_length": {"value": 5, "unit": "tokens"},
                "output_sequence_length": {"value": 7, "unit": "tokens"},
            },
            "error": None,
        }
        for start in (0, 2_000_000_000)
    ],
}


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_of_times_is_read(name: str, tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, "t.jsonl", "".join(f"{json.dumps(row)}\n" for row in UNITS[name])))
    assert trace.arrival_seconds.tolist() == pytest.approx([0.0, 2.0], abs=1e-3)
    assert (trace.prompt_tokens.tolist(), trace.generation_tokens.tolist()) == ([5, 5], [7, 7])


CSV_FORMS = {
    "BurstGPT": "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,1,3.2,ChatGPT,472,18,490,Conversation log\n6,1,3.2,ChatGPT,472,0,472,API log\n7,,1,GPT-4,5,9,14,API log\n",
    "Vidur": "arrived_at,num_prefill_tokens,num_decode_tokens\n0.5,472,18\n1,3,0\n2.5,5,9\n",
    "splitwise-sim": "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n"
    "0,2,0,1.5,1,472,18\n0,2,0,1.5,1,472,0\n1,2,0,3.5,1,5,9\n",
    "a field that says so": "time,isl,osl,success\n1,472,18,True\n2,3,4,False\n3,5,9,True\n",
}


@pytest.mark.parametrize("name", CSV_FORMS)
def test_requests_that_failed_are_counted_and_left_out(name: str, tmp_path: Path) -> None:
    found = read_requests(write(tmp_path, "t.csv", CSV_FORMS[name]))
    assert found.failed == 1
    assert found.trace.arrival_seconds.tolist() == pytest.approx([0.0, 2.0])
    assert (found.trace.prompt_tokens.tolist(), found.trace.generation_tokens.tolist()) == ([472, 5], [18, 9])


def test_a_part_is_cut_by_time_and_drawn_by_seed(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "".join(f"{100 + second},10,{1 + second % 7}\n" for second in range(1000)))
    window = read_requests(path, TracePart(from_seconds=200, to_seconds=300)).trace
    assert (len(window), window.arrival_seconds[0], window.arrival_seconds[-1]) == (100, 0.0, 99.0)
    half, again = (read_requests(path, TracePart(share=0.5, seed=7)).trace for _ in range(2))
    assert 400 < len(half) < 600
    assert half.arrival_seconds.tolist() == again.arrival_seconds.tolist()
    assert len(read_requests(path, TracePart(unit=TimeUnit.MILLISECONDS)).trace) == 1000
    with pytest.raises(BadTrace, match="widen --from"):
        read_requests(path, TracePart(from_seconds=5000))
