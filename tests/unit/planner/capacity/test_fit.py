"""The fit of a profile: what it finds from loads of a known engine, and which points it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from medley_planner.capacity.fit import LEAST_FACTOR, MOST_FACTOR, Fit, NoFit, fit_points
from medley_planner.capacity.latency import Load, at_concurrency, at_rate
from medley_planner.capacity.memory import memory_fit
from medley_planner.capacity.points import LoadPoint
from medley_planner.capacity.speed import UNCORRECTED, StepFactors
from medley_planner.capacity.step_time import StepTime
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape

SHAPE, GPU = bundled_shape("meta-llama/Llama-3.1-8B-Instruct"), gpu("H100")
HIDDEN = StepFactors(fixed=1.6, compute=0.8, sequence=3.0, kv=1.3)
GOOD = LoadPoint(
    prompt_tokens=1024,
    generation_tokens=256,
    concurrency=8,
    rate_rps=None,
    ttft_seconds=0.1,
    tpot_seconds=0.012,
    requests=80,
)


def measured(
    factors: StepFactors,
    *,
    prompt: float,
    generation: float,
    concurrency: float | None = None,
    rate: float | None = None,
) -> LoadPoint:
    """The measurements of an engine with these factors."""
    memory = memory_fit(SHAPE, Layout(GPU), max_model_len=4096)
    step = StepTime(SHAPE, Layout(GPU), factors=factors)
    load = Load(
        prompt_tokens=prompt,
        generation_tokens=generation,
        percentile=95,
        token_budget=8192,
        max_sequences=1024,
        kv_tokens=memory.kv_tokens,
    )
    if concurrency is not None:
        latency = at_concurrency(step, load, concurrency=concurrency)
    else:
        found = at_rate(step, load, rate_rps=rate or 0.0)
        assert found is not None
        latency = found
    return LoadPoint(
        prompt_tokens=prompt,
        generation_tokens=generation,
        concurrency=concurrency,
        rate_rps=rate,
        ttft_seconds=latency.ttft_seconds,
        tpot_seconds=latency.tpot_seconds,
        requests=100,
    )


def tpot(point: LoadPoint) -> float:
    assert point.tpot_seconds is not None
    return point.tpot_seconds


def fitted(*points: LoadPoint, kv_tokens: int | None = None) -> Fit:
    found = answer(*points, kv_tokens=kv_tokens)
    assert isinstance(found, Fit), found
    return found


def answer(*points: LoadPoint, kv_tokens: int | None = None) -> Fit | NoFit:
    return fit_points(points, shape=SHAPE, layout=Layout(GPU), kv_tokens=kv_tokens)


@pytest.mark.parametrize("wrong_by", [0.5, 1.0, 3.0])
def test_one_point_scales_all_parts_alike(wrong_by: float) -> None:
    scaled = StepFactors(wrong_by, wrong_by, wrong_by, wrong_by)
    found = fitted(measured(scaled, prompt=1024, generation=256, concurrency=16))
    for part in (found.factors.fixed, found.factors.compute, found.factors.sequence, found.factors.kv):
        assert part == pytest.approx(wrong_by, rel=0.1)
    assert found.error < 0.01
    assert found.used == 1


def test_loads_that_were_not_seen_are_told_from_five_points() -> None:
    seen = [(1024, 128, 1), (1024, 128, 16), (1024, 512, 64), (2048, 256, 128), (256, 256, 256)]
    found = fitted(*(measured(HIDDEN, prompt=p, generation=g, concurrency=c) for p, g, c in seen))
    for prompt, generation, concurrency in ((512, 256, 32), (3000, 100, 8), (128, 512, 200)):
        true = measured(HIDDEN, prompt=prompt, generation=generation, concurrency=concurrency)
        predicted = measured(found.factors, prompt=prompt, generation=generation, concurrency=concurrency)
        plain = measured(UNCORRECTED, prompt=prompt, generation=generation, concurrency=concurrency)
        assert tpot(predicted) == pytest.approx(tpot(true), rel=0.06)
        assert abs(tpot(plain) / tpot(true) - 1) > 0.1
    assert found.error < 0.02


def test_rates_and_clients_say_the_same() -> None:
    by_rate = fitted(*(measured(HIDDEN, prompt=1024, generation=256, rate=rate) for rate in (0.5, 4.0, 9.0)))
    assert by_rate.error < 0.02
    true = measured(HIDDEN, prompt=1024, generation=256, concurrency=24)
    predicted = measured(by_rate.factors, prompt=1024, generation=256, concurrency=24)
    assert tpot(predicted) == pytest.approx(tpot(true), rel=0.06)


def test_a_rate_that_the_estimate_cannot_serve_makes_the_engine_faster() -> None:
    fast = StepFactors(0.4, 0.4, 0.4, 0.4)
    rate = 40.0
    step = StepTime(SHAPE, Layout(GPU))
    load = Load(1024, 256, 95, 8192, 1024, 10**6)
    assert at_rate(step, load, rate_rps=rate) is None
    found = fitted(measured(fast, prompt=1024, generation=256, rate=rate), kv_tokens=10**6)
    assert found.factors.fixed < 0.6
    assert found.error < 0.1


def test_equal_points_give_equal_factors_in_any_order() -> None:
    points = [measured(HIDDEN, prompt=1024, generation=256, concurrency=c) for c in (1, 8, 64)]
    assert fitted(*points) == fitted(*points)
    one, other = fitted(*points).factors, fitted(*reversed(points)).factors
    assert one.fixed == pytest.approx(other.fixed, rel=1e-4)


def test_a_point_without_a_second_token_counts_by_its_first() -> None:
    slow = replace(measured(StepFactors(2, 2, 2, 2), prompt=4000, generation=1, concurrency=1), tpot_seconds=None)
    found = fitted(slow)
    assert found.factors.compute > 1.2
    assert found.ttft_error == found.error


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"requests": 0}, "requests is 0"),
        ({"tpot_seconds": math.nan}, "tpot_seconds is nan"),
        ({"tpot_seconds": -0.01}, "tpot_seconds is -0.01"),
        ({"ttft_seconds": math.inf}, "ttft_seconds is inf"),
        ({"prompt_tokens": 0.0}, "prompt_tokens is 0"),
        ({"generation_tokens": math.nan}, "generation_tokens is nan"),
        ({"concurrency": 0.5}, "concurrency is 0.5"),
        ({"concurrency": None}, "give exactly one"),
        ({"rate_rps": 2.0}, "give exactly one"),
        ({"concurrency": None, "rate_rps": -2.0}, "rate_rps is -2"),
        ({"tpot_seconds": None, "ttft_seconds": None}, "both missing"),
        ({"tpot_seconds": 12.0, "ttft_seconds": 100.0}, "milliseconds"),
        ({"ttft_seconds": 5000.0}, "milliseconds"),
        ({"tpot_seconds": 0.000012}, "reading the weights"),
        ({"ttft_seconds": 0.0001}, "prompt's matrix products"),
        ({"concurrency": 100000.0}, "products of all prompts"),
        ({"concurrency": None, "rate_rps": 5000.0}, "products of all prompts"),
    ],
)
def test_a_bad_point_is_refused_by_field_and_value_and_the_others_count(change: dict[str, float], words: str) -> None:
    bad = replace(GOOD, **change)  # type: ignore[arg-type]
    good = measured(UNCORRECTED, prompt=1024, generation=256, concurrency=16)
    found = fitted(good, bad)
    assert found.used == 1
    ((point, reason),) = found.refused
    assert point is bad
    assert words in reason
    alone = answer(bad)
    assert isinstance(alone, NoFit)
    assert words in alone.reason


def test_no_point_and_no_memory_are_outcomes() -> None:
    assert isinstance(answer(), NoFit)
    nothing = fit_points([GOOD], shape=SHAPE, layout=Layout(GPU, tensor_parallel=7))
    assert isinstance(nothing, NoFit)
    assert "does not divide" in nothing.reason


def test_a_point_that_the_engine_cannot_have_held_is_refused_alone() -> None:
    good = measured(UNCORRECTED, prompt=64, generation=16, concurrency=2)
    found = fitted(good, GOOD, kv_tokens=100)
    assert "more than the KV cache holds, 100" in found.refused[0][1]
    found = fitted(good, replace(GOOD, prompt_tokens=200000))
    assert "more than the 131072 positions" in found.refused[0][1]


def test_factors_stay_within_their_bounds() -> None:
    found = fitted(replace(GOOD, tpot_seconds=9.0, ttft_seconds=20.0))
    assert LEAST_FACTOR <= found.factors.fixed <= MOST_FACTOR * (1 + 1e-9)
    assert found.error > 0.1
