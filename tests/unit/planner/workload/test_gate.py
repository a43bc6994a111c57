"""The gate: real changes pass, Poisson noise does not."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from medley_planner.model import Bucket, Demand, SizeSource
from medley_planner.workload import adopt, drifts, samples_in_window


def demand(rate: float, prompt: float = 1000, generation: float = 200) -> Demand:
    return Demand(rate, (Bucket(prompt, generation),), (1.0,), SizeSource.INDEPENDENT)


def test_the_first_demand_is_adopted() -> None:
    assert adopt(None, demand(1.0), samples=0)


@pytest.mark.parametrize(
    ("new", "adopted"),
    [
        (demand(10.0), False),
        (demand(10.9), False),
        (demand(11.2), True),
        (demand(8.8), True),
        (demand(10.0, prompt=1080), False),
        (demand(10.0, prompt=1150), True),
        (demand(10.0, generation=170), True),
    ],
)
def test_with_many_samples_the_bands_decide(new: Demand, adopted: bool) -> None:
    assert adopt(demand(10.0), new, samples=10_000) is adopted


def test_with_few_samples_the_noise_decides() -> None:
    assert not adopt(demand(10.0), demand(14.0), samples=50)
    assert adopt(demand(10.0), demand(30.0), samples=50)
    assert not adopt(demand(10.0), demand(20.0), samples=0)


def test_silence_counts_as_evidence_once_enough_requests_are_missing() -> None:
    busy, silent = demand(1.0), demand(0.0)
    assert samples_in_window(busy, silent, window_seconds=300) == 300
    assert adopt(busy, silent, samples=samples_in_window(busy, silent, window_seconds=300))
    assert not adopt(busy, silent, samples=samples_in_window(busy, silent, window_seconds=10))
    assert adopt(silent, busy, samples=samples_in_window(silent, busy, window_seconds=60))


@pytest.mark.parametrize("rate", [0.2, 1.0, 5.0, 30.0])
def test_poisson_noise_hardly_ever_passes(rate: float) -> None:
    """Two windows of the same traffic, sizes exponential: three standard deviations of their difference."""
    rng, window, trials = random.Random(7), 300.0, 1000  # noqa: S311 - a seeded simulation

    def measured() -> Demand:
        count = max(1, round(rng.gauss(rate * window, (rate * window) ** 0.5)))
        spread = 1 / count**0.5
        return demand(count / window, 1000 * rng.gauss(1, spread), 200 * rng.gauss(1, spread))

    pairs = [(measured(), measured()) for _ in range(trials)]
    adopted = sum(adopt(old, new, samples=samples_in_window(old, new, window_seconds=window)) for old, new in pairs)
    assert adopted <= 0.03 * trials


@pytest.mark.parametrize(("rate_rps", "drifting"), [(10.0, False), (10.9, False), (11.2, True), (8.8, True)])
def test_drift_is_what_lies_outside_of_the_band_noise_or_not(rate_rps: float, drifting: bool) -> None:
    assert drifts(demand(10.0), demand(rate_rps)) is drifting


def test_sizes_that_go_together_differently_drift_though_means_are_the_same() -> None:
    like = Demand(2.0, (Bucket(100, 10), Bucket(900, 90)), (0.5, 0.5), SizeSource.INDEPENDENT)
    opposite = Demand(2.0, (Bucket(100, 90), Bucket(900, 10)), (0.5, 0.5), SizeSource.INDEPENDENT)
    assert drifts(like, opposite)
    assert not adopt(like, opposite, samples=1e9)


def test_prefix_hits_drift_by_two_steps() -> None:
    cold = Demand(2.0, (Bucket(100, 10),), (1.0,), SizeSource.TILTED)
    assert drifts(cold, replace(cold, prefix_hit_rate=0.1))
    assert not drifts(cold, replace(cold, prefix_hit_rate=0.05))


def test_better_known_sizes_drift_even_where_they_are_the_same() -> None:
    assert drifts(demand(2.0), replace(demand(2.0), size_source=SizeSource.TILTED))
