"""Which shared limits leave one service no room, whoever uses them."""

from __future__ import annotations

from dataclasses import replace

from medley_planner.explain import binding_limits
from medley_planner.model import LimitKind, LimitUse, Pool, PowerBudget, Problem
from tests.unit.planner.explain.small import planned, problem, service, variant

# Each replica serves 1 request/s, for $1 from the cheap pool and for $3 from the dear one.
CHEAP = variant("cheap", 1.0, 1.0)
DEAR = variant("dear", 3.0, 1.0)
WIDE = variant("wide", 4.0, 2.0, pool="cheap", gpus=2)


def named(uses: tuple[LimitUse, ...]) -> list[tuple[LimitKind, str, int]]:
    return [(use.kind, use.name, use.size) for use in uses]


def test_what_others_fill_binds_for_all_that_could_use_it_and_for_no_one_else() -> None:
    first = service(CHEAP, rate=4.0, name="first")
    second = service(CHEAP, DEAR, rate=2.0, name="second")
    apart = service(DEAR, rate=1.0, name="apart")
    asked = problem(first, second, apart, cheap=4, dear=9)
    plan = planned(asked)
    assert plan.services[1].replicas() == {"cheap": 0, "dear": 2}
    found = binding_limits(asked, plan)
    stock = [(LimitKind.STOCK, "cheap", 1)]
    assert {name: named(uses) for name, uses in found.items()} == {"first": stock, "second": stock, "apart": []}
    # The price that the plan proves comes along.
    (use,) = found["second"]
    assert use in plan.limits
    assert use.shadow_price_per_hour is not None
    assert use.shadow_price_per_hour > 0


def test_it_binds_by_the_smallest_replica_of_the_service_itself() -> None:
    small = service(CHEAP, rate=1.0, name="small")
    large = service(WIDE, DEAR, rate=4.0, name="large")
    either = service(WIDE, CHEAP, rate=1.0, name="either")
    asked = problem(small, large, either, cheap=3)
    plan = planned(asked)
    assert plan.limits[0].used == 2
    found = binding_limits(asked, plan)
    assert {name: named(uses) for name, uses in found.items()} == {
        "small": [],
        "large": [(LimitKind.STOCK, "cheap", 1)],
        "either": [],
    }


def test_a_variant_that_may_have_no_replica_makes_nothing_bind() -> None:
    closed = service(replace(CHEAP, max_replicas=0), DEAR, rate=1.0, name="closed")
    asked = problem(service(CHEAP, rate=4.0, name="first"), closed, cheap=4)
    assert binding_limits(asked, planned(asked))["closed"] == ()


def test_places_and_watts_bind_too() -> None:
    powered = replace(CHEAP, watts=100.0)
    pools = (Pool("cheap", node_gpus=(2, 2), power_domain="row"), Pool("dear"))
    wide = replace(WIDE, cost_per_hour=2.0, watts=200.0)
    asked = Problem(
        (service(powered, rate=3.0, name="first"), service(wide, DEAR, rate=1.0, name="second")),
        pools,
        power_domains=(PowerBudget("hall", 350.0), PowerBudget("row", 1000.0, parent="hall")),
    )
    plan = planned(asked)
    assert plan.services[1].replicas() == {"wide": 0, "dear": 1}
    found = binding_limits(asked, plan)
    assert set(named(found["first"])) == {(LimitKind.POWER, "hall", 1)}
    # Three GPUs of four are in use: one is left, and no two. The plan shows the nodes' GPUs as a stock as well.
    assert set(named(found["second"])) == {
        (LimitKind.STOCK, "cheap", 1),
        (LimitKind.SLOTS, "cheap", 1),
        (LimitKind.POWER, "hall", 1),
    }
