"""Replicas that come and go: served piece by piece, they do as a fleet that is known beforehand."""

from __future__ import annotations

import math
from dataclasses import replace

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
SPEC = EngineSpec(
    STEP,
    token_budget=2048,
    max_sequences=64,
    kv_tokens=40_000,
    max_model_len=8192,
    api_seconds=0.0,
    prompt_token_seconds=0.0,
)
TABLE = StepTable.of(STEP, token_budget=2048, max_sequences=64)


def trace(count: int = 600, *, rate_rps: float = 4.0, seed: int = 3) -> Trace:
    rng = np.random.default_rng(seed)
    arrivals = poisson_arrivals(rate_rps, count=count, seed=seed)
    return Trace.of(arrivals, rng.integers(50, 1500, count), rng.integers(5, 300, count))


@pytest.mark.parametrize("piece", [1, 7, 250])
def test_picked_replicas_serve_in_pieces_as_at_once(piece: int) -> None:
    load = trace()
    live = LiveFleet(load)
    numbers = [live.start(SPEC, TABLE) for _ in range(3)]
    chosen: list[int] = []
    for start in range(0, len(load), piece):
        live.advance(float(load.arrival_seconds[start]))
        chosen += live.serve_picked(numbers, range(start, min(start + piece, len(load))))
    live.advance(math.inf)
    # A fleet that is known beforehand, to whose replicas the same requests are sent.
    groups = tuple(ReplicaGroup(str(number), SPEC, 1) for number in numbers)
    at_once = LiveFleet(load)
    assert chosen == at_once.serve_picked([at_once.start(SPEC, TABLE) for _ in groups], range(len(load)))
    for number in numbers:
        mine = np.flatnonzero(np.asarray(chosen) == number)
        alone = Trace(load.arrival_seconds[mine], load.prompt_tokens[mine], load.generation_tokens[mine])
        whole = simulate(alone, SimulatedFleet((groups[number],)), Routing(Balance.ROUND_ROBIN), seed=0)
        seconds = load.arrival_seconds[mine]
        np.testing.assert_allclose(np.asarray(live.first_token)[mine] - seconds, whole.ttft_seconds, rtol=1e-9)
        np.testing.assert_allclose(np.asarray(live.last_token)[mine] - seconds, whole.e2e_seconds, rtol=1e-9)
    assert [live.unfinished(number) for number in numbers] == [0, 0, 0]


@pytest.mark.parametrize("piece", [1, 7, 250])
def test_a_trace_that_grows_is_served_as_one_that_is_known(piece: int) -> None:
    load = trace()
    spec = replace(SPEC, api_seconds=0.02, kv_tokens=9_000)
    known, grown = LiveFleet(load), LiveFleet(Trace.of([], [], []))
    numbers = [[live.start(spec, TABLE) for _ in range(2)] for live in (known, grown)]
    known.serve_picked(numbers[0], range(len(load)))
    for start in range(0, len(load), piece):
        end = min(start + piece, len(load))
        part = slice(start, end)
        grown.extend(Trace(load.arrival_seconds[part], load.prompt_tokens[part], load.generation_tokens[part]))
        grown.serve_picked(numbers[1], range(start, end))
    for live in (known, grown):
        live.advance(math.inf)
    assert grown.first_token == known.first_token
    assert grown.last_token == known.last_token
    assert grown.scheduled == known.scheduled
    assert grown.preempted == known.preempted
    assert sum(known.preempted) > 0
    # A replica that starts when part of the trace is known has the sizes of all of it.
    late = grown.start(SPEC, TABLE)
    grown.extend(Trace.of([float(load.arrival_seconds[-1]) + 1.0], [100], [10]))
    grown.serve(late, [len(load)])
    grown.advance(math.inf)
    waited = grown.scheduled[len(load)] - float(load.arrival_seconds[-1]) - 1.0
    assert waited == 0.0
    assert grown.scheduled[len(load)] < grown.first_token[len(load)] < grown.last_token[len(load)]


def test_a_picker_fills_replicas_by_their_room_and_not_by_their_number_of_requests() -> None:
    load = trace(rate_rps=3.0)
    live = LiveFleet(load)
    large, small = live.start(SPEC, TABLE), live.start(replace(SPEC, kv_tokens=9_000), TABLE)
    chosen = np.asarray(live.serve_picked([large, small], range(len(load))))
    live.advance(math.inf)
    assert 0.05 < (chosen == small).mean() < 0.35
    # By the number of requests it would get half of them, and wait for more than 40 s.
    waits = np.asarray(live.first_token) - load.arrival_seconds
    assert np.percentile(waits[chosen == small], 95) < 3.0


def test_a_picker_sends_nothing_to_the_longest_queue() -> None:
    at_once = Trace.of([0.0] * 30, [4000] * 30, [10] * 30)
    live = LiveFleet(at_once)
    numbers = [live.start(SPEC, TABLE) for _ in range(3)]
    live.serve(numbers[0], range(20))
    assert set(live.serve_picked(numbers, range(20, 30))) == {numbers[1], numbers[2]}


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
