"""Loads that are more than the limits let any fleet serve are cut to what a plan serves; others stay as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import Pool, Problem, RoutingMode
from medley_planner.optimize import InvalidProblem
from medley_planner.over_time import Stretch, cheapest_schedule, within_reach
from tests.unit.planner.over_time.test_clairvoyant import demand, problem, variant


def asked(routing: RoutingMode, rate_rps: float, *sizes: float) -> tuple[Problem, Stretch]:
    """At most two fast replicas of 2 req/s and three slow ones of 1 req/s."""
    capacity = [1.0] * max(len(sizes), 1)
    fast, slow = variant("fast", 5.0, *(2 * each for each in capacity)), variant("slow", 2.0, *capacity)
    pools = (Pool("fast", stock_gpus=2), Pool("slow", stock_gpus=3))
    return problem(fast, slow, routing=routing, pools=pools), Stretch(600.0, demand(rate_rps, *sizes))


@pytest.mark.parametrize("rate_rps", [0.0, 3.0, 6.5])
def test_a_load_that_some_fleet_serves_stays(rate_rps: float) -> None:
    whole, stretch = asked(RoutingMode.HTTP_ROUTE, rate_rps)
    assert within_reach(whole, [stretch]) == [stretch]


@pytest.mark.parametrize("routing", [RoutingMode.HTTP_ROUTE, RoutingMode.INFERENCE_POOL])
@pytest.mark.parametrize("sizes", [(1.0,), (0.3, 0.7)])
def test_a_larger_load_is_cut_to_what_all_replicas_serve(routing: RoutingMode, sizes: tuple[float, ...]) -> None:
    whole, stretch = asked(routing, 12.0, *sizes)
    with pytest.raises(InvalidProblem):
        cheapest_schedule(whole, [stretch])
    (cut,) = within_reach(whole, [stretch])
    assert cut.demand.rate_rps == pytest.approx(7.0, rel=1e-4)
    assert sum(cut.demand.shares) == pytest.approx(1.0)
    assert cheapest_schedule(whole, [cut]).fleets == ((2, 3),)


def test_a_load_that_nothing_may_serve_is_left_out_by_the_schedule_itself() -> None:
    whole, stretch = asked(RoutingMode.HTTP_ROUTE, 1.0)
    bare = replace(whole, pools=(Pool("fast", stock_gpus=0), Pool("slow", stock_gpus=0)))
    assert cheapest_schedule(bare, within_reach(bare, [stretch])).fleets == ((0, 0),)
