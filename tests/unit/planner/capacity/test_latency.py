"""Latency at a load: rises with it, agrees between the two kinds of load, and a full cache shows as waiting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.capacity import StepTime
from medley_planner.capacity.estimate import EstimateRequest, NoEstimate, estimate
from medley_planner.capacity.latency import Load, at_concurrency, at_rate
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape

LLAMA = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
STEP = StepTime(LLAMA, Layout(gpu("H100")))
LOAD = Load(1024, 256, 95.0, 8192, 1024, 400_000)
ASKED = EstimateRequest(LLAMA, Layout(gpu("H100")), 1024, 256, rate_rps=4.0)


def test_latency_rises_with_the_load() -> None:
    closed = [at_concurrency(STEP, LOAD, concurrency=n) for n in (1, 4, 16, 64, 256)]
    assert [a.tpot_seconds for a in closed] == sorted(a.tpot_seconds for a in closed)
    assert [a.rate_rps for a in closed] == sorted(a.rate_rps for a in closed)
    opened = [at_rate(STEP, LOAD, rate_rps=r) for r in (0.01, 1, 5, 15)]
    assert all(answer is not None for answer in opened)
    times = [answer.tpot_seconds for answer in opened if answer]
    assert times == sorted(times)


def test_one_client_sees_bare_steps() -> None:
    alone = at_concurrency(STEP, LOAD, concurrency=1)
    bare = STEP.seconds(prefill_tokens=0, prefill_attended=0, decode_sequences=1, kv_tokens=1152)
    assert alone.tpot_seconds == pytest.approx(bare, rel=0.01)


def test_both_loads_agree_at_the_same_rate() -> None:
    closed = at_concurrency(STEP, LOAD, concurrency=32)
    opened = at_rate(STEP, LOAD, rate_rps=closed.rate_rps)
    assert opened is not None
    assert opened.tpot_seconds == pytest.approx(closed.tpot_seconds, rel=0.05)
    assert opened.running == pytest.approx(32, rel=0.1)


def test_what_the_cache_cannot_hold_waits() -> None:
    small = replace(LOAD, kv_tokens=20_000)
    answer = at_concurrency(STEP, small, concurrency=64)
    assert answer.running == pytest.approx(20_000 / 1152)
    # Little's law: clients = rate x (time in the batch and before it)
    total = answer.rate_rps * (answer.ttft_seconds - 0.010 + 255 * answer.tpot_seconds)
    assert total == pytest.approx(64, rel=0.02)


def test_a_load_test_sees_its_first_wave() -> None:
    steady = at_concurrency(STEP, LOAD, concurrency=64)
    assert at_concurrency(STEP, LOAD, concurrency=64, first_wave=True).ttft_seconds > steady.ttft_seconds + 0.01


def test_overload_and_misfit_say_the_way_out() -> None:
    with pytest.raises(NoEstimate, match=r"rate is 1000: more req/s than .*lower it"):
        estimate(replace(ASKED, rate_rps=1000.0))
    with pytest.raises(NoEstimate, match="use more GPUs"):
        estimate(replace(ASKED, shape=bundled_shape("meta-llama/Llama-3.1-70B")))
