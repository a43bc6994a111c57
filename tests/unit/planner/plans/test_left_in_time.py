"""Dear fleets are left in time: at rest after a step of load, and what random steps cost beside the optimum."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import replace

import pytest

from medley_planner.model import Demand, NodePrice, Pool, Problem, RoutingMode, Service
from medley_planner.optimize import plan
from medley_planner.over_time import Stretch, cheapest_schedule
from tests.steps_of_load import (
    DRAIN_SECONDS,
    PRICES,
    ROUND_SECONDS,
    bill,
    by_account,
    by_horizon,
    demand,
    drawn_steps,
    followed,
    variant,
)

STEPS = {
    "down": (demand(60.0), demand(7.0)),
    "up": (demand(3.0), demand(41.0)),
    "sizes": (demand(20.0, 1.0), demand(12.0, 0.2)),
    "sizes back": (demand(12.0, 0.2), demand(20.0, 1.0)),
}


def dear(startup_seconds: float, *, l40s: int = 0, l40s_rps: float = 1.0) -> Problem:
    """H100 serve 4 requests per second, and cost less for each than L40S."""
    variants = (
        variant("L40S", (l40s_rps, 0.7), startup_seconds=startup_seconds, running=l40s),
        variant("H100", (4.0, 2.0), startup_seconds=startup_seconds),
    )
    service = Service("s", demand(11.9), variants, RoutingMode.HTTP_ROUTE)
    return Problem((service,), tuple(Pool(each.pool) for each in variants))


def paid_by_node(problem: Problem) -> Problem:
    pools = tuple(replace(pool, node_price=NodePrice(4, 4 * PRICES[pool.name])) for pool in problem.pools)
    return replace(problem, pools=pools)


def fresh_cost(problem: Problem, load: Demand) -> float:
    service = problem.services[0]
    variants = tuple(replace(each, current_replicas=0, startup_seconds=0.0) for each in service.variants)
    return plan(replace(problem, services=(replace(service, demand=load, variants=variants),))).cost_per_hour


@pytest.mark.parametrize(
    ("startup_seconds", "l40s", "l40s_rps", "kept_per_hour"), [(120.0, 8, 1.0, 21.768), (600.0, 19, 0.42, 42.239)]
)
def test_a_dear_fleet_that_was_kept_for_ever_is_left(
    startup_seconds: float, l40s: int, l40s_rps: float, kept_per_hour: float
) -> None:
    problem = dear(startup_seconds, l40s=l40s, l40s_rps=l40s_rps)
    stretches = [Stretch(6 * 3600.0, demand(11.9))]
    kept = followed(problem, stretches, by_horizon, every_round=True)
    assert all(moment.plan.cost_per_hour == pytest.approx(kept_per_hour) for moment in kept)
    moments = followed(problem, stretches, every_round=True)
    assert moments[-1].plan.cost_per_hour == pytest.approx(20.64)
    assert moments[-1].plan.services[0].cheaper is None


@pytest.mark.parametrize("startup_seconds", [120.0, 600.0, 1800.0])
@pytest.mark.parametrize("whole_nodes", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_at_rest_in_time_after_a_step(step: str, startup_seconds: float, whole_nodes: bool) -> None:
    problem = dear(startup_seconds)
    problem = paid_by_node(problem) if whole_nodes else problem
    before, after = STEPS[step]
    stretches = [Stretch(36 * 3600.0, before), Stretch(36 * 3600.0, after)]
    moments = [moment for moment in followed(problem, stretches) if moment.at_seconds >= stretches[0].seconds]
    best = fresh_cost(problem, after)
    leads = 2 * (startup_seconds + DRAIN_SECONDS)
    at_rest = next(moment for moment in moments if moment.plan.cost_per_hour <= 1.01 * best)
    assert all(
        moment.plan.cost_per_hour <= 1.01 * best for moment in moments if moment.at_seconds >= at_rest.at_seconds
    )
    wasted = [moment.plan.services[0].cheaper for moment in moments if moment.at_seconds < at_rest.at_seconds]
    waits = max((3600 * each.leaving_cost / each.saving_per_hour for each in wasted if each is not None), default=0.0)
    assert at_rest.at_seconds - stretches[0].seconds <= leads + waits + 2 * ROUND_SECONDS


def test_a_fleet_is_left_at_the_latest_when_staying_has_cost_as_much_as_leaving() -> None:
    problem = dear(1800.0, l40s=8)
    moments = followed(problem, [Stretch(8 * 3600.0, demand(11.9))], every_round=True)
    for before, after in itertools.pairwise(moments):
        if before.plan.services[0].cheaper is not None:
            most = before.plan.services[0].cheaper.leaving_cost + before.regret.saving_per_hour * ROUND_SECONDS / 3600
            assert before.regret.wasted_by(after.at_seconds) <= most
    assert moments[0].plan.services[0].cheaper is not None
    assert moments[-1].plan.services[0].cheaper is None


def test_a_load_that_soon_returns_is_not_followed_by_a_change_of_types() -> None:
    problem = dear(1800.0, l40s=8)
    there, back = Stretch(1200.0, demand(11.9)), Stretch(1200.0, demand(8.0))
    moments = followed(problem, [there, back] * 3, every_round=True)
    assert all(moment.fleet[0] >= 8 for moment in moments[:20])


def test_steps_cost_little_more_than_if_all_were_known_and_no_more_than_before() -> None:
    """The short form of `make bench-steps`."""
    ratios: dict[str, list[float]] = {"account": [], "horizon": []}
    for seed in range(12):
        problem, stretches = drawn_steps(seed)
        best = cheapest_schedule(problem, stretches, drain_seconds=DRAIN_SECONDS)
        for name, rule in (("account", by_account), ("horizon", by_horizon)):
            ratios[name].append(bill(problem, stretches, followed(problem, stretches, rule)).cost / best.cost)
            assert ratios[name][-1] >= 1 - 1e-9
    assert statistics.median(ratios["account"]) <= 1.05
    assert max(ratios["account"]) <= 1.4
    assert statistics.median(ratios["account"]) <= statistics.median(ratios["horizon"]) + 0.005
