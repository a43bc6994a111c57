"""Arrivals that are made up: rates and sizes as they are written, seeds, and what bad text says."""

from __future__ import annotations

import numpy as np
import pytest

from medley_operator.replay.arrivals import made_up, rate_curve, request_sizes, with_sizes_of
from medley_planner.engine import Trace

SIZES = request_sizes("500x150")


@pytest.mark.parametrize(
    ("text", "requests", "seconds"),
    [
        ("constant:5x1h", 18000, 3600),
        ("steps:2x330s,4x360s", 660 + 1440, 690),
        ("ramp:1-9x1h", 5 * 3600, 3600),
        ("diurnal:2-10x24h", 6 * 86400, 86400),
        ("spike:2-12x1h", 3 * 3600, 3600),
    ],
)
def test_a_curve_has_the_requests_that_are_written(text: str, requests: float, seconds: float) -> None:
    curve = rate_curve(text)
    assert curve.requests == pytest.approx(requests)
    assert curve.seconds == pytest.approx(seconds)
    trace = made_up(curve, SIZES, seed=1)
    assert len(trace) == pytest.approx(requests, abs=5 * requests**0.5)
    assert trace.arrival_seconds[-1] <= seconds


def test_a_day_is_lowest_at_its_ends() -> None:
    slices = rate_curve("diurnal:2-10x24h").slices
    assert slices[0][1] == pytest.approx(2, abs=0.01)
    assert max(rate for _, rate in slices) == pytest.approx(10, abs=0.01)
    assert slices[len(slices) // 2][1] == pytest.approx(10, abs=0.01)


def test_even_arrivals_keep_their_distance_from_slice_to_slice() -> None:
    trace = made_up(rate_curve("constant:0.7x10m"), SIZES, seed=0, poisson=False)
    assert len(trace) == 420
    np.testing.assert_allclose(np.diff(trace.arrival_seconds), 1 / 0.7)


def test_sizes_drift_from_the_first_to_the_last_request() -> None:
    trace = made_up(rate_curve("constant:10x1h"), request_sizes("200x100-4000x300"), seed=0)
    assert trace.prompt_tokens[:100].mean() == pytest.approx(200, rel=0.1)
    assert trace.prompt_tokens[-100:].mean() == pytest.approx(4000, rel=0.01)
    assert trace.generation_tokens[-100:].mean() == pytest.approx(300, rel=0.01)


def test_a_spread_keeps_the_mean() -> None:
    trace = made_up(rate_curve("constant:10x1h"), request_sizes("500x150", spread=0.8), seed=0)
    assert trace.prompt_tokens.mean() == pytest.approx(500, rel=0.05)
    assert trace.prompt_tokens.std() > 300


@pytest.mark.parametrize("load", ["constant:20x24h", "steps:20x8h,20x16h", "ramp:20-20x24h"])
def test_noise_moves_the_rate_of_each_minute_and_keeps_its_mean(load: str) -> None:
    curve = rate_curve(load)
    quiet, noisy = (
        np.histogram(made_up(curve, SIZES, seed=0, noise=noise).arrival_seconds, bins=1440)[0] for noise in (0.0, 0.3)
    )
    assert noisy.std() > 3 * quiet.std()
    assert noisy.mean() == pytest.approx(1200, rel=0.05)


def test_equal_seeds_make_equal_traces() -> None:
    curve = rate_curve("ramp:1-8x20m")
    one, same, other = (made_up(curve, SIZES, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.arrival_seconds, same.arrival_seconds)
    assert not np.array_equal(one.arrival_seconds[:50], other.arrival_seconds[:50])


def test_sizes_are_drawn_from_a_trace() -> None:
    source = Trace.of([0.0, 1.0], [100, 9000], [5, 700])
    trace = with_sizes_of(rate_curve("constant:5x1h"), source, seed=0)
    pairs = set(zip(trace.prompt_tokens.tolist(), trace.generation_tokens.tolist(), strict=True))
    assert pairs == {(100, 5), (9000, 700)}


@pytest.mark.parametrize(
    "text",
    [
        "", "constant", "constant:5", "constant:5x1d", "constant:1x1h,2x1h", "ramp:1-8x1h,1-2x1h", "saw:1x1h", "steps:",
        "constant:1.2.3x1h", "constant:0x1h", "constant:-1x1h", "constant:1000000x1000h",
    ],
)  # fmt: skip
def test_a_load_that_is_none_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a (load|rate)|comes to"):
        rate_curve(text)


@pytest.mark.parametrize("text", ["", "500", "500x0", "0x1", "ax1", "1x2-3", "1x2-3x4-5x6", "9999999999x1"])
def test_sizes_that_are_none_say_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="is not a pair of sizes"):
        request_sizes(text)
