"""What counts as noise round a settled rate, and what as a change of it."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.workload.settled import MEMORY_SECONDS, Settled

STEP_SECONDS = 120.0


def noisy(count: int, *, seed: int, carry: float = 0.0, scatter: float = 0.1, rate_rps: float = 5.0) -> list[float]:
    """Rates whose logarithms scatter; `carry`: how much of a deviation is left in the next one."""
    rng = np.random.default_rng(seed)
    level, rates = 0.0, []
    for draw in rng.standard_normal(count):
        level = carry * level + np.sqrt(1 - carry**2) * scatter * draw
        rates.append(rate_rps * float(np.exp(level)))
    return rates


def after(rates: list[float], settled: Settled | None = None) -> Settled:
    settled = settled or Settled(rates[0])
    for rate in rates:
        settled = settled.after(STEP_SECONDS, rate)
    return settled


@pytest.mark.parametrize("carry", [0.0, 0.6])
@pytest.mark.parametrize("seed", range(4))
def test_a_day_of_noise_is_hardly_ever_taken_for_a_change(seed: int, carry: float) -> None:
    found = after(noisy(720, seed=seed, carry=carry))
    assert found.changes <= 2
    assert found.mean_rps == pytest.approx(5.0, rel=0.12)
    assert found.scatter == pytest.approx(0.1, rel=0.35)
    assert found.carry == pytest.approx(carry, abs=0.25)


@pytest.mark.parametrize("factor", [0.4, 2.0, 4.0])
def test_a_rate_that_doubles_has_changed_at_its_first_reading(factor: float) -> None:
    quiet = after(noisy(200, seed=0))
    changed = quiet.after(STEP_SECONDS, factor * 5.0)
    assert changed.changes == quiet.changes + 1
    assert (changed.mean_rps, changed.fresh) == (factor * 5.0, True)
    # A part of that reading's window was from before.
    assert changed.after(STEP_SECONDS, factor * 5.5).mean_rps == factor * 5.5
    # One change says nothing of the noise.
    assert changed.scatter == quiet.scatter


def test_a_quarter_more_is_a_change_within_ten_minutes() -> None:
    quiet = after(noisy(200, seed=0, scatter=0.05))
    grown = after(noisy(5, seed=1, scatter=0.05, rate_rps=6.25), quiet)
    assert grown.changes == quiet.changes + 1
    assert grown.mean_rps == pytest.approx(6.25, rel=0.1)


def test_a_slow_growth_is_followed_by_the_mean() -> None:
    found = after([5.0 * 1.0005**place for place in range(720)])
    assert found.mean_rps == pytest.approx(5.0 * 1.0005**720, rel=0.1)


def test_the_mean_reaches_no_further_back_than_its_memory() -> None:
    low = Settled(5.0, readings=1e6, variance=1.0)
    share = 1 - np.exp(-STEP_SECONDS / MEMORY_SECONDS)
    assert low.after(STEP_SECONDS, 6.0).mean_rps == pytest.approx(5.0 + share)
