"""The filter on windows that follow by hand from the step time: what moves, what is refused, what planning gets."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medley_planner.capacity.calibrate import (
    LEAST_FACTOR,
    MIN_WINDOWS,
    OUTLIERS,
    Calibration,
    CalibrationState,
    calibrated_speed,
    cautious_factors,
    learn,
    step_change,
)
from medley_planner.capacity.calibration_record import from_record, to_record
from medley_planner.capacity.speed import ESTIMATE, PARTS, StepFactors
from medley_planner.capacity.step_time import StepTime
from medley_planner.capacity.window import OperatingPoint, SkipReason, Window
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.model import Provenance
from medley_planner.shapes import bundled_shape

SHAPE, CARD = bundled_shape("meta-llama/Llama-3.1-8B-Instruct"), gpu("A100-80")
HIDDEN = StepFactors(fixed=1.6, compute=0.7, sequence=1.0, kv=1.8)


def prior(factors: StepFactors) -> StepTime:
    return StepTime(SHAPE, Layout(CARD), factors=factors)


def window_at(decoding: float, *, truth: StepFactors = HIDDEN, rate: float | None = None, noise: float = 1.0) -> Window:
    """The window of an engine of that speed over 60 s at that batch: `rate` requests of 1,000 + 200 tokens a second."""
    point = OperatingPoint(prompt_tokens=1000, context_tokens=1100, starts=0.0, decoding=decoding, token_budget=2048)
    seconds = 0.02
    for _ in range(30):  # The prompts that arrive during a step lengthen it.
        starts = (rate if rate is not None else decoding / 200 / seconds) * seconds
        seconds = replace(point, starts=starts).mean_step_seconds(prior(truth))
    return Window(
        steps=60 / seconds,
        prefill_tokens=starts * 1000 * 60 / seconds,
        prompts=starts * 60 / seconds,
        decode_tokens=decoding * 60 / seconds,
        inter_token_seconds=seconds * noise,
        running=decoding,
        kv_tokens=decoding * 1100,
        seconds=60.0,
    )


def taught(windows: list[Window], calibration: Calibration | None = None) -> Calibration:
    calibration = calibration or Calibration()
    for window in windows:
        calibration = learn(calibration, window, prior).calibration
    return calibration


def loads(count: int, *, noise: float = 0.0, truth: StepFactors = HIDDEN, seed: int = 1) -> list[Window]:
    draw = Random(seed)  # noqa: S311
    return [window_at(draw.uniform(1, 20), truth=truth, noise=draw.gauss(1, noise)) for _ in range(count)]


def error_at(decoding: float, factors: StepFactors, *, truth: StepFactors = HIDDEN) -> float:
    window = window_at(decoding, truth=truth)
    return abs(window.point().mean_step_seconds(prior(factors)) / window.inter_token_seconds - 1)


def test_learned_at_small_batches_it_predicts_large_ones() -> None:
    learned = taught(loads(40, noise=0.02))
    assert learned.standing is CalibrationState.CALIBRATED
    assert error_at(80, learned.factors) < 0.05 < error_at(80, StepFactors())


@pytest.mark.parametrize("times", [0.6, 1.7, 3.0])
def test_an_estimate_that_is_off_as_a_whole_is_put_right(times: float) -> None:
    truth = StepFactors(times, times, times, times)
    learned = taught(loads(30, noise=0.03, truth=truth))
    assert learned.standing is CalibrationState.CALIBRATED
    assert error_at(15, learned.factors, truth=truth) < 0.05


def test_an_estimate_that_is_off_by_ten_is_found_in_the_end() -> None:
    truth = StepFactors(10, 10, 10, 10)
    learned = taught(loads(60, noise=0.03, truth=truth))
    assert learned.standing is CalibrationState.CALIBRATED
    assert error_at(15, learned.factors, truth=truth) < 0.05


def test_one_operating_point_moves_all_factors_alike() -> None:
    draw = Random(3)  # noqa: S311
    learned = taught([window_at(8, noise=draw.gauss(1, 0.03)) for _ in range(40)])
    values = [getattr(learned.factors, part) for part in PARTS]
    assert max(values) - min(values) < 1e-6
    assert error_at(8, learned.factors) < 0.03
    assert float(np.trace(learned.covariance)) > 0.5, "what was not seen is not known"


def test_quiet_windows_leave_little_doubt_at_the_peak() -> None:
    """Planning gets an engine that runs as estimated hardly slower than it is; noisy windows leave more doubt."""
    heavy = window_at(40, truth=StepFactors()).point()
    true_seconds = heavy.mean_step_seconds(prior(StepFactors()))
    slower = {
        noise: heavy.mean_step_seconds(
            prior(cautious_factors(taught(loads(20, noise=noise, truth=StepFactors())), prior))
        )
        / true_seconds
        for noise in (0.004, 0.05)
    }
    assert 0.99 < slower[0.004] < 1.03
    assert slower[0.05] > slower[0.004] + 0.01


def test_one_window_changes_no_factor_by_more_than_half() -> None:
    truth = StepFactors(3, 3, 3, 3)
    once = learn(Calibration(), window_at(8, truth=truth), prior).calibration
    assert all(getattr(once.factors, part) <= 1.5 + 1e-9 for part in PARTS)
    assert once.factors.fixed > 1.3


def test_an_outlier_changes_nothing_but_ten_in_a_row_begin_anew() -> None:
    known = taught(loads(40, noise=0.02))
    odd = window_at(8, noise=2.0)
    state = known
    for number in range(1, OUTLIERS):
        told = learn(state, odd, prior)
        state = told.calibration
        assert told.skipped is SkipReason.OUTLIER
        assert (state.factors, state.outliers) == (known.factors, number)
    assert state.standing is CalibrationState.CALIBRATED
    state = learn(state, odd, prior).calibration
    assert (state.standing, state.windows) == (CalibrationState.RESTARTED, 0)
    assert calibrated_speed(state, prior) == ESTIMATE
    assert learn(state, odd, prior).skipped is None, "what was the outlier is the truth now"
    assert taught([odd] * (MIN_WINDOWS + 20), state).standing is CalibrationState.CALIBRATED


def test_a_good_window_ends_a_row_of_outliers() -> None:
    state = taught([window_at(8, noise=2.0)] * 4, taught(loads(40)))
    assert (state.outliers, taught([window_at(8)], state).outliers) == (4, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"steps": 49.0}, SkipReason.FEW_STEPS),
        ({"decode_tokens": 0.0}, SkipReason.FEW_STEPS),
        ({"youngest_seconds": 119.0}, SkipReason.YOUNG_POD),
        ({"preemptions": 1.0}, SkipReason.PREEMPTED),
        ({"waiting": 9.0}, SkipReason.QUEUEING),
        ({"inter_token_seconds": math.nan}, SkipReason.INVALID),
        ({"inter_token_seconds": 0.0}, SkipReason.INVALID),
        ({"kv_tokens": math.inf}, SkipReason.INVALID),
        ({"prefill_tokens": -1.0}, SkipReason.INVALID),
    ],
)
def test_a_window_that_cannot_be_used_changes_nothing(change: dict[str, float], reason: SkipReason) -> None:
    known = taught(loads(5))
    told = learn(known, replace(window_at(8), **change), prior)  # type: ignore[arg-type]
    assert told.calibration is known
    assert told.skipped is reason


def test_few_windows_plan_by_the_estimate_but_with_the_engines_own_memory() -> None:
    learned = taught(loads(MIN_WINDOWS - 1))
    assert learned.standing is CalibrationState.LEARNING
    speed = calibrated_speed(learned, prior, kv_tokens=1234)
    assert (speed.factors, speed.provenance, speed.kv_tokens) == (StepFactors(), Provenance.ESTIMATED, 1234)


def test_windows_that_do_not_agree_are_not_trusted() -> None:
    draw = Random(5)  # noqa: S311
    # Within what the gate lets through while little is known, and far from each other.
    state = Calibration()
    for _ in range(MIN_WINDOWS):
        state = replace(learn(state, window_at(8, noise=draw.choice([0.7, 1.6])), prior).calibration, outliers=0)
        state = replace(state, covariance=np.eye(4))
    assert state.standing is CalibrationState.UNSETTLED
    assert calibrated_speed(state, prior) == ESTIMATE


def test_planning_gets_a_slower_engine_than_was_learned_and_not_much() -> None:
    learned = taught(loads(60, noise=0.02))
    speed = calibrated_speed(learned, prior)
    assert (speed.provenance, speed.derate) == (Provenance.CALIBRATED, 0.9)
    window = window_at(40)
    plain = window.point().mean_step_seconds(prior(learned.factors))
    cautious = window.point().mean_step_seconds(prior(speed.factors))
    assert plain < cautious < 1.2 * plain
    assert cautious_factors(Calibration(), prior) == StepFactors()


def test_a_change_is_what_it_does_to_steps() -> None:
    learned = taught(loads(20))
    more = replace(learned.factors, sequence=learned.factors.sequence * 1.2)
    assert step_change(learned.factors, more, learned, prior) < 0.02
    slower = StepFactors(*(getattr(learned.factors, part) * 1.1 for part in PARTS))
    assert step_change(learned.factors, slower, learned, prior) == pytest.approx(0.1)


def test_the_point_counts_prompts_that_decodes_meet_not_those_of_idle_times() -> None:
    point = Window(
        steps=1000,
        prefill_tokens=60_000,
        prompts=60,
        decode_tokens=2000,
        inter_token_seconds=0.02,
        running=0.8,
        kv_tokens=960,
        seconds=60,
    ).point()
    assert point.starts == pytest.approx(1.0 * 0.02)
    assert point.context_tokens == pytest.approx(1200)
    assert (point.decoding, point.prompt_tokens) == (2.0, 1000.0)


def test_prompts_of_unlike_lengths_have_the_tokens_and_the_attention_of_those_that_came() -> None:
    """Nine of ten prompts are short: taken for alike, they had a sixth of the attention, and `compute` came out 2."""
    prompts = np.array([200.0] * 9 + [20_000.0])
    spread = float((prompts**2).mean() / prompts.mean() ** 2)
    point = Window(
        steps=1000,
        prefill_tokens=float(prompts.sum()),
        prompts=10,
        decode_tokens=2000,
        inter_token_seconds=0.02,
        running=2,
        kv_tokens=4000,
        seconds=60,
        prompt_spread=spread,
    ).point()
    arrived = 10 / 60 * 0.02
    assert point.starts * point.prompt_tokens == pytest.approx(arrived * prompts.mean())
    assert point.starts * point.prompt_tokens**2 == pytest.approx(arrived * (prompts**2).mean())


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(1, 200), st.floats(0.001, 1.0), st.floats(0, 50_000), st.floats(10, 200_000)),
        min_size=1,
        max_size=15,
    )
)
def test_whatever_windows_say_factors_stay_sensible_and_variances_positive(
    seen: list[tuple[float, float, float, float]],
) -> None:
    state = Calibration()
    for decoding, latency, prefill, kv_tokens in seen:
        window = Window(
            steps=1000,
            prefill_tokens=prefill,
            prompts=prefill / 700,
            decode_tokens=decoding * 1000,
            inter_token_seconds=latency,
            running=decoding,
            kv_tokens=kv_tokens,
            seconds=60,
        )
        before, told = state, learn(state, window, prior)
        state = told.calibration
        for part in PARTS:
            old, new = getattr(before.factors, part), getattr(state.factors, part)
            assert LEAST_FACTOR <= new <= old * 1.5 + 1e-9
        assert np.linalg.eigvalsh(state.covariance)[0] >= -1e-9
        assert from_record(to_record(state)).windows == state.windows
