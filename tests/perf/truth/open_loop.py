"""Measured open-loop runs of vLLM and runs whose requests all come at once, replayed in the simulator.

Reads truth/open_loop_vllm_0.15.csv and truth/saturation_vllm_0.11.csv under MEDLEY_SHARED_DATA. In the former at most
45 prompts repeat, so that nearly all of a prompt is in the prefix cache; in the latter none does.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medley_planner.capacity import StepTime, memory_fit
from medley_planner.capacity.memory import KV_BLOCK_TOKENS
from medley_planner.catalog import gpu
from medley_planner.engine import Balance, EngineSpec, ReplicaGroup, Routing, SimulatedFleet, SimulationResult, Trace
from medley_planner.engine import simulate as serve
from medley_planner.layout import Layout
from medley_planner.shapes import Precision, bundled_shape
from tests.perf.inputs import SHARED

OPEN_LOOP = SHARED / "truth" / "open_loop_vllm_0.15.csv"
SATURATION = SHARED / "truth" / "saturation_vllm_0.11.csv"
REPEATED = 0.97
"""The share of a prompt that the prefix cache has where few prompts repeat: all but its last block and its own end."""
MOST_REQUESTS = 6000
LEAST_PROMPT = 200
"""Runs with shorter prompts measure how fast a client sends 1000 requests, so they are not compared."""
_GPUS = {"h100_sxm": "H100", "h200_sxm": "H200", "a100_sxm": "A100-80", "l40s": "L40S", "b200_sxm": "B200"}


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """A run with measured and simulated seconds. `first_stage`: the engine had not served before."""

    model: str
    gpu: str
    mixture: bool
    first_stage: bool
    rate_rps: float
    measured: Mapping[str, float]
    simulated: Mapping[str, float]

    def error(self, figure: str) -> float:
        """Of `itl`, `ttft`, `ttft_p99`, `e2e`."""
        return self.simulated[figure] / self.measured[figure] - 1.0


@dataclass(frozen=True, slots=True)
class Saturation:
    """A run of requests that all come at once: its duration in seconds."""

    model: str
    gpu: str
    prompt_tokens: float
    measured: float
    simulated: float

    @property
    def ratio(self) -> float:
        return self.simulated / self.measured


def open_loops() -> list[OpenLoop]:
    with OPEN_LOOP.open(encoding="utf-8", newline="") as file:
        return [_open_loop(row) for row in csv.DictReader(file)]


def saturations() -> list[Saturation]:
    with SATURATION.open(encoding="utf-8", newline="") as file:
        return [_saturation(row) for row in csv.DictReader(file)]


def _open_loop(row: Mapping[str, str]) -> OpenLoop:
    rate, shape = float(row["rate_rps"]), bundled_shape(row["model_path"])
    layout = Layout(gpu(_GPUS[row["system"]]), int(row["tp_size"]), Precision(row["precision"].upper()))
    count = min(int(rate * float(row["duration_s"])), MOST_REQUESTS)
    prompt, generation = round(float(row["prompt_tokens"])), round(float(row["generation_tokens"]))
    outcome = served(
        Trace.of(np.arange(count) / rate, np.full(count, prompt), np.full(count, generation)),
        layout,
        row["model_path"],
        max_model_len=int(row["max_model_len"]),
        token_budget=int(row["max_num_batched_tokens"]),
        max_sequences=int(row["max_num_seqs"]),
        utilisation=float(row["gpu_memory_utilization"]),
        prefix_hit_rate=REPEATED,
    )
    return OpenLoop(
        model=row["model_path"].split("/")[-1],
        gpu=layout.gpu.name,
        mixture=bool(shape.experts),
        first_stage=row["id"].endswith("-s0"),
        rate_rps=rate,
        measured={
            "itl": float(row["itl_mean_ms"]) / 1e3,
            "ttft": float(row["ttft_mean_ms"]) / 1e3,
            "ttft_p99": float(row["ttft_p99_ms"]) / 1e3,
            "e2e": float(row["e2e_mean_ms"]) / 1e3,
        },
        simulated={
            "itl": outcome.tpot().mean,
            "ttft": outcome.ttft().mean,
            "ttft_p99": outcome.ttft().p99,
            "e2e": outcome.e2e().mean,
        },
    )


def _saturation(row: Mapping[str, str]) -> Saturation:
    layout = Layout(gpu(row["gpu"]), int(row["tp"]), Precision(row["precision"]))
    count = int(row["requests"])
    prompt, generation = round(float(row["inp"]) / count), round(float(row["out"]) / count)
    outcome = served(
        Trace.of(np.zeros(count), np.full(count, prompt), np.full(count, generation)),
        layout,
        row["model_path"],
        max_model_len=prompt + generation,
        token_budget=8192 if layout.gpu.memory_gb >= 70 else 2048,
        max_sequences=1024 if layout.gpu.memory_gb >= 70 else 256,
        utilisation=0.9,
    )
    return Saturation(
        row["model_path"].split("/")[-1], layout.gpu.name, prompt, float(row["duration"]), outcome.span_seconds
    )


def served(
    trace: Trace,
    layout: Layout,
    model: str,
    *,
    max_model_len: int,
    token_budget: int,
    max_sequences: int,
    utilisation: float,
    prefix_hit_rate: float = 0.0,
    kv_tokens: int | None = None,
) -> SimulationResult:
    """`kv_tokens`: of the engine's cache, where its source says them."""
    shape = bundled_shape(model)
    fit = memory_fit(
        shape,
        layout,
        max_model_len=max_model_len,
        utilisation=utilisation,
        token_budget=token_budget,
        engine_kv_tokens=kv_tokens,
    )
    # What was measured has run: it held at least its own longest request.
    tokens, own = fit.cost.engine_cache(max(fit.kv_tokens, max_model_len + KV_BLOCK_TOKENS))
    spec = EngineSpec(
        StepTime(shape, layout),
        token_budget,
        max_sequences,
        tokens,
        max_model_len,
        prefix_hit_rate=prefix_hit_rate,
        sequence_blocks=own,
    )
    fleet = SimulatedFleet((ReplicaGroup(layout.gpu.name, spec, 1),))
    return serve(trace, fleet, Routing(Balance.ROUND_ROBIN), seed=0)
