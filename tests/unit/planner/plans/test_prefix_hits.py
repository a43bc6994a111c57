"""Prefix hits spare prefill and nothing else: the rate rises, and the simulated engine bears it only with the hits."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.capacity import StepTime, Table, max_rate_rps, memory_fit
from medley_planner.capacity.batch import max_rates_rps
from medley_planner.catalog import gpu
from medley_planner.engine import (
    Balance,
    EngineSpec,
    ReplicaGroup,
    Routing,
    SimulatedFleet,
    Trace,
    poisson_arrivals,
    simulate,
)
from medley_planner.layout import Layout
from medley_planner.model import Bucket
from medley_planner.shapes import bundled_shape

SHAPE, CARD = bundled_shape("meta-llama/Llama-3.1-8B-Instruct"), gpu("H100")
FIT = memory_fit(SHAPE, Layout(CARD), max_model_len=16_384)
STEP = StepTime(SHAPE, Layout(CARD))
TTFT, TPOT, PERCENTILE = 2.0, 0.05, 95.0


def rate(prompt: float, generation: float, share: float) -> float:
    return max_rate_rps(
        STEP, FIT, prompt_tokens=prompt, generation_tokens=generation, ttft_seconds=TTFT, tpot_seconds=TPOT,
        percentile=PERCENTILE, token_budget=2048, max_sequences=256, prefill_share=share,
    )  # fmt: skip


@pytest.mark.parametrize(("prompt", "generation"), [(200.0, 600.0), (4000.0, 50.0), (12000.0, 300.0)])
def test_the_rate_never_falls_with_more_hits(prompt: float, generation: float) -> None:
    rates = [rate(prompt, generation, share) for share in (1.0, 0.8, 0.6, 0.4, 0.2)]
    assert rates == sorted(rates)


def test_prompts_that_are_most_of_the_work_gain_most() -> None:
    assert rate(4000.0, 20.0, 0.5) > 1.6 * rate(4000.0, 20.0, 1.0)
    assert rate(50.0, 800.0, 0.5) < 1.1 * rate(50.0, 800.0, 1.0)


def test_what_is_held_is_held_all_the_same() -> None:
    """A cache that holds two sequences lets in no more of them for being computed before."""
    small = memory_fit(SHAPE, Layout(CARD), max_model_len=16_384, engine_kv_tokens=20_000)

    def at(share: float) -> float:
        return max_rate_rps(
            STEP, small, prompt_tokens=8000, generation_tokens=1000, ttft_seconds=60.0, tpot_seconds=1.0,
            percentile=50.0, token_budget=8192, max_sequences=256, prefill_share=share,
        )  # fmt: skip

    assert at(0.2) < 1.5 * at(1.0)


def test_many_at_once_are_each_alone() -> None:
    buckets = [Bucket(200.0, 600.0), Bucket(4000.0, 50.0), Bucket(12000.0, 300.0)]
    tables = [Table(STEP, FIT, 2048, 256, prefill_share=share) for share in (1.0, 0.6, 0.2)]
    found = max_rates_rps(tables, buckets, ttft_seconds=TTFT, tpot_seconds=TPOT, percentile=PERCENTILE)
    for row, table in zip(found, tables, strict=True):
        alone = [rate(bucket.prompt_tokens, bucket.generation_tokens, table.prefill_share) for bucket in buckets]
        assert row == pytest.approx(alone, rel=1e-9)


def attainment(rate_rps: float, hits: float) -> float:
    spec = EngineSpec(STEP, 2048, 256, FIT.kv_tokens, 16_384, prefix_hit_rate=hits)
    count = 3000
    trace = Trace.of(poisson_arrivals(rate_rps, count=count, seed=3), np.full(count, 4000), np.full(count, 100))
    outcome = simulate(trace, SimulatedFleet((ReplicaGroup("h", spec, 1),)), Routing(Balance.ROUND_ROBIN), seed=1)
    return outcome.attainment(ttft_seconds=TTFT, tpot_seconds=TPOT)


def test_the_simulated_engine_bears_the_rate_only_with_the_hits() -> None:
    planned = 0.9 * rate(4000.0, 100.0, 0.6)
    assert attainment(planned, 0.4) >= PERCENTILE / 100
    assert attainment(planned, 0.0) < 0.5
