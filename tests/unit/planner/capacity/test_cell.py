"""A cell is the largest rate that keeps the targets: seen by simulating it anew, below and above."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medley_planner.capacity import LatencyTargets
from medley_planner.capacity.cell import SimulatedEngine, simulated_rate_rps
from medley_planner.capacity.simulated import closed_form_of, engine_of_key
from medley_planner.engine import Balance, Routing, Trace, poisson_arrivals, simulate
from medley_planner.workload import standard_buckets
from tests.unit.planner.capacity.tables import TARGETS, key

REQUESTS = 30_000


def rate(
    engine: SimulatedEngine, prompt: int, generation: int, *, targets: LatencyTargets = TARGETS, guess_rps: float = 10.0
) -> float:
    return simulated_rate_rps(
        engine, prompt_tokens=prompt, generation_tokens=generation, targets=targets, guess_rps=guess_rps
    )


def attained(engine: SimulatedEngine, prompt: int, generation: int, rate_rps: float) -> float:
    """With many more requests and other gaps than the search had."""
    sizes = [np.full(REQUESTS, size) for size in (prompt, generation)]
    trace = Trace.of(poisson_arrivals(rate_rps, count=REQUESTS, seed=991), *sizes)
    outcome = simulate(trace, engine.fleet, Routing(Balance.ROUND_ROBIN), seed=1, tables=[engine.table])
    middle = np.zeros(REQUESTS, dtype=bool)
    middle[REQUESTS // 10 : -REQUESTS // 10] = True
    return outcome.only(middle).attainment(ttft_seconds=TARGETS.ttft_seconds, tpot_seconds=TARGETS.tpot_seconds)


@pytest.mark.parametrize(("prompt", "generation"), [(100, 250), (2000, 100), (4000, 500), (12000, 100)])
def test_the_percentile_holds_below_and_breaks_above(prompt: int, generation: int) -> None:
    engine = engine_of_key(key())
    found = rate(engine, prompt, generation)
    assert attained(engine, prompt, generation, 0.92 * found) >= TARGETS.percentile / 100.0
    assert attained(engine, prompt, generation, 1.08 * found) < TARGETS.percentile / 100.0


def test_equal_questions_have_equal_answers_wherever_the_search_begins() -> None:
    engine = engine_of_key(key())
    found = rate(engine, 1000, 250, guess_rps=22.0)
    assert rate(engine, 1000, 250, guess_rps=22.0) == found
    # Another guess counts other requests: equal but for what chance does.
    for guess in (2.0, 60.0):
        assert rate(engine, 1000, 250, guess_rps=guess) == pytest.approx(found, rel=0.06)


def test_stricter_targets_never_give_more() -> None:
    engine = engine_of_key(key())
    base = rate(engine, 4000, 100)
    for stricter in (
        replace(TARGETS, ttft_seconds=0.5),
        replace(TARGETS, tpot_seconds=0.03),
        replace(TARGETS, percentile=99.0),
    ):
        assert rate(engine, 4000, 100, targets=stricter) <= base * 1.01


def test_what_cannot_be_served_is_0() -> None:
    engine = engine_of_key(key())
    assert rate(engine, 16000, 1000) == 0.0, "longer than max_model_len"
    assert rate(engine, 100, 100, targets=replace(TARGETS, tpot_seconds=0.001)) == 0.0
    assert rate(engine, 16000, 25, targets=replace(TARGETS, ttft_seconds=0.1)) == 0.0


def test_the_closed_form_calls_impossible_only_what_the_simulator_does() -> None:
    asked = key("L40S")
    engine, refused = engine_of_key(asked), 0
    for bucket, guess in zip(standard_buckets(), closed_form_of(asked), strict=True):
        prompt, generation = round(bucket.prompt_tokens), round(bucket.generation_tokens)
        if guess == 0.0 and prompt + generation <= asked.group.max_model_len:
            refused += 1
            assert rate(engine, prompt, generation, guess_rps=1e-3) < 0.02, "a request a minute"
    assert refused > 3
