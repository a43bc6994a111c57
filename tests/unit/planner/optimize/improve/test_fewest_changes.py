"""Few changes are worth a part of what a service costs, and no more of what the fleet does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.optimize import plan, verify
from tests.generator import changed, fleet, running


@pytest.mark.parametrize("services", [8, 40])
def test_no_service_of_a_fleet_stays_on_a_fleet_that_is_much_dearer(services: int) -> None:
    """One of 500 stayed for ever on a fleet that was a quarter dearer, which was 0.05 % of what all cost."""
    before = fleet(services, seed=5, stock_fraction=None)
    first = plan(before)
    problem = running(changed(before, seed=5), first, startup_seconds=0.0)
    made = plan(problem, last=first)
    assert verify(problem, made) == ()
    best = plan(replace(problem, steady_within=0.0), last=first)
    for mine, cheapest in zip(made.services, best.services, strict=True):
        assert mine.cost_per_hour <= cheapest.cost_per_hour * (1 + problem.steady_within) + 1e-6
