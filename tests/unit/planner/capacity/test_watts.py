"""The watts that plans count with follow from what a replica does, from its clock, and from how sure its speed is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.capacity import StepTime
from medley_planner.capacity.speed import Speed
from medley_planner.capacity.watts import clock_under_cap, idle_watts, mean_watts, planned_watts
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.model import Bucket, Demand, Provenance, SizeSource
from medley_planner.shapes import bundled_shape

SHAPE = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
H100 = Layout(gpu("H100"))
GIVEN = Speed(provenance=Provenance.GIVEN, derate=1.0)


def watts(prompt: float, generation: float, rate: float, *, layout: Layout = H100, speed: Speed = GIVEN) -> float:
    demand = Demand(1.0, (Bucket(prompt, generation),), (1.0,), SizeSource.INDEPENDENT)
    step = StepTime(SHAPE, layout)
    return planned_watts(layout, step, demand, (rate,), speed=speed, limit_watts=700.0)


def test_prompts_draw_more_than_decoding() -> None:
    """A prompt of 4,000 tokens takes some 0.1 s of an H100 here: with 8 of them per second it is mostly prompts."""
    decoding, prompts = watts(10, 1000, 1.0), watts(4000, 10, 8.0)
    assert decoding == pytest.approx(700 * (0.12 + 0.88 * 0.60), rel=0.02)
    assert decoding < prompts <= 700 * (0.12 + 0.88 * 0.95)


def test_a_lower_clock_draws_less_and_takes_longer() -> None:
    capped = replace(H100, clock_percent=79)
    assert watts(1000, 100, 4.0, layout=capped) < watts(1000, 100, 4.0)
    fast, slow = StepTime(SHAPE, H100), StepTime(SHAPE, capped)
    decode = {"prefill_tokens": 0, "prefill_attended": 0, "decode_sequences": 8, "kv_tokens": 8000}
    prompt = {"prefill_tokens": 4096, "prefill_attended": 4096**2 / 2, "decode_sequences": 0, "kv_tokens": 0}
    assert slow.seconds(**decode) / fast.seconds(**decode) == pytest.approx(1.05, abs=0.01), "1 + 0.18 (1 / 0.79 - 1)"
    assert 1.18 < slow.seconds(**prompt) / fast.seconds(**prompt) < 1.24, "up to 1 + 0.9 (1 / 0.79 - 1)"


def test_what_is_less_sure_is_nearer_to_the_limit() -> None:
    sure, unsure = watts(1000, 100, 4.0), watts(1000, 100, 3.0, speed=Speed())
    assert unsure == pytest.approx(sure + 0.25 * (700 - sure)), "the same rate before the derate of 0.75"


def test_sizes_that_are_not_served_do_not_count() -> None:
    buckets = (Bucket(1000, 100), Bucket(30_000, 100))
    demand = Demand(1.0, buckets, (0.5, 0.5), SizeSource.INDEPENDENT)
    both = planned_watts(H100, StepTime(SHAPE, H100), demand, (4.0, 0.0), speed=GIVEN, limit_watts=700.0)
    assert both == pytest.approx(watts(1000, 100, 4.0))
    none = planned_watts(H100, StepTime(SHAPE, H100), demand, (0.0, 0.0), speed=GIVEN, limit_watts=700.0)
    assert none == 700.0


def test_a_cap_is_the_clock_at_which_the_draw_meets_it() -> None:
    for fraction in (0.4, 0.7, 1.0):
        layout = replace(H100, clock_percent=round(100 * clock_under_cap(fraction)))
        drawn = mean_watts(layout, prefill_share=1.0, busy_share=1.0) / 700
        assert (drawn - 0.12) / 0.95 == pytest.approx(fraction - 0.12, abs=0.01)
    assert clock_under_cap(0.05) == 0.0
    assert clock_under_cap(1.2) == 1.0
    assert idle_watts(700.0) == pytest.approx(84.0)
