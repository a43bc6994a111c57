"""Replays a measured vLLM run in the simulator, its arrivals and lengths, for the benchmark and for a test.

The measured times are the engine's own (queued to first token), so no API time is added. Reads the two files of the
run under MEDLEY_SHARED_DATA.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import fmean

from medley_planner.capacity import StepTime, memory_fit
from medley_planner.catalog import gpu
from medley_planner.engine import Balance, EngineSpec, ReplicaGroup, Routing, SimulatedFleet, Trace, simulate
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape
from tests.perf.inputs import SHARED

DATA = SHARED / "llmservingsim_vllm_requests_RTXPRO6000_Llama-3.1-8B.jsonl"
META = SHARED / "llmservingsim_vllm_meta_RTXPRO6000_Llama-3.1-8B.json"


@dataclass(frozen=True, slots=True)
class Compared:
    """Means in seconds; errors relative to what was measured."""

    requests: int
    measured_ttft: float
    simulated_ttft: float
    measured_tpot: float
    simulated_tpot: float

    @property
    def ttft_error(self) -> float:
        return self.simulated_ttft / self.measured_ttft - 1.0

    @property
    def tpot_error(self) -> float:
        return self.simulated_tpot / self.measured_tpot - 1.0


def validate() -> Compared:
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    flags = json.loads(META.read_text(encoding="utf-8"))["engine_kwargs"]
    shape, card = bundled_shape(flags["model"]), gpu("RTX-PRO-6000")
    max_model_len = shape.max_position
    assert max_model_len is not None
    parallel = flags["tensor_parallel_size"]
    fit = memory_fit(shape, Layout(card, tensor_parallel=parallel), max_model_len=max_model_len)
    assert fit.fits, fit.reason
    spec = EngineSpec(
        step=StepTime(shape, Layout(card, tensor_parallel=parallel)),
        token_budget=flags["max_num_batched_tokens"],
        max_sequences=flags["max_num_seqs"],
        kv_tokens=fit.kv_tokens,
        max_model_len=max_model_len,
        api_seconds=0.0,
        prompt_token_seconds=0.0,
    )
    start = rows[0]["queued_ts"]
    trace = Trace.of(
        [row["queued_ts"] - start for row in rows],
        [row["input_toks"] for row in rows],
        [row["output_toks"] for row in rows],
    )
    outcome = simulate(trace, SimulatedFleet((ReplicaGroup(card.name, spec, 1),)), Routing(Balance.ROUND_ROBIN), seed=0)
    return Compared(
        requests=len(rows),
        measured_ttft=fmean(row["first_token_ts"] - row["queued_ts"] for row in rows),
        simulated_ttft=outcome.ttft().mean,
        measured_tpot=fmean(
            (row["last_token_ts"] - row["first_token_ts"]) / (row["output_toks"] - 1)
            for row in rows
            if row["output_toks"] > 1
        ),
        simulated_tpot=outcome.tpot().mean,
    )
