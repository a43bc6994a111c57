"""What is left out where not all demand can be served: chosen for all services together, by the size of the fleet.

A small card serves short requests only, a large one serves all. A service that is blind to size serves both sizes on
large cards, or the short ones on any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from medley_planner.model import (
    Bucket,
    Demand,
    Plan,
    PlanStatus,
    Pool,
    PowerBudget,
    Priority,
    Problem,
    RoutingMode,
    Service,
    SizeSource,
    UnservedReason,
)
from medley_planner.optimize import plan, verify
from tests.unit.planner.optimize.small import service, variant

_SHORT, _LONG = Bucket(100.0, 10.0), Bucket(9000.0, 10.0)


def _mixed(name: str, rate_rps: float) -> Service:
    """1 % of the requests are long; the small card cannot serve those."""
    asked = service(
        rate_rps,
        variant("large", (50.0, 10.0), 5.0),
        variant("small", (5.0, 0.0), 1.0),
        name=name,
        prompt_tokens=(1.0, 2.0),
    )
    return _with_demand(asked, Demand(rate_rps, (_SHORT, _LONG), (0.99, 0.01), SizeSource.STATIC))


def _with_demand(asked: Service, demand: Demand) -> Service:
    return replace(asked, demand=demand)


def _long(name: str, priority: Priority = Priority.HIGH) -> Service:
    """Half a large card's worth of long requests."""
    return service(5.0, variant("large", 10.0, 5.0), name=name, priority=priority)


def _planned(problem: Problem) -> Plan:
    found = plan(problem)
    assert verify(problem, found) == ()
    return found


def _served(found: Plan) -> Mapping[str, dict[str, int]]:
    return {each.service: {n: count for n, count in each.replicas().items() if count} for each in found.services}


@pytest.mark.parametrize("others", [1, 3, 5, 12])
def test_a_service_is_not_dark_while_a_pool_is_idle(others: int) -> None:
    """Others need all large cards; the small ones serve 8.91 of its 9 requests per second for two dollars."""
    fleet = (*(_long(f"docs-{number}") for number in range(others)), _mixed("chat", 9.0))
    found = _planned(Problem(fleet, (Pool("large", stock_gpus=others), Pool("small"))))
    assert _served(found)["chat"] == {"small": 2}
    (unserved,) = found.services[-1].unserved
    assert unserved.rate_rps == pytest.approx(0.09)
    assert (unserved.bucket, unserved.reason, unserved.limits) == (1, UnservedReason.STOCK, ("large",))
    assert found.cost_per_hour == pytest.approx(5.0 * others + 2.0)
    assert not any(each.unserved for each in found.services[:-1])


@pytest.mark.parametrize("others", [1, 12])
def test_a_higher_service_takes_what_a_cut_of_its_demand_can_use(others: int) -> None:
    """It cannot have a large card, so it gets the small ones that a lower service would use."""
    low = service(9.0, variant("small", 5.0, 1.0), name="batch", priority=Priority.LOW)
    fleet = (*(_long(f"docs-{number}") for number in range(others)), _mixed("chat", 9.0), low)
    found = _planned(Problem(fleet, (Pool("large", stock_gpus=others), Pool("small", stock_gpus=2))))
    assert _served(found)["chat"] == {"small": 2}
    assert _served(found)["batch"] == {}


@pytest.mark.parametrize("routing", [RoutingMode.HTTP_ROUTE, RoutingMode.INFERENCE_POOL])
def test_the_cut_that_serves_most_is_taken(routing: RoutingMode) -> None:
    """One large card serves a fifth of the load of both sizes, any number of small ones all that is short."""
    demand = Demand(100.0, (Bucket(1000.0, 100.0), Bucket(1000.0, 2000.0)), (0.98, 0.02), SizeSource.STATIC)
    asked = service(
        100.0,
        variant("small", (5.0, 0.0), 0.8),
        variant("large", (20.0, 5.0), 7.0),
        prompt_tokens=(1.0, 2.0),
        routing=routing,
    )
    problem = Problem((_with_demand(asked, demand),), (Pool("small"), Pool("large", stock_gpus=1)))
    found = _planned(problem)
    assert found.services[0].replicas() == {"small": 20, "large": 0}
    assert sum(entry.rate_rps for entry in found.services[0].unserved) == pytest.approx(2.0)
    assert found.cost_per_hour == pytest.approx(16.0)
    assert found.lower_bound_per_hour == pytest.approx(16.0)


@pytest.mark.parametrize("routing", [RoutingMode.HTTP_ROUTE, RoutingMode.INFERENCE_POOL, RoutingMode.SERVICE])
def test_two_variants_serve_what_both_can(routing: RoutingMode) -> None:
    """Neither serves all sizes; of the middle one, which both serve, each carries 5 of 16 requests per second."""
    buckets = (Bucket(1.0, 1.0), Bucket(1.0, 2.0), Bucket(1.0, 3.0))
    asked = service(
        20.0,
        variant("a", (5.0, 5.0, 0.0), 1.0),
        variant("b", (0.0, 5.0, 5.0), 1.0),
        prompt_tokens=(1.0, 2.0, 3.0),
        routing=routing,
    )
    one_each = (Pool("a", stock_gpus=1), Pool("b", stock_gpus=1))
    demand = Demand(20.0, buckets, (0.1, 0.8, 0.1), SizeSource.STATIC)
    found = _planned(Problem((_with_demand(asked, demand),), one_each))
    assert found.services[0].replicas() == {"a": 1, "b": 1}
    assert sum(entry.rate_rps for entry in found.services[0].unserved) == pytest.approx(10.0)


def test_no_rule_is_kept_by_replicas_that_get_no_requests() -> None:
    """Two zones are asked for, and the card in the second one cannot serve the first size."""
    asked = service(
        8.0, variant("a", (2.0, 2.0), 1.0), variant("b", (0.0, 2.0), 1.0), prompt_tokens=(1.0, 2.0), zone_spread=True
    )
    found = _planned(Problem((asked,), (Pool("a", zones=("x",)), Pool("b", zones=("y",)))))
    assert found.services[0].status is PlanStatus.PARTIAL
    (unserved,) = found.services[0].unserved
    assert unserved.bucket == 0
    assert unserved.rate_rps == pytest.approx(4.0)
    assert _served(found) == {"chat": {"a": 1, "b": 1}}


def test_equal_cuts_are_chosen_by_cost() -> None:
    asked = service(
        8.0, variant("a", (5.0, 0.0), 3.0), variant("b", (0.0, 5.0), 1.0), prompt_tokens=(1.0, 2.0), name="chat"
    )
    found = _planned(Problem((asked,), (Pool("a"), Pool("b"))))
    assert found.services[0].replicas() == {"a": 0, "b": 1}
    assert found.lower_bound_per_hour == pytest.approx(1.0)


@pytest.mark.parametrize("services", [1, 5])
def test_no_replica_is_kept_that_serves_nothing_when_another_is_lost(services: int) -> None:
    fleet = tuple(
        service(1.0, variant("p", 2.0, 1.23), routing=RoutingMode.SERVICE, n_plus_one=True, name=f"s{number}")
        for number in range(services)
    )
    found = _planned(Problem(fleet, (Pool("p", stock_gpus=1),)))
    assert (found.cost_per_hour, found.lower_bound_per_hour) == (0.0, 0.0)
    (unserved,) = found.services[0].unserved
    assert (unserved.reason, unserved.limits) == (UnservedReason.STOCK, ("p",))


def test_what_cannot_be_used_is_left_to_others() -> None:
    """The first service needs two zones and there is one, so all watts serve the second."""
    unlucky = service(
        1.0, variant("p", 2.0, 1.0, watts=500.0), routing=RoutingMode.SERVICE, n_plus_one=True, zone_spread=True
    )
    other = service(4.0, variant("q", 2.0, 1.0, watts=500.0), name="other")
    pools = (Pool("p", power_domain="rack"), Pool("q", power_domain="rack"))
    found = _planned(Problem((unlucky, other), pools, (PowerBudget("rack", 1000.0),)))
    assert _served(found) == {"chat": {}, "other": {"q": 2}}
    assert found.services[1].unserved == ()


@pytest.mark.parametrize("others", [0, 4])
def test_a_minimum_that_cannot_be_met_forbids_nothing(others: int) -> None:
    """The card of the minimum is not to be had, so it gets no part of the traffic either."""
    chat = service(
        10.0,
        variant("missing", (5.0, 0.0), 1.0, min_replicas=1),
        variant("large", (50.0, 10.0), 5.0),
        routing=RoutingMode.SERVICE,
        prompt_tokens=(1.0, 2.0),
    )
    chat = _with_demand(chat, Demand(10.0, (_SHORT, _LONG), (0.3, 0.7), SizeSource.STATIC))
    fleet = (chat, *(_long(f"docs-{number}") for number in range(others)))
    found = _planned(Problem(fleet, (Pool("missing", stock_gpus=0), Pool("large", stock_gpus=1 + others))))
    assert (found.services[0].status, found.services[0].unserved) == (PlanStatus.PARTIAL, ())
    assert _served(found)["chat"] == {"large": 1}
