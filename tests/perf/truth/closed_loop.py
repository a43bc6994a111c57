"""Measured load tests at a fixed number of clients, each with its estimate, and why rows are left out.

Reads vllm_measured_ttft_tpot.csv and truth/closed_loop_*.csv under MEDLEY_SHARED_DATA. Predictions are those of
`medley estimate --csv`.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from medley_planner.bad_input import BadInput
from medley_planner.capacity.estimate import UTILISATION, EstimateRequest, estimate
from medley_planner.capacity.plausible import beats_the_limit
from medley_planner.cli.estimate_rows import row_question
from medley_planner.engine import Trace
from tests.perf.inputs import SHARED
from tests.perf.truth.open_loop import served

VLLM = (SHARED / "vllm_measured_ttft_tpot.csv", SHARED / "truth" / "closed_loop_vllm_more.csv")
OTHERS = (SHARED / "truth" / "closed_loop_other_engines.csv",)
RANGE_RATIO = 0.8
"""InferenceMAX, from which most rows come, draws lengths from 80 to 100 % of the nominal ones."""
LEAST_RISE = 0.97
"""A time that falls below this share of one at a lower concurrency, all else equal, is not of one and the same engine:
nothing makes a fuller batch faster, and repeated runs differ by less."""
CACHED_PROMPTS = 0.8
"""The prefix hit rate of rows that the data say may be cached: with it all 21 of them (8B in FP8 on H200) are met
within 9 % on average; with none they would be 91 % too slow, and some would need more than the GPU's peaks."""
SERVED = {"dstackai/benchmarks@06c957a comparison/h100sxm5_vs_mi300x": ("meta-llama/Llama-3.1-405B-FP8", 91_680)}
"""Where a row says less than its source: the checkpoint that was run, whose attention is BF16, and the tokens of the KV
cache, to which the longest sequence was cut so that the engine started."""
_ALL_AT_ONCE = "offline batch"
_CLIENTS = re.compile(r"silicon_concurrency=(\d+)")
_COLUMNS = ("backend", "backend_version", "precision", "tp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size")


@dataclass(frozen=True, slots=True)
class LoadTest:
    """One measured row with its estimate; seconds, None where the figure was not measured. `engine` with version."""

    question: EstimateRequest
    engine: str
    version: str
    ttft: float | None
    tpot: float
    predicted_ttft: float
    predicted_tpot: float

    @property
    def group(self) -> tuple[str, str, str]:
        """Model, GPU and number format."""
        layout = self.question.layout
        return self.question.shape.name.split("/")[-1], layout.gpu.name, layout.precision.value

    @property
    def tpot_error(self) -> float:
        return self.predicted_tpot / self.tpot - 1.0

    @property
    def ttft_error(self) -> float | None:
        return None if self.ttft is None else self.predicted_ttft / self.ttft - 1.0


@dataclass(frozen=True, slots=True)
class LoadTests:
    rows: tuple[LoadTest, ...]
    left_out: Mapping[str, int]
    """Rows by the reason why they are not scored."""


def load_tests(paths: tuple[Path, ...] = VLLM) -> LoadTests:
    left_out: Counter[str] = Counter()
    lines = [line for path in paths for line in _lines(path)]
    broken = _not_monotone(lines)
    layouts: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for line in lines:
        layouts[_measured(line)].add(_gpus(line))
    seen: set[tuple[str, ...]] = set()
    rows = []
    for index, line in enumerate(lines):
        if index in broken:
            left_out["faster with more clients"] += 1
            continue
        figures = _measured(line)
        if len(layouts[figures]) > 1:
            left_out["one measurement that is listed with several layouts"] += 1
            continue
        if figures in seen:
            left_out["the same figures a second time"] += 1
            continue
        seen.add(figures)
        try:
            row = _row(line)
        except BadInput as error:
            left_out[_kind(error)] += 1
            continue
        if isinstance(row, str):
            left_out[row] += 1
        else:
            rows.append(row)
    return LoadTests(tuple(rows), left_out)


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _row(line: Mapping[str, str]) -> LoadTest | str:
    """The row with its estimate, or why it is no measurement of what it says."""
    model, kv_tokens = SERVED.get(line.get("source", ""), (line["model_path"], None))
    line = {**line, "model_path": model}
    asked = row_question(line, range_ratio=float(line.get("range_ratio") or RANGE_RATIO))
    ttft, tpot = _seconds(line["silicon_ttft_ms"]), _seconds(line["silicon_tpot_ms"])
    if tpot is None:
        return "no time per token"
    clients = _CLIENTS.search(line.get("silicon_data_source", ""))
    if clients and line["attention_dp_size"].strip() and float(clients[1]) != asked.concurrency:
        return "other clients than its source has"
    beaten = beats_the_limit(
        asked.shape,
        asked.layout,
        prompt_tokens=asked.prompt_tokens,
        generation_tokens=asked.generation_tokens,
        concurrency=asked.concurrency or 1.0,
        ttft_seconds=float("inf") if ttft is None else ttft,
        tpot_seconds=tpot,
    )
    if beaten:
        return "faster than the GPU's peaks: prompts were cached"
    if "prefix-cached" in line.get("note", ""):
        asked = replace(asked, prefix_hit_rate=CACHED_PROMPTS)
    version = line["backend_version"].split()[0] if line["backend_version"].strip() else "unknown"
    if _ALL_AT_ONCE in line.get("note", ""):
        return LoadTest(asked, line["backend"], version, None, tpot, 0.0, _batch_tpot(asked, kv_tokens))
    latency = estimate(asked).latency
    return LoadTest(asked, line["backend"], version, ttft, tpot, latency.ttft_seconds, latency.tpot_seconds)


def _batch_tpot(asked: EstimateRequest, kv_tokens: int | None) -> float:
    """Requests that all come at once: the time until the last token of all, for each token of one."""
    count = round(asked.concurrency or 1.0)
    prompts, generations = (np.full(count, round(size)) for size in (asked.prompt_tokens, asked.generation_tokens))
    outcome = served(
        Trace.of(np.zeros(count), prompts, generations),
        asked.layout,
        asked.shape.name,
        max_model_len=asked.max_model_len,
        token_budget=asked.token_budget,
        max_sequences=asked.max_sequences,
        utilisation=UTILISATION,
        kv_tokens=kv_tokens,
    )
    return outcome.span_seconds / asked.generation_tokens


def _measured(line: Mapping[str, str]) -> tuple[str, ...]:
    """The figures by which measurements differ. Dumps with the same ones name the model in several ways, and round."""
    times = (line[name] for name in ("silicon_ttft_ms", "silicon_tpot_ms"))
    return (line["isl"], line["osl"], *(f"{float(time):.5g}" if time.strip() else "" for time in times))


def _gpus(line: Mapping[str, str]) -> tuple[str, ...]:
    return (line["tp_size"], line["attention_dp_size"].strip() or "1")


def _seconds(milliseconds: str) -> float | None:
    return float(milliseconds) / 1e3 if milliseconds.strip() else None


def _kind(error: BadInput) -> str:
    text = str(error)
    for part, kind in (
        ("is not known", "model not bundled"),
        ("do not divide", "attention groups that do not divide the GPUs"),
        ("multiple of", "shards that the engine refuses"),
    ):
        if part in text:
            return kind
    return text


def _not_monotone(lines: list[dict[str, str]]) -> set[int]:
    """Rows whose time per token falls where nothing but the number of clients rose."""
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, line in enumerate(lines):
        if line["silicon_tpot_ms"].strip():
            names = ("model_path", "system", "isl", "osl", *_COLUMNS)
            run = line.get("silicon_data_source", "").partition("silicon_concurrency")[0]
            alike[(run, *(line[name] for name in names))].append(index)
    broken = set()
    for indices in alike.values():
        ordered = sorted(indices, key=lambda index: (float(lines[index]["batch_size"]), index))
        for low, high in pairwise(ordered):
            few, many = lines[low], lines[high]
            if float(few["batch_size"]) == float(many["batch_size"]):
                continue
            if float(many["silicon_tpot_ms"]) < LEAST_RISE * float(few["silicon_tpot_ms"]):
                broken |= {low, high}
    return broken
