"""Factors act on the parts of a step time that they name, in both implementations alike."""

import math

import pytest

from medley_planner.capacity import Speed, StepFactors, StepTime, Table, capacity_rows, memory_fit
from medley_planner.capacity.speed import DERATE, UNCORRECTED, Derates
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.model import Bucket, Provenance
from medley_planner.shapes import bundled_shape

SHAPE = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
STEP = {"prefill_tokens": 700.0, "prefill_attended": 3e5, "decode_sequences": 40.0, "kv_tokens": 6e4}


def step(factors: StepFactors = UNCORRECTED) -> StepTime:
    return StepTime(SHAPE, Layout(gpu("L4"), tensor_parallel=2), factors=factors)


def test_all_parts_twice_as_slow_make_a_step_twice_as_slow() -> None:
    assert step(StepFactors(2, 2, 2, 2)).seconds(**STEP) == pytest.approx(2.0 * step().seconds(**STEP))


@pytest.mark.parametrize(
    ("part", "zeroed"),
    [
        ("compute", {"prefill_tokens": 0.0, "prefill_attended": 0.0, "decode_sequences": 0.0}),
        ("sequence", {"decode_sequences": 0.0}),
        ("kv", {"kv_tokens": 0.0}),
    ],
)
def test_a_factor_does_not_touch_a_step_without_its_part(part: str, zeroed: dict[str, float]) -> None:
    slower = step(StepFactors(**{part: 3.0}))
    without = STEP | zeroed
    assert slower.seconds(**without) == pytest.approx(step().seconds(**without))
    assert slower.seconds(**STEP) > step().seconds(**STEP)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_a_factor_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"StepFactors\.kv is"):
        StepFactors(kv=value)


def test_a_row_is_derated_by_where_its_speed_comes_from() -> None:
    measured = Speed(UNCORRECTED, Provenance.MEASURED, DERATE[Provenance.MEASURED])
    fit = memory_fit(SHAPE, Layout(gpu("L4"), tensor_parallel=2), max_model_len=8192)
    tables = [Table(step(), fit, 2048, 256), Table(step(), fit, 2048, 256, measured)]
    estimated, known = capacity_rows(
        tables, (Bucket(500.0, 200.0),), ttft_seconds=2.0, tpot_seconds=0.08, percentile=95.0
    )
    assert known.provenance is Provenance.MEASURED
    assert known.capacity_rps[0] == pytest.approx(estimated.capacity_rps[0] * 0.95 / 0.75)


def test_an_error_beyond_the_usual_lowers_the_share_and_a_smaller_one_raises_nothing() -> None:
    derates = Derates(measured=0.9)
    assert derates.allowing(Provenance.MEASURED, error=0.0) == 0.9
    assert derates.allowing(Provenance.MEASURED, error=0.25) == 0.75
    assert derates.allowing(Provenance.ESTIMATED, error=0.1) == DERATE[Provenance.ESTIMATED]
    assert derates.allowing(Provenance.GIVEN, error=0.0) == 1.0
    assert derates.allowing(Provenance.CALIBRATED, error=3.0) == 0.0


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"Derates\.estimated"):
        Derates(estimated=share)
