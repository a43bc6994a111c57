"""The cheapest row of fleets against every row of every fleet, billed and judged by other code."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from medley_planner.model import (
    Bucket,
    Demand,
    NodePrice,
    Pool,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)
from medley_planner.optimize import InvalidProblem
from medley_planner.over_time import Stretch, billed, cheapest_schedule
from tests.brute_force import fewest_nodes, serves, work

DRAIN_SECONDS = 60.0


def demand(rate_rps: float, *sizes: float) -> Demand:
    shares = sizes or (1.0,)
    buckets = tuple(Bucket(100.0 * (place + 1), 100.0) for place in range(len(shares)))
    return Demand(rate_rps, buckets, shares, SizeSource.STATIC)


def variant(name: str, price: float, *capacity: float, startup_seconds: float = 600.0, running: int = 0) -> Variant:
    return Variant(
        name,
        name,
        name,
        1,
        price,
        capacity,
        Provenance.GIVEN,
        startup_seconds=startup_seconds,
        current_replicas=running,
    )


def problem(*variants: Variant, routing: RoutingMode = RoutingMode.HTTP_ROUTE, pools: Sequence[Pool] = ()) -> Problem:
    service = Service(
        "s", demand(1.0, *[1.0 / len(variants[0].capacity_rps)] * len(variants[0].capacity_rps)), variants, routing
    )
    return Problem((service,), tuple(pools) or tuple(Pool(each.pool) for each in variants))


def drawn(seed: int, routing: RoutingMode) -> tuple[Problem, list[Stretch]]:
    """Two or three types, three or four stretches, at times with stock, running replicas and whole nodes."""
    draw = random.Random(f"schedule {seed}")  # noqa: S311 - instances, not secrets
    sizes = 1 if routing.blind else 2
    variants = []
    pools = []
    for place in range(draw.randint(2, 3)):
        fast = draw.uniform(1.0, 4.0)
        row = [round(fast * draw.uniform(0.7, 1.4), 3) for _ in range(sizes)]
        price = round(fast * draw.uniform(0.6, 1.4), 2)
        startup = draw.choice((0.0, 120.0, 600.0, 1800.0))
        variants.append(variant(f"v{place}", price, *row, startup_seconds=startup, running=draw.choice((0, 0, 1, 2))))
        node = NodePrice(2, 2 * price) if draw.random() < 0.3 else None
        pools.append(Pool(f"v{place}", stock_gpus=draw.choice((None, 4)) if node is None else None, node_price=node))
    stretches = [
        Stretch(draw.choice((60.0, 600.0, 3600.0)), demand(draw.uniform(0.5, 4.0), *[1 / sizes] * sizes))
        for _ in range(draw.randint(3, 4))
    ]
    return problem(*variants, routing=routing, pools=pools), stretches


def bill(asked: Problem, stretches: Sequence[Stretch], row: Sequence[Sequence[int]]) -> float:
    """By hand: every replica or node by the hour, those that start and those that drain beside the others."""
    variants, pools = asked.services[0].variants, {pool.name: pool for pool in asked.pools}
    before = [each.current_replicas for each in variants]
    total = 0.0
    for fleet, stretch in zip(row, stretches, strict=True):
        for each, old, new in zip(variants, before, fleet, strict=True):
            node = pools[each.pool].node_price

            def hourly(count: int, each: Variant = each, node: NodePrice | None = node) -> float:
                if node is None:
                    return count * each.cost_per_hour
                nodes = fewest_nodes(node.gpus, (each.gpus_per_replica,) * count, None)
                return (nodes or 0) * node.cost_per_hour

            total += hourly(new) * stretch.seconds
            total += max(0.0, hourly(new) - hourly(old)) * each.startup_seconds
            total += max(0.0, hourly(old) - hourly(new)) * DRAIN_SECONDS
        before = list(fleet)
    return total / 3600


def cheapest_by_hand(asked: Problem, stretches: Sequence[Stretch]) -> float:
    """From each fleet to each, with far more replicas of each variant than are needed."""
    service, pools = asked.services[0], {pool.name: pool for pool in asked.pools}
    most = [6 if (stock := pools[each.pool].stock_gpus) is None else stock for each in service.variants]
    spent = {tuple(each.current_replicas for each in service.variants): 0.0}
    for stretch in stretches:
        now = replace(service, demand=stretch.demand)
        works = [work(now, each) for each in now.variants]
        able = [
            fleet for fleet in itertools.product(*(range(count + 1) for count in most)) if serves(now, fleet, works)
        ]
        spent = {
            fleet: min(cost + bill(with_running(asked, old), [stretch], [fleet]) for old, cost in spent.items())
            for fleet in able
        }
    return min(spent.values())


def with_running(asked: Problem, fleet: Sequence[int]) -> Problem:
    service = asked.services[0]
    variants = tuple(replace(each, current_replicas=count) for each, count in zip(service.variants, fleet, strict=True))
    return replace(asked, services=(replace(service, variants=variants),))


@pytest.mark.parametrize("routing", list(RoutingMode))
@pytest.mark.parametrize("seed", range(4))
def test_no_row_of_fleets_is_cheaper(seed: int, routing: RoutingMode) -> None:
    asked, stretches = drawn(seed, routing)
    found = cheapest_schedule(asked, stretches, drain_seconds=DRAIN_SECONDS)
    assert found.cost == pytest.approx(cheapest_by_hand(asked, stretches))
    assert found.cost == pytest.approx(bill(asked, stretches, found.fleets))
    assert found.bound == found.cost
    for fleet, stretch in zip(found.fleets, stretches, strict=True):
        now = replace(asked.services[0], demand=stretch.demand)
        assert serves(now, fleet, [work(now, each) for each in now.variants])


@pytest.mark.parametrize("seed", range(12))
def test_chosen_fleets_are_bounded_by_what_the_stretches_cost(seed: int) -> None:
    asked, stretches = drawn(seed, RoutingMode.HTTP_ROUTE)
    best = cheapest_schedule(asked, stretches, drain_seconds=DRAIN_SECONDS)
    found = cheapest_schedule(asked, stretches, drain_seconds=DRAIN_SECONDS, most_values=1)
    assert found.bound <= best.cost * (1 + 1e-9) <= found.cost * (1 + 2e-9)
    assert found.cost == pytest.approx(bill(asked, stretches, found.fleets))


def test_an_idle_replica_is_kept_through_a_short_gap_and_not_through_a_long_one() -> None:
    asked = problem(variant("a", 1.0, 1.0, startup_seconds=600.0, running=2))
    for gap_seconds, kept in ((300.0, 2), (3600.0, 1)):
        stretches = [Stretch(3600.0, demand(2.0)), Stretch(gap_seconds, demand(0.5)), Stretch(3600.0, demand(2.0))]
        found = cheapest_schedule(asked, stretches)
        assert found.fleets == ((2,), (kept,), (2,))


def test_dear_replicas_are_left_only_for_a_load_that_stays() -> None:
    asked = problem(variant("old", 2.0, 1.0, running=4), variant("new", 3.0, 2.0, startup_seconds=1800.0))
    for seconds, row in ((600.0, (4, 0)), (36000.0, (0, 2))):
        assert cheapest_schedule(asked, [Stretch(seconds, demand(4.0))]).fleets == (row,)


def test_replicas_of_several_sizes_share_whole_nodes() -> None:
    wide = replace(variant("wide", 2.0, 2.0), pool="node", gpus_per_replica=2)
    small = replace(variant("small", 1.0, 1.0), pool="node")
    asked = problem(wide, small, pools=[Pool("node", node_price=NodePrice(4, 4.0))])
    found = billed(asked, [Stretch(3600.0, demand(1.0))] * 2, [(1, 2), (1, 3)])
    assert found.running_costs == (4.0, 8.0)
    assert found.change_costs == pytest.approx((4.0 * 600 / 3600, 4.0 * 600 / 3600))
    best = cheapest_schedule(asked, [Stretch(3600.0, demand(1.0))])
    assert best.bound < best.cost == pytest.approx(4.0 + 4.0 * 600 / 3600)


def test_what_cannot_be_scheduled_is_named() -> None:
    asked = problem(variant("a", 1.0, 1.0), pools=[Pool("a", stock_gpus=1)])
    with pytest.raises(InvalidProblem, match="stretch 1: rate_rps is 5: no fleet within the limits"):
        cheapest_schedule(asked, [Stretch(60.0, demand(1.0)), Stretch(60.0, demand(5.0))])
    with pytest.raises(InvalidProblem, match="stretch 0: seconds is -1"):
        cheapest_schedule(asked, [Stretch(-1.0, demand(1.0))])
    with pytest.raises(InvalidProblem, match="seconds is NaN"):
        cheapest_schedule(asked, [Stretch(math.nan, demand(1.0))])
    safe = replace(asked, services=(replace(asked.services[0], n_plus_one=True),))
    with pytest.raises(InvalidProblem, match="service s: rules is"):
        cheapest_schedule(safe, [Stretch(60.0, demand(0.5))])
    with pytest.raises(InvalidProblem, match="services is 0"):
        cheapest_schedule(replace(asked, services=()), [])
    assert cheapest_schedule(asked, []).cost == billed(asked, [], []).cost == 0.0
