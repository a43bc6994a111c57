"""The brute force against optima computed by hand: it is what plans are measured against, so it is tested first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import NodePrice, Pool, PowerBudget, Problem, RoutingMode, Service
from tests.brute_force import best_fleets, optimum
from tests.unit.planner.optimize.small import service, variant

# 4 requests/s at 1 a replica: 4 replicas of either.
CHEAP = variant("cheap", 1.0, 1.0)
DEAR = variant("dear", 1.0, 3.0)


def _problem(*services: Service, **pools: Pool) -> Problem:
    names = sorted({variant.pool for service in services for variant in service.variants})
    return Problem(services, tuple(pools.get(name, Pool(name)) for name in names))


def _best(problem: Problem) -> tuple[int, ...]:
    found = best_fleets(problem)
    assert found is not None
    return found[1][0]


def test_takes_the_cheapest_that_serves() -> None:
    assert optimum(_problem(service(4.0, CHEAP, DEAR))) == 4.0
    assert optimum(_problem(service(4.0, CHEAP, DEAR, utilisation_limit=0.8))) == 5.0
    assert optimum(_problem(service(4.0, CHEAP, DEAR, max_replicas=3))) is None
    assert optimum(_problem(service(0.0, CHEAP, DEAR))) == 0.0


def test_stock() -> None:
    assert optimum(_problem(service(4.0, CHEAP, DEAR), cheap=Pool("cheap", 3))) == 3.0 + 3.0
    assert optimum(_problem(service(4.0, CHEAP), cheap=Pool("cheap", 3))) is None
    both = [service(4.0, CHEAP, DEAR, name="a"), service(2.0, CHEAP, name="b")]
    assert optimum(_problem(*both, cheap=Pool("cheap", 5))) == 5.0 + 3.0


def test_square_root_staffing() -> None:
    # 4 + 1 x sqrt(4)
    assert optimum(_problem(service(4.0, CHEAP, staffing_beta=1.0))) == 6.0


def test_a_router_by_size_class_sees_less_than_an_oracle() -> None:
    one, other = variant("one", (1.0, 0.1), 1.0), variant("other", (0.1, 1.0), 1.0)
    alike = service(2.0, one, other, prompt_tokens=(100.0, 100.0), routing=RoutingMode.INFERENCE_POOL)
    # The whole mix takes 1 / 1 + 1 / 0.1 = 11 replicas of either; by size each takes what it is good at.
    assert optimum(_problem(alike)) == 11.0
    assert optimum(_problem(replace(alike, routing=RoutingMode.PER_BUCKET))) == 2.0
    apart = service(2.0, one, other, prompt_tokens=(100.0, 900.0), routing=RoutingMode.INFERENCE_POOL)
    assert optimum(_problem(apart)) == 2.0


def test_a_class_goes_only_where_all_of_it_can_be_served() -> None:
    one, other = variant("one", (1.0, 0.0), 1.0), variant("other", (0.5, 0.5), 5.0)
    alike = service(2.0, one, other, prompt_tokens=(100.0, 100.0), routing=RoutingMode.INFERENCE_POOL)
    assert optimum(_problem(alike)) == 4 * 5.0
    assert optimum(_problem(replace(alike, routing=RoutingMode.PER_BUCKET))) == 1.0 + 2 * 5.0


@pytest.mark.parametrize(
    ("routing", "best"),
    [
        # Of slow ones (4 carry all) 5; of fast ones (2 carry all) 3, which cost 9.
        (RoutingMode.HTTP_ROUTE, (0, 5)),
        (RoutingMode.SERVICE, (0, 5)),
        (RoutingMode.PER_BUCKET, (0, 5)),
        (RoutingMode.INFERENCE_POOL, (0, 5)),
    ],
)
def test_one_replica_more_than_the_load_takes(routing: RoutingMode, best: tuple[int, int]) -> None:
    fast, slow = variant("fast", 2.0, 3.0), variant("slow", 1.0, 1.0)
    assert _best(_problem(service(4.0, fast, slow, routing=routing, n_plus_one=True))) == best


def test_losing_the_fastest_must_be_survived() -> None:
    fast, slow = variant("fast", 2.0, 3.0, min_replicas=1), variant("slow", 1.0, 1.0)
    # 1/2 + y/4 less 1/2 for the fast one: 4 slow ones beside it by weight; by size it may carry nothing.
    assert _best(_problem(service(4.0, fast, slow, n_plus_one=True))) == (1, 4)
    sized = service(4.0, fast, slow, n_plus_one=True, routing=RoutingMode.PER_BUCKET)
    assert _best(_problem(sized)) == (1, 5)
    # Behind a Service all pods count the same: 4 + 1.
    equal = service(4.0, fast, slow, n_plus_one=True, routing=RoutingMode.SERVICE)
    assert _best(_problem(equal)) == (1, 4)


def test_spot_share_and_floor() -> None:
    spot = Pool("cheap", spot=True)
    assert optimum(_problem(service(4.0, CHEAP, DEAR, spot_max_share=0.5), cheap=spot)) == 2 * 1.0 + 2 * 3.0
    assert optimum(_problem(service(4.0, CHEAP, DEAR, spot_max_share=0.0), cheap=spot)) == 4 * 3.0
    assert optimum(_problem(service(4.0, CHEAP, DEAR, on_demand_min_replicas=1), cheap=spot)) == 3 * 1.0 + 3.0
    assert optimum(_problem(service(4.0, CHEAP, spot_max_share=0.9), cheap=spot)) is None


def test_others_are_there_for_the_sake_of_the_share() -> None:
    # Only the spot variant serves the first bucket, and takes 3 replicas for it.
    spot, lasting = variant("spot", (1.0, 0.0), 1.0), variant("lasting", (0.0, 3.0), 1.0)
    wanted = service(6.0, spot, lasting, prompt_tokens=(1.0, 2.0), routing=RoutingMode.PER_BUCKET, spot_max_share=0.25)
    assert _best(_problem(wanted, spot=Pool("spot", spot=True))) == (3, 9)


def test_zone_spread() -> None:
    spread = service(2.0, CHEAP, DEAR, zone_spread=True)
    a, b, both = Pool("cheap", zones=("a",)), Pool("dear", zones=("b",)), Pool("cheap", zones=("a", "b"))
    assert optimum(_problem(spread, cheap=a, dear=b)) == 1.0 + 3.0
    assert optimum(_problem(spread, cheap=both)) == 2.0
    assert optimum(_problem(spread, cheap=a, dear=replace(b, zones=("a",)))) is None
    assert optimum(_problem(spread, cheap=a)) is None
    assert optimum(_problem(spread)) is None
    assert optimum(_problem(replace(spread, demand=replace(spread.demand, rate_rps=1.0)))) == 1.0


def test_budget() -> None:
    assert optimum(_problem(service(4.0, DEAR, max_cost_per_hour=12.0))) == 12.0
    assert optimum(_problem(service(4.0, DEAR, max_cost_per_hour=11.9))) is None


def test_power_by_domain_and_the_one_above() -> None:
    hot, cool = replace(CHEAP, watts=1000.0), replace(DEAR, watts=200.0)
    pools = (Pool("cheap", power_domain="row"), Pool("dear", power_domain="hall"))
    hall = PowerBudget("hall", 2500.0)
    problem = Problem((service(4.0, hot, cool),), pools, (hall, PowerBudget("row", 9000.0, "hall")))
    # 2 x 1000 + 2 x 200 W
    assert optimum(problem) == 2 * 1.0 + 2 * 3.0
    tighter = replace(problem, power_domains=(hall, PowerBudget("row", 1999.0, "hall")))
    assert optimum(tighter) == 1.0 + 3 * 3.0


def test_a_replica_sits_on_one_node() -> None:
    pair = replace(CHEAP, gpus_per_replica=2)
    # Six GPUs, but each node has room for one pair and a half.
    assert optimum(_problem(service(3.0, pair, DEAR), cheap=Pool("cheap", 6, (3, 3)))) == 2 * 1.0 + 3.0
    assert optimum(_problem(service(3.0, pair, DEAR), cheap=Pool("cheap", 6, (4, 2)))) == 3.0
    assert optimum(_problem(service(3.0, pair), cheap=Pool("cheap", 6, (3, 3)))) is None


def test_whole_nodes_are_paid() -> None:
    node = Pool("cheap", node_price=NodePrice(4, 4.0))
    assert optimum(_problem(service(5.0, CHEAP), cheap=node)) == 8.0
    # One by the GPU is cheaper than a second node for it.
    assert optimum(_problem(service(5.0, CHEAP, DEAR), cheap=node)) == 4.0 + 3.0
    one = replace(node, node_price=NodePrice(4, 4.0, max_nodes=1))
    assert optimum(_problem(service(5.0, CHEAP), cheap=one)) is None


def test_services_share_nodes() -> None:
    pair = replace(CHEAP, gpus_per_replica=2, cost_per_hour=2.0)
    node = Pool("cheap", node_price=NodePrice(4, 4.0))
    assert optimum(_problem(service(1.0, pair, name="a"), service(1.0, pair, name="b"), cheap=node)) == 4.0


def test_switching_cost() -> None:
    runs = variant("runs", 1.0, 2.0, current_replicas=2, startup_seconds=1800.0)
    new = variant("new", 1.0, 1.5, startup_seconds=1800.0)
    # New ones cost 1.5 x (1 + 1800 / 3600) = 2.25 each, those that run 2.
    assert optimum(_problem(service(2.0, runs, new))) == 4.0
    assert optimum(_problem(service(3.0, runs, new))) == 4.0 + 2.25
    longer = replace(service(2.0, runs, replace(new, drain_seconds=600.0)), stay_seconds=9600.0)
    assert optimum(_problem(longer)) == pytest.approx(2 * 1.875)
