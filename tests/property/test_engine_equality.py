"""The fast simulator equals the step-by-step reference, request by request, on any load, engine and routing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medley_planner.capacity import StepTime
from medley_planner.catalog import gpu
from medley_planner.engine import (
    Balance,
    EngineSpec,
    PromptRange,
    ReplicaGroup,
    Routing,
    SimulatedFleet,
    Trace,
    simulate,
)
from medley_planner.layout import Layout
from medley_planner.shapes import Precision, bundled_shape
from tests.reference_engine import simulate_stepwise

_LLAMA = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
_STEPS = (
    StepTime(_LLAMA, Layout(gpu("L4"))),
    StepTime(_LLAMA, Layout(gpu("H100"), tensor_parallel=2, precision=Precision.FP8)),
    StepTime(bundled_shape("Qwen/Qwen3-30B-A3B"), Layout(gpu("H100"))),
    # Every other layer attends to 128 tokens: sequences fill their window on the way.
    StepTime(bundled_shape("openai/gpt-oss-20b"), Layout(gpu("H100"), precision=Precision.FP4)),
    StepTime(bundled_shape("ibm-granite/granite-4.0-h-small"), Layout(gpu("H100"))),
)


@st.composite
def _specs(draw: st.DrawFn) -> EngineSpec:
    max_sequences = draw(st.integers(1, 12))
    block = draw(st.sampled_from([1, 4, 16]))
    max_model_len = draw(st.integers(16, 200))
    own_blocks = draw(st.sampled_from([0, 0, 3]))
    least = (-(-max_model_len // block) + own_blocks) * block
    return EngineSpec(
        step=draw(st.sampled_from(_STEPS)),
        token_budget=max_sequences + draw(st.integers(0, 100)),
        max_sequences=max_sequences,
        # Down to a cache that holds one sequence, so that preemption is common.
        kv_tokens=least + draw(st.integers(0, 600)),
        max_model_len=max_model_len,
        prefix_hit_rate=draw(st.sampled_from([0.0, 0.0, 0.3, 1.0])),
        block_tokens=block,
        sequence_blocks=own_blocks,
    )


@st.composite
def _traces(draw: st.DrawFn) -> Trace:
    count = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mean_gap = draw(st.sampled_from([0.0, 0.003, 0.03, 0.3]))
    return Trace.of(
        np.cumsum(rng.exponential(1.0, count) * mean_gap), rng.integers(1, 150, count), rng.integers(1, 90, count)
    )


@st.composite
def _fleets(draw: st.DrawFn) -> tuple[SimulatedFleet, Routing]:
    groups = tuple(
        ReplicaGroup(f"g{index}", draw(_specs()), draw(st.integers(1, 3))) for index in range(draw(st.integers(1, 2)))
    )
    balance = draw(st.sampled_from(list(Balance)))
    if draw(st.booleans()):
        return SimulatedFleet(groups), Routing(balance)
    weights = st.tuples(*(st.floats(0.1, 5.0) for _ in groups))
    ranges = (PromptRange(60.0, draw(weights)), PromptRange(math.inf, draw(weights)))
    return SimulatedFleet(groups), Routing(balance, ranges)


def _compare(trace: Trace, fleet: SimulatedFleet, routing: Routing, seed: int) -> int:
    outcome = simulate(trace, fleet, routing, seed=seed)
    requests, preemptions = simulate_stepwise(trace, fleet, routing, seed=seed)
    assert outcome.replica.tolist() == [request.replica for request in requests]
    assert sum(usage.preemptions for usage in outcome.usage) == preemptions
    first = np.asarray([request.first_token for request in requests])
    last = np.asarray([request.last_token for request in requests])
    generation = np.asarray([request.generation for request in requests])
    arrival = trace.arrival_seconds
    np.testing.assert_allclose(outcome.ttft_seconds, first - arrival, rtol=1e-9)
    np.testing.assert_allclose(outcome.e2e_seconds, last - arrival, rtol=1e-9)
    with np.errstate(invalid="ignore"):
        tpot = (last - first) / np.where(generation > 1, generation - 1, math.nan)
    np.testing.assert_allclose(outcome.tpot_seconds, tpot, rtol=1e-9)
    return preemptions


@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_traces(), _fleets(), st.integers(0, 99))
def test_each_request_gets_the_times_of_the_reference(
    trace: Trace, made: tuple[SimulatedFleet, Routing], seed: int
) -> None:
    _compare(trace, *made, seed)


@pytest.mark.parametrize("block", [1, 16])
def test_long_overload_with_preemption_equals_the_reference(block: int) -> None:
    rng = np.random.default_rng(5)
    spec = EngineSpec(_STEPS[0], 64, 24, 1600, 700, block_tokens=block)
    trace = Trace.of(np.cumsum(rng.exponential(0.4, 200)), rng.integers(1, 200, 200), rng.integers(1, 300, 200))
    assert _compare(trace, SimulatedFleet((ReplicaGroup("l4", spec, 1),)), Routing(Balance.ROUND_ROBIN), 0) > 20
