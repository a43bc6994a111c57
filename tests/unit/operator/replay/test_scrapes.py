"""Counters at each scrape, and rates over a window of them as PromQL extrapolates them."""

from __future__ import annotations

import numpy as np
import pytest

from medley_operator.replay.scrapes import CounterColumns, Scrapes, ScrapeTarget, size_edges
from medley_operator.replay.traffic import Backend, Route, Traffic
from medley_planner.capacity import StepTime
from medley_planner.catalog import gpu
from medley_planner.engine import EngineSpec, StepTable, Trace
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape

STEP = StepTime(bundled_shape("meta-llama/Llama-3.1-8B-Instruct"), Layout(gpu("H100")))
SPEC = EngineSpec(STEP, token_budget=2048, max_sequences=64, kv_tokens=100_000, max_model_len=8192)
TABLE = StepTable.of(STEP, token_budget=2048, max_sequences=64)
EVERY = 15.0


def served(count: int = 1200, *, rate_rps: float = 2.0, until: float = 600.0, pods_from: float = 0.0) -> Scrapes:
    """One pod that serves evenly arriving requests and is scraped every 15 s, from 5 s after `pods_from`."""
    traffic = Traffic(Trace.of([at / rate_rps for at in range(count)], [500] * count, [200] * count), seed=0)
    engine = traffic.begin(SPEC, TABLE)
    traffic.route = Route(backends=(Backend(1.0, (engine,)),))
    scrapes = Scrapes(traffic, max_model_len=8192)
    now = pods_from + 5.0
    while now <= until:
        traffic.advance(now)
        scrapes.scrape(now, [ScrapeTarget(engine, "pod", ("v", "h"))])
        now += EVERY
    return scrapes


def test_a_steady_counter_rises_by_its_rate_over_the_window() -> None:
    (window,) = served().window(600.0, 300.0)
    assert window.samples == 20
    assert window.increase is not None
    assert window.increase[CounterColumns.COMPLETED] == pytest.approx(600, rel=0.01)
    assert window.increase[CounterColumns.PROMPT_TOKENS] == pytest.approx(600 * 500, rel=0.01)
    assert window.increase[served().columns.prompt].sum() == pytest.approx(600, rel=0.01)
    assert window.first_at == 300.0


def test_a_pod_that_is_younger_than_the_window_is_not_extrapolated_beyond_its_beginning() -> None:
    scrapes = served(until=60.0)
    (window,) = scrapes.window(60.0, 300.0)
    assert window.samples == 4
    assert window.first_at == 5.0
    assert window.increase is not None
    # Four samples from 5 s to 50 s; half a step more at the end, and at the start no further than to where it was 0.
    assert window.increase[CounterColumns.COMPLETED] == pytest.approx(2 * 60, rel=0.06)


def test_one_sample_gives_no_rate() -> None:
    (window,) = served(until=6.0).window(10.0, 300.0)
    assert window.samples == 1
    assert window.increase is None


def test_requests_in_flight_are_gauges() -> None:
    (window,) = served(until=300.0).window(300.0, 60.0)
    flight = window.newest[CounterColumns.RUNNING] + window.newest[CounterColumns.WAITING]
    assert 0 < flight < 10
    assert window.increase is not None
    assert abs(window.increase[CounterColumns.RUNNING]) < 10


def test_a_pod_that_went_counts_while_it_is_within_the_window_and_is_not_live() -> None:
    scrapes = served(until=300.0)
    scrapes.scrape(315.0, [])
    (window,) = scrapes.window(315.0, 60.0)
    assert not window.live
    assert window.increase is not None
    assert scrapes.window(400.0, 60.0) == []


def test_latencies_are_counted_in_the_engine_s_buckets() -> None:
    scrapes = served(count=100, until=200.0)
    (window,) = scrapes.window(200.0, 3600.0)
    assert window.newest[scrapes.columns.ttft].sum() == 100
    assert window.newest[scrapes.columns.tpot].sum() == 100
    assert window.newest[CounterColumns.COMPLETED] == 100


def test_requests_of_an_engine_that_ends_are_lost() -> None:
    traffic = Traffic(Trace.of([0.0, 0.1, 0.2], [500] * 3, [5000] * 3), seed=0)
    engine = traffic.begin(SPEC, TABLE)
    traffic.route = Route(backends=(Backend(1.0, (engine,)),))
    scrapes = Scrapes(traffic, max_model_len=8192)
    traffic.advance(1.0)
    scrapes.count()
    assert sorted(scrapes.lose(engine)) == [0, 1, 2]
    assert scrapes.lose(engine) == []


def test_edges_are_those_of_the_engine() -> None:
    assert size_edges(100) == (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
    assert np.all(np.diff(size_edges(16384)) > 0)
