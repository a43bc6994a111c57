"""Where a route has not backends enough, the likeliest stay: what runs, what alone serves a size, each pool's best."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import RoutingMode, Variant
from medley_planner.variants import limit
from tests.unit.planner.variants.test_prune import service, variant

MANY = tuple(
    variant(f"p{pool}-{n}", 1, (1.0, 1.0), cost=1.0 + pool + 0.1 * n, pool=f"p{pool}")
    for pool in range(5)
    for n in range(4)
)


def kept(
    *variants: Variant, most: int, keep: tuple[str, ...] = (), routing: RoutingMode = RoutingMode.HTTP_ROUTE
) -> list[str]:
    found = limit(service(*variants, routing=routing), most=most, keep=keep)
    assert len(found.variants) + len(found.dropped) == len(variants)
    assert all(part.reason == "TooMany" for part in found.dropped)
    return [part.name for part in found.variants]


def test_nothing_goes_where_there_is_room() -> None:
    assert kept(*MANY, most=20) == [part.name for part in MANY]


def test_the_best_of_each_pool_then_the_cheapest() -> None:
    assert kept(*MANY, most=7) == ["p0-0", "p0-1", "p0-2", "p1-0", "p2-0", "p3-0", "p4-0"]
    assert kept(*MANY, most=3) == ["p0-0", "p1-0", "p2-0"]


def test_what_runs_stays_even_beyond_the_limit() -> None:
    assert kept(*MANY, most=3, keep=("p4-3", "p3-2")) == ["p0-0", "p3-2", "p4-3"]
    running = tuple(part.name for part in MANY[:6])
    assert kept(*MANY, most=3, keep=running) == list(running)
    needed = (*MANY[:-1], replace(MANY[-1], min_replicas=1))
    assert kept(*needed, most=1) == ["p4-3"]


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_no_size_loses_the_only_one_that_serves_it(routing: RoutingMode) -> None:
    short = [replace(part, capacity_rps=(1.0, 0.0)) for part in MANY]
    dear = variant("dear", 8, (0.1, 0.1), cost=900.0, pool="p0")
    assert "dear" in kept(*short, dear, most=2, routing=routing)


def test_whole_replicas_count() -> None:
    """A replica that could do a hundred times the work is not cheap for a load of half of what the small one serves."""
    small, large = variant("small", 1, (8.0,), cost=1.0), variant("large", 8, (800.0,), cost=8.0)
    assert kept(large, small, most=1) == ["small"]
    busy = service(large, small, rate=700.0)
    assert [part.name for part in limit(busy, most=1, keep=()).variants] == ["large"]


def test_a_router_that_is_blind_to_size_prefers_what_serves_all() -> None:
    partial = variant("partial", 1, (9.0, 0.0), cost=0.1)
    whole = [variant(f"whole{n}", 1, (1.0, 1.0), cost=2.0 + n) for n in range(2)]
    assert kept(partial, *whole, most=2) == ["whole0", "whole1"]
    assert kept(partial, *whole, most=2, routing=RoutingMode.PER_BUCKET) == ["partial", "whole0"]


def test_why_is_told_with_the_figure() -> None:
    found = limit(service(*MANY, rate=4.0), most=19, keep=())
    (dropped,) = found.dropped
    assert dropped.variant == "p4-3"
    assert "at most 19 variants" in dropped.message
    assert "$5.30/h per req/s" in dropped.message
