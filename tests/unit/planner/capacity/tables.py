"""Replicas to simulate in tests."""

from __future__ import annotations

from collections.abc import Collection

from medley_planner.capacity import ESTIMATE, GridRatios, LatencyTargets, Speed, TableGroup, TableKey, memory_fit
from medley_planner.capacity.cell import simulated_rate_rps
from medley_planner.capacity.simulated import closed_form_of, engine_of_key
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.model import Bucket
from medley_planner.shapes import bundled_shape
from medley_planner.workload import standard_buckets

LLAMA = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
TARGETS = LatencyTargets(ttft_seconds=1.0, tpot_seconds=0.05, percentile=95.0)
MAX_MODEL_LEN = 16384


def group(targets: LatencyTargets = TARGETS, *, max_sequences: int = 256) -> TableGroup:
    return TableGroup(LLAMA, targets, MAX_MODEL_LEN, max_sequences)


def key(
    name: str = "H100", *, targets: LatencyTargets = TARGETS, token_budget: int = 2048, speed: Speed = ESTIMATE
) -> TableKey:
    layout = Layout(gpu(name), engine_version="0.32.0")
    fit = memory_fit(LLAMA, layout, max_model_len=MAX_MODEL_LEN, engine_kv_tokens=speed.kv_tokens)
    return TableKey.of(group(targets), layout, token_budget=token_budget, speed=speed, fit=fit)


def simulated(asked: TableKey, only: Collection[Bucket]) -> GridRatios:
    """As `simulate_table`, but of some standard buckets only; the others are the closed form's."""
    engine, closed = engine_of_key(asked), closed_form_of(asked)
    rates = [
        simulated_rate_rps(
            engine,
            prompt_tokens=round(bucket.prompt_tokens),
            generation_tokens=round(bucket.generation_tokens),
            targets=asked.group.targets,
            guess_rps=guess,
        )
        if bucket in only and guess > 0
        else guess
        for bucket, guess in zip(standard_buckets(), closed, strict=True)
    ]
    return GridRatios(asked, tuple(rates), closed)
