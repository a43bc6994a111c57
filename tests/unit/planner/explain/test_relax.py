"""Relaxations for unserved demand: the smallest value that serves all, and which limits cannot help alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from medley_planner.explain import RelaxationKind, RelaxationResult, explain
from medley_planner.model import Pool
from tests.unit.planner.explain.small import about, planned, problem, service, variant


def test_nothing_to_relax_where_all_is_served() -> None:
    asked = problem(service(variant("a", 1.0, 1.0), rate=3.0), a=3)
    assert explain(asked, planned(asked)).relaxations == ()


@pytest.mark.parametrize(("gpus", "stock", "needed"), [(1, 2, 7), (2, 5, 14), (4, 0, 28), (4, 6, 28)])
def test_the_smallest_stock_that_serves_all(gpus: int, stock: int, needed: int) -> None:
    asked = problem(service(variant("a", 1.0, 1.0, gpus=gpus), rate=7.0), a=stock)
    (found,) = explain(asked, planned(asked)).relaxations
    assert (found.kind, found.name, found.outcome) == (RelaxationKind.STOCK, "a", RelaxationResult.SERVES_ALL)
    assert (found.now, found.needed, found.smallest) == (stock, needed, True)
    assert found.cost_per_hour == about(7.0)
    enough = planned(replace(asked, pools=(Pool("a", needed),)))
    assert enough.services[0].unserved == ()
    less = planned(replace(asked, pools=(Pool("a", needed - 1),)))
    assert less.services[0].unserved != ()


def test_replicas_of_several_sizes_are_tried_in_steps_of_what_they_have_in_common() -> None:
    """One of 6 GPUs and one of 4 serve all: ten GPUs, from five."""
    large, small = variant("large", 6.0, 6.0, gpus=6), variant("small", 4.0, 4.0, gpus=4)
    asked = problem(service(replace(large, pool="a"), replace(small, pool="a"), rate=10.0), a=5)
    (found,) = explain(asked, planned(asked)).relaxations
    assert (found.now, found.needed, found.smallest) == (5, 10, True)


def test_a_share_of_spot_replicas_is_found_to_the_percent() -> None:
    asked = replace(service(variant("a", 1.0, 1.0), variant("b", 1.0, 2.0, most=2), rate=6.0), spot_max_share=1 / 3)
    whole = problem(asked)
    spot = replace(whole, pools=tuple(replace(pool, spot=pool.name == "a") for pool in whole.pools))
    (found, *_) = (one for one in explain(spot, planned(spot)).relaxations if one.kind is RelaxationKind.SPOT_SHARE)
    assert (found.needed, found.smallest) == (0.5, True)


def test_each_pool_is_tried_alone_and_the_cheapest_fleet_comes_first() -> None:
    asked = problem(service(variant("a", 3.0, 1.0), variant("b", 1.0, 1.0), rate=5.0), a=1, b=1)
    found = explain(asked, planned(asked)).relaxations
    assert [(entry.name, entry.needed) for entry in found] == [("b", 4.0), ("a", 4.0)]
    # Four of one beside the one of the other; with five of b nothing of a would be needed, but that is not the least.
    assert [entry.cost_per_hour for entry in found] == [about(7.0), about(13.0)]


def test_the_smallest_maximum_that_serves_all() -> None:
    asked = problem(replace(service(variant("a", 1.0, 1.0), rate=7.0), max_replicas=2))
    (found,) = explain(asked, planned(asked)).relaxations
    assert (found.kind, found.now, found.needed, found.smallest) == (RelaxationKind.MAX_REPLICAS, 2, 7, True)
    assert found.message == "raise max_replicas of chat from 2 to 7 replicas: all is served for $7.00/h"


def test_a_limit_that_is_not_enough_alone() -> None:
    asked = problem(replace(service(variant("a", 1.0, 1.0, most=3), rate=7.0), max_replicas=2))
    service_limit, variant_limit = explain(asked, planned(asked)).relaxations
    assert {service_limit.outcome, variant_limit.outcome} == {RelaxationResult.NOT_ENOUGH}
    assert (service_limit.name, service_limit.left_rps) == ("chat", about(4.0))
    assert (variant_limit.name, variant_limit.left_rps) == ("chat a", about(5.0))


def test_services_on_other_pools_are_left_out_of_the_question() -> None:
    short = service(variant("a", 1.0, 1.0), rate=4.0, name="short")
    far = service(variant("b", 1.0, 1.0), rate=9.0, name="far")
    asked = problem(short, far, a=1)
    (found,) = explain(asked, planned(asked)).relaxations
    assert (found.services, found.needed) == (("short",), 4.0)
    assert found.cost_per_hour == about(4.0 + 9.0)


def test_services_on_one_pool_are_served_together() -> None:
    one = service(variant("a", 1.0, 1.0, pool="p"), rate=4.0, name="one")
    two = service(variant("a", 1.0, 1.0, pool="p"), rate=3.0, name="two")
    asked = problem(one, two, p=2)
    (found,) = explain(asked, planned(asked)).relaxations
    assert found.needed == 7.0


def test_demand_that_no_variant_can_serve_is_named_and_not_tried() -> None:
    asked = problem(service(variant("a", 1.0, 1.0, 0.0), rate=4.0, shares=(0.75, 0.25)))
    (found,) = explain(asked, planned(asked)).relaxations
    assert (found.kind, found.outcome, found.left_rps) == (
        RelaxationKind.LATENCY_TARGET,
        RelaxationResult.NOT_TRIED,
        1.0,
    )
    assert "1000 prompt + 200 generated tokens" in found.message


def test_without_time_it_says_not_tried() -> None:
    asked = problem(service(variant("a", 1.0, 1.0), rate=7.0), a=2)
    (found,) = explain(asked, planned(asked), seconds=0).relaxations
    assert (found.outcome, found.message) == (RelaxationResult.NOT_TRIED, "not determined within the time limit")


def test_when_time_runs_out_between_the_tries_the_value_is_an_upper_bound() -> None:
    asked = problem(service(variant("a", 3.0, 1.0), variant("b", 1.0, 1.0, most=9), rate=9.0), a=3, b=2)
    plan = planned(asked)
    seen = []
    for reads in range(1, 20):
        ticks = itertools.chain(itertools.repeat(0.0, reads), itertools.repeat(1e6))
        found = explain(asked, plan, seconds=100.0, clock=lambda ticks=ticks: next(ticks)).relaxations  # type: ignore[misc]
        b = next(entry for entry in found if entry.name == "b")
        seen.append((b.outcome, b.needed, b.smallest))
    # First no time at all, then only to lift the limit (nine of b and nothing of a), then to halve once and twice.
    assert list(dict.fromkeys(seen)) == [
        (RelaxationResult.NOT_TRIED, None, False),
        (RelaxationResult.SERVES_ALL, 9, False),
        (RelaxationResult.SERVES_ALL, 7, False),
        (RelaxationResult.SERVES_ALL, 6, True),
    ]
