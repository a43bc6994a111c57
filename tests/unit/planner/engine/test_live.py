"""Replicas that come and go: served piece by piece, they do as a fleet that is known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medley_planner.capacity import StepTime
from medley_planner.catalog import gpu
from medley_planner.engine import (
    Balance,
    EngineSpec,
    LiveFleet,
    ReplicaGroup,
    Routing,
    SimulatedFleet,
    StepTable,
    Trace,
    poisson_arrivals,
    simulate,
)
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape

STEP = StepTime(bundled_shape("meta-llama/Llama-3.1-8B-Instruct"), Layout(gpu("L4")))
SPEC = EngineSpec(STEP, token_budget=2048, max_sequences=64, kv_tokens=40_000, max_model_len=8192)
TABLE = StepTable.of(STEP, token_budget=2048, max_sequences=64)


def trace(count: int = 600, *, rate_rps: float = 4.0, seed: int = 3) -> Trace:
    rng = np.random.default_rng(seed)
    arrivals = poisson_arrivals(rate_rps, count=count, seed=seed)
    return Trace.of(arrivals, rng.integers(50, 1500, count), rng.integers(5, 300, count))


@pytest.mark.parametrize("piece", [1, 7, 250])
def test_least_loaded_replicas_serve_in_pieces_as_at_once(piece: int) -> None:
    load = trace()
    whole = simulate(load, SimulatedFleet((ReplicaGroup("g", SPEC, 3),)), Routing(Balance.LEAST_LOADED), seed=0)
    live = LiveFleet(load)
    numbers = [live.start(SPEC, TABLE) for _ in range(3)]
    chosen: list[int] = []
    for start in range(0, len(load), piece):
        live.advance(float(load.arrival_seconds[start]))
        chosen += live.serve_least_loaded(numbers, range(start, min(start + piece, len(load))))
    live.advance(math.inf)
    assert chosen == whole.replica.tolist()
    ttft = np.asarray(live.first_token) - load.arrival_seconds + SPEC.api_seconds
    np.testing.assert_array_equal(ttft, whole.ttft_seconds)
    np.testing.assert_array_equal(
        np.asarray(live.last_token) - load.arrival_seconds + SPEC.api_seconds, whole.e2e_seconds
    )
    assert [live.unfinished(number) for number in numbers] == [0, 0, 0]


def test_a_replica_that_is_stopped_finishes_nothing_and_one_that_starts_serves() -> None:
    load = trace(200)
    live = LiveFleet(load)
    first = live.start(SPEC, TABLE)
    live.serve(first, range(100))
    live.advance(float(load.arrival_seconds[100]))
    left = live.unfinished(first)
    assert left > 0
    live.stop(first)
    second = live.start(SPEC, TABLE)
    assert live.live == (second,)
    live.serve(second, range(100, 200))
    live.advance(math.inf)
    last = np.asarray(live.last_token)
    assert int(np.isnan(last[:100]).sum()) == left
    assert not np.isnan(last[100:]).any()


def test_slower_engines_take_as_many_times_as_long() -> None:
    load = Trace.of([0.0], [300], [5])
    seconds = []
    for table in (TABLE, TABLE.times(1.25)):
        live = LiveFleet(load)
        live.serve(live.start(SPEC, table), [0])
        live.advance(math.inf)
        seconds.append(live.last_token[0])
    assert seconds[1] == pytest.approx(1.25 * seconds[0], rel=1e-12)


def test_asking_for_the_state_changes_nothing() -> None:
    load = trace()
    ends = []
    for asks in (False, True):
        live = LiveFleet(load)
        number = live.start(SPEC, TABLE)
        for request, arrival in enumerate(load.arrival_seconds.tolist()):
            live.advance(arrival)
            if asks:
                live.state(number, at_seconds=arrival)
            live.serve(number, [request])
        live.advance(math.inf)
        ends.append(live.last_token)
    assert ends[0] == ends[1]


def test_the_state_has_what_runs_and_waits() -> None:
    load = Trace.of([0.0, 0.0, 0.5, 9.0], [300, 200, 40, 10], [500, 500, 500, 1])
    live = LiveFleet(load)
    number = live.start(SPEC, TABLE)
    assert live.state(number, at_seconds=0.0).running == ()
    live.serve(number, range(3))
    live.advance(9.0)
    state = live.state(number, at_seconds=9.0)
    assert [request for request, _ in state.running] == [0, 1, 2]
    assert state.waiting == 0
    assert all(1 < generated < 500 for _, generated in state.running)
    tokens = sum(int(load.prompt_tokens[request]) + generated for request, generated in state.running)
    assert state.blocks == pytest.approx(tokens / SPEC.block_tokens, abs=3)
    assert 0 < state.steps <= max(generated for _, generated in state.running) + 3
    assert 9.0 - 0.1 < state.seconds <= 9.0
    live.advance(math.inf)
    done = live.state(number, at_seconds=1e6)
    assert (done.running, done.blocks) == ((), 0)
    assert done.steps > state.steps
