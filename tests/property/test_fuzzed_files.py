"""Whatever a file says, a command reads it or refuses it by name: no exception but BadInput, no other exit status.

Files of every kind that commands read are changed at random, a text here, a value there, by a fixed seed.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from medley_operator.cli.main import main
from medley_planner.bad_input import BadInput
from medley_planner.capacity import StepTime, memory_fit
from medley_planner.catalog import gpu
from medley_planner.cli.trace_file import read_requests
from medley_planner.layout import Layout
from medley_planner.shapes import shape_from_config

CONFIGS: list[dict[str, Any]] = [
    entry["config"] for entry in json.loads(files("medley_planner.shapes").joinpath("models.json").read_text())
]
TRACES = {
    "azure.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n"
    "2024-05-10 00:00:01,2399,6\n",
    "burstgpt.csv": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,x\n"
    "45,GPT-4,1087,230,1317,x\n",
    "bare.csv": "0,100,20\n1.5,200,30\n",
    "mooncake.jsonl": '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}\n'
    '{"timestamp": 3000, "input_length": 7322, "output_length": 490, "hash_ids": [0]}\n',
    "aibrix.jsonl": '{"timestamp": 7, "requests": [{"prompt_length": 9, "output_length": 5}]}\n',
    "aiperf.jsonl": '{"metadata": {"request_start_ns": 1700000000000000000}, "metrics": {"input_sequence_length": '
    '{"value": 5}, "output_sequence_length": {"value": 5}}, "error": null}\n',
    "vllm.json": '{"start_times": [1.0, 2.0], "input_lens": [3, 4], "output_lens": [5, 6]}',
}
VLLM_REPORT: dict[str, Any] = {
    "date": "20261127-130000", "backend": "openai", "num_prompts": 320, "request_rate": "inf", "burstiness": 1.0,
    "max_concurrency": 32, "duration": 26.0, "completed": 320, "failed": 0, "total_input_tokens": 320000,
    "total_output_tokens": 64000, "request_throughput": 12.3, "mean_ttft_ms": 150.0, "mean_tpot_ms": 12.0,
    "mean_itl_ms": 12.0,
}  # fmt: skip
TABLE = (
    "model_path,system,precision,isl,osl,batch_size,tp_size,attention_dp_size,moe_tp_size,moe_ep_size\n"
    "openai/gpt-oss-120b,h200_sxm,,1024,1024,32,1,1,1,1\nQwen/Qwen3-235B-A22B-FP8,h200_sxm,fp8,2000,100,5,1,,4,1\n"
)
TEXTS = (
    *("", "nan", "inf", "-1", "0", "1e999", '"', "\0", "é", "9" * 400, "{", "}", "[", "]", ",", "null", "\ufeff"),
    "\uff11",
)
VALUES: tuple[Any, ...] = (
    *(None, "", 0, -1, 1, 1e308, float("nan"), float("inf"), 10**30, True, False, "x", "128", 1.5),
    *([], {}, [1], ["a"], [None], [[1]], {"a": 1}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


def with_other_values(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 2, 3))):
        path = chance.choice(list(places(changed)) or [()])
        if not path:
            break
        holder: Any = changed
        for key in path[:-1]:
            holder = holder[key]
        if chance.random() < 0.3:
            del holder[path[-1]]
        else:
            holder[path[-1]] = chance.choice(VALUES)
    return changed


def with_other_text(text: str, chance: random.Random) -> str:
    for _ in range(chance.choice((1, 1, 2, 4))):
        lines = text.split("\n")
        line = chance.randrange(len(lines))
        cells = lines[line].split(",")
        way = chance.randrange(4)
        if way == 0:
            cells[chance.randrange(len(cells))] = chance.choice(TEXTS)
            lines[line] = ",".join(cells)
        elif way == 1:
            lines.insert(line, chance.choice(lines))
        elif way == 2:
            del lines[line]
        else:
            cut = chance.randrange(len(text) + 1)
            lines = [text[:cut] + chance.choice(TEXTS) + text[cut + chance.choice((0, 1, 9)) :]]
        text = "\n".join(lines)
    return text


def command(*words: str, allowed: tuple[int, ...] = (0, 2)) -> None:
    try:
        status = main(list(words))
    except SystemExit as left:
        status = int(left.code or 0)
    assert status in allowed, words


def read_config(chance: random.Random, folder: Path) -> None:
    try:
        shape = shape_from_config(with_other_values(chance.choice(CONFIGS), chance), name="model")
    except BadInput:
        return
    for layout in (Layout(gpu("H100")), Layout(gpu("H200"), tensor_parallel=8, precision=shape.precision)):
        assert memory_fit(shape, layout, max_model_len=4096).weights_gb >= 0.0
        step = StepTime(shape, layout)
        assert step.seconds(prefill_tokens=9, prefill_attended=9, decode_sequences=9, kv_tokens=9) > 0.0


def read_trace(chance: random.Random, folder: Path) -> None:
    name = chance.choice(sorted(TRACES))
    path = folder / name
    path.write_text(with_other_text(TRACES[name], chance), encoding="utf-8")
    try:
        assert len(read_requests(path).trace)
    except BadInput:
        return


def import_report(chance: random.Random, folder: Path) -> None:
    path, given = folder / "report.json", json.dumps(with_other_values(VLLM_REPORT, chance))
    path.write_text(given if chance.random() < 0.8 else with_other_text(given, chance), encoding="utf-8")
    tool = chance.choice(("vllm-bench", "vllm-bench", "guidellm"))
    engine = ("--model", "meta-llama/Llama-3.1-8B-Instruct", "--gpu", "H100", "--engine-version", "0.8.0")
    command("profile", "import", str(path), "--from", tool, *engine)


def show_model(chance: random.Random, folder: Path) -> None:
    path, given = folder / "config.json", json.dumps(with_other_values(chance.choice(CONFIGS), chance))
    path.write_text(given if chance.random() < 0.7 else with_other_text(given, chance), encoding="utf-8")
    command("model", chance.choice(("show", "import")), str(path), allowed=(0, 2, 3))


def predict_table(chance: random.Random, folder: Path) -> None:
    path = folder / "rows.csv"
    path.write_text(with_other_text(TABLE, chance), encoding="utf-8")
    command("estimate", "--csv", str(path))


@pytest.mark.parametrize(
    ("read", "times"),
    [(read_config, 1500), (read_trace, 1500), (import_report, 200), (show_model, 150), (predict_table, 200)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_changed_file_is_read_or_refused(
    read: Callable[[random.Random, Path], None], times: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(17)  # noqa: S311 - files, not secrets
    for _ in range(times):
        read(chance, tmp_path)
    assert "Traceback" not in capsys.readouterr().err
