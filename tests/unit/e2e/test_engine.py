"""What is read of one engine, against figures that follow by hand, against queueing laws, and against the simulator."""

from __future__ import annotations

from random import Random

import pytest

from e2e.fleet.engine import Engine
from e2e.fleet.load import Arrivals, Workload
from e2e.fleet.requests import Failure, Request
from medley_planner.engine import Balance, ReplicaGroup, Routing, SimulatedFleet, Trace, simulate
from tests.unit.e2e.fleet_cases import START, engine, request, served_engine


def drive(queue: Engine, requests: list[Request], *, tick: float = 0.05, until: float) -> None:
    """Feeds requests at their arrivals and pushes time every `tick`, as the server does."""
    now, pending = START, list(requests)
    while now < START + until:
        now = min(now + tick, START + until)
        while pending and pending[0].arrival <= now:
            queue.submit(pending.pop(0))
        queue.advance(now)


def poisson(rate: float, *, seconds: float, seed: int = 3, prompt: int = 500, generation: int = 50) -> list[Request]:
    arrivals = Arrivals(Workload(rate, prompt, generation), random=Random(seed), start=START)  # noqa: S311
    return list(arrivals.until(START + seconds))


def test_alone_a_request_takes_one_prefill_step_and_one_decode_step_per_further_token() -> None:
    queue, alone = engine(), request(1.0, prompt=500, generation=101)
    drive(queue, [alone], until=10)
    assert alone.ttft_seconds == pytest.approx(0.010 + 500 * 0.0001, rel=0.15)
    assert alone.tpot_seconds == pytest.approx(0.0101, rel=0.02)
    assert (queue.running, queue.waiting, queue.kv_usage) == (0, 0, 0)


def test_a_prompt_above_the_token_budget_is_prefilled_in_chunks() -> None:
    queue, long = engine(served_engine(max_batched_tokens=1000)), request(0.0, prompt=3500, generation=1)
    drive(queue, [long], until=2)
    assert queue.meter.step_tokens.count == 4
    assert queue.meter.step_tokens.total == 3500
    assert long.ttft_seconds == pytest.approx(4 * 0.010 + 3500 * 0.0001, rel=0.1)
    assert long.tpot_seconds is None


def test_sequences_are_limited_and_wait_first_come_first_served() -> None:
    queue = engine(served_engine(max_sequences=2))
    three = [request(0.001 * n) for n in range(3)]
    drive(queue, three, until=0.3)
    assert (queue.running, queue.waiting) == (2, 1)
    drive(queue, [], until=5)
    ends = [entry.finished_at for entry in three]
    assert ends == sorted(ends, key=lambda end: end or 0)
    assert three[2].scheduled_at == pytest.approx(three[0].finished_at)


def test_beyond_capacity_the_queue_grows_and_below_it_does_not() -> None:
    # Full batch: 64 sequences each 10 + 6.4 ms a step, 50 steps: some 60 requests/s if prefill were free.
    depths = {}
    for rate in (5, 60):
        queue = engine()
        load = poisson(rate, seconds=60)
        drive(queue, [entry for entry in load if entry.arrival < START + 30], until=30)
        half = queue.waiting
        for entry in load:
            if entry.arrival >= START + 30:
                queue.submit(entry)
        queue.advance(START + 60)
        depths[rate] = (half, queue.waiting)
    assert max(depths[5]) <= 2
    assert depths[60][0] > 100
    assert depths[60][1] == pytest.approx(2 * depths[60][0], rel=0.25)


@pytest.mark.parametrize("kv_tokens", [4_200, 100_000])
def test_what_arrived_is_finished_running_or_waiting_and_tokens_add_up(kv_tokens: int) -> None:
    queue, load = engine(served_engine(kv_tokens=kv_tokens)), poisson(12, seconds=30)
    drive(queue, load, until=30)
    finished = [entry for entry in load if entry.finished_at is not None]
    assert len(load) == len(finished) + queue.running + queue.waiting
    assert sum(queue.meter.finished.values()) == len(finished)
    queue.advance(START + 600)
    assert (queue.running, queue.waiting, queue.kv_usage) == (0, 0, 0)
    assert queue.meter.prompt_tokens == sum(entry.prompt_tokens for entry in load)
    assert queue.meter.generation_tokens == sum(entry.generation_tokens for entry in load)
    assert queue.meter.inter_token_seconds.count == sum(entry.generation_tokens - 1 for entry in load)


def test_a_full_cache_preempts_and_still_finishes_everything() -> None:
    queue = engine(served_engine(kv_tokens=4_200))
    load = [request(0.001 * n, prompt=500, generation=400) for n in range(8)]
    drive(queue, load, until=120)
    assert queue.meter.preemptions > 0
    assert sum(entry.preemptions for entry in load) == queue.meter.preemptions
    assert all(entry.finished_at is not None and entry.failure is None for entry in load)


def test_littles_law() -> None:
    queue, load = engine(), poisson(15, seconds=400)
    sampled, now = 0, START
    pending = list(load)
    samples = 4000
    for _ in range(samples):
        now += 0.1
        while pending and pending[0].arrival <= now:
            queue.submit(pending.pop(0))
        queue.advance(now)
        sampled += queue.running + queue.waiting
    queue.advance(START + 1000)
    in_system = sampled / samples
    mean_time = sum((entry.finished_at or 0) - entry.arrival for entry in load) / len(load)
    assert in_system == pytest.approx(len(load) / 400 * mean_time, rel=0.1)
    assert in_system > 3


def test_results_do_not_depend_on_how_often_time_is_pushed() -> None:
    def run(tick: float) -> tuple[list[tuple[float | None, float | None]], list[int]]:
        queue, load = engine(), poisson(20, seconds=20)
        drive(queue, load, tick=tick, until=60)
        return [(entry.first_token_at, entry.finished_at) for entry in load], queue.meter.ttft_seconds.buckets

    assert run(0.05) == run(0.37)


def test_it_serves_as_the_simulator_of_the_planner_does() -> None:
    queue, load = engine(), poisson(20, seconds=20)
    drive(queue, load, until=60)
    trace = Trace.of(
        [entry.arrival for entry in load],
        [entry.prompt_tokens for entry in load],
        [entry.generation_tokens for entry in load],
    )
    fleet = SimulatedFleet((ReplicaGroup("a", served_engine().spec, 1),))
    found = simulate(trace, fleet, Routing(Balance.ROUND_ROBIN), seed=0)
    assert [entry.ttft_seconds for entry in load] == pytest.approx(found.ttft_seconds.tolist(), abs=1e-6)
    assert [(entry.finished_at or 0) - entry.arrival for entry in load] == pytest.approx(
        found.e2e_seconds.tolist(), abs=1e-6
    )


def test_counters_rise_with_each_look_and_end_at_what_happened() -> None:
    queue, load = engine(served_engine(kv_tokens=4_200)), poisson(12, seconds=30)
    pending, now, before = list(load), START, (0.0,) * 5
    for _ in range(3000):
        now += 0.05
        while pending and pending[0].arrival <= now:
            queue.submit(pending.pop(0))
        queue.advance(now)
        meter = queue.meter
        counted = (
            float(meter.generation_tokens),
            float(meter.inter_token_seconds.count),
            meter.inter_token_seconds.total,
            meter.step_tokens.total,
            float(meter.step_tokens.count),
        )
        assert all(after >= one for one, after in zip(before, counted, strict=True))
        before = counted
    assert queue.idle
    assert meter.preemptions > 0
    decoding = sum((entry.finished_at or 0) - (entry.first_token_at or 0) for entry in load)
    assert meter.inter_token_seconds.total == pytest.approx(decoding)
    # Tokens that come after the last step has ended are counted with the next one.
    assert meter.step_tokens.total == pytest.approx(
        sum(entry.prompt_tokens + entry.generation_tokens - 1 for entry in load), abs=10
    )


def test_clients_are_held_to_the_model_length() -> None:
    queue = engine(served_engine(max_model_len=1000))
    long = [request(0, prompt=5000, generation=10), request(0, prompt=900, generation=500)]
    drive(queue, long, until=20)
    assert [(entry.prompt_tokens, entry.generation_tokens) for entry in long] == [(999, 1), (900, 100)]
    assert queue.meter.finished["length"] == 2


def test_what_is_left_when_the_pod_is_gone_has_failed() -> None:
    queue, load = engine(), [request(0, generation=1000), request(0.1)]
    drive(queue, load, until=0.5)
    queue.abort_all(START + 0.5)
    assert [entry.failure for entry in load] == [Failure.ABORTED] * 2
    assert queue.idle
    assert queue.meter.finished["abort"] == 2


def test_usage_integrals_match_what_was_sampled() -> None:
    queue, load = engine(), poisson(3, seconds=100)
    running = busy = 0
    pending, now = list(load), START
    for _ in range(10_000):
        now += 0.01
        while pending and pending[0].arrival <= now:
            queue.submit(pending.pop(0))
        queue.advance(now)
        running += queue.running
        busy += queue.running > 0
    assert queue.usage.running / 100 == pytest.approx(running / 10_000, rel=0.05)
    assert queue.usage.busy / 100 == pytest.approx(busy / 10_000, rel=0.05)
