"""Which limits bind, what the next replica at them saves, and how nodes and watts are counted."""

from __future__ import annotations

from dataclasses import replace

from medley_planner.explain import PriceSource, explain
from medley_planner.explain.usage import limit_uses
from medley_planner.model import LimitKind, LimitUse, NodePrice, Plan, PlanStatus, Pool, PowerBudget, Problem
from tests.unit.planner.explain.small import about, planned, problem, service, unpriced, variant

# Each replica serves 1 request/s, for $1 from the cheap pool and for $3 from the dear one.
CHEAP = variant("cheap", 1.0, 1.0)
DEAR = variant("dear", 3.0, 1.0)


def test_the_price_of_stock_is_the_true_saving_of_one_more() -> None:
    asked = problem(service(CHEAP, DEAR, rate=6.0), cheap=4)
    plan = planned(asked)
    assert plan.cost_per_hour == about(4 * 1.0 + 2 * 3.0)
    (limit,) = explain(asked, unpriced(plan)).limits
    assert (limit.kind, limit.name, limit.used, limit.limit, limit.binding) == (LimitKind.STOCK, "cheap", 4, 4, True)
    assert limit.source is PriceSource.NEW_PLAN
    more = planned(replace(asked, pools=(Pool("cheap", 5), Pool("dear"))))
    assert limit.step_saving_per_hour == about(plan.cost_per_hour - more.cost_per_hour) == about(2.0)
    assert limit.price_per_hour is None


def test_a_limit_with_room_does_not_bind_and_is_not_priced() -> None:
    asked = problem(service(CHEAP, DEAR, rate=6.0), cheap=7)
    (limit,) = explain(asked, planned(asked)).limits
    assert not limit.binding
    assert limit.step_saving_per_hour is None


def test_a_limit_binds_where_the_smallest_replica_does_not_fit() -> None:
    wide = variant("wide", 2.0, 2.0, gpus=2)
    asked = problem(service(wide, DEAR, rate=4.0), wide=3)
    plan = planned(asked)
    assert plan.services[0].replicas() == {"wide": 1, "dear": 2}
    (limit,) = explain(asked, unpriced(plan)).limits
    assert (limit.used, limit.limit, limit.binding, limit.step) == (2, 3, True, 2)
    # Two more GPUs are one more wide replica ($2) instead of two dear ones ($6).
    assert limit.step_saving_per_hour == about(4.0)


def test_where_demand_is_unmet_more_stock_serves_more() -> None:
    asked = problem(service(CHEAP, rate=6.0), cheap=4)
    (limit,) = explain(asked, unpriced(planned(asked))).limits
    assert limit.step_served_rps == about(1.0)
    assert limit.step_saving_per_hour is None


def test_where_one_more_saves_nothing_it_is_told_how_many_do() -> None:
    """A wide replica serves twice as much for thrice the price: only two more cheap ones stand in for one of them."""
    asked = problem(service(CHEAP, variant("wide", 3.0, 2.0), rate=6.0), cheap=2)
    plan = planned(asked)
    (limit,) = explain(asked, unpriced(plan)).limits
    assert (limit.source, limit.step, limit.step_saving_per_hour) == (PriceSource.NEW_PLAN, 2, about(1.0))


def test_a_price_of_nothing_is_not_believed_where_the_limit_binds() -> None:
    """The relaxation sees no use for one more GPU; whole replicas do: 15 and 13 of 0.02 req/s each, then 16 and 11."""
    asked = problem(service(variant("p0", 0.7, 0.02141), variant("p2", 1.0, 0.01977), rate=0.56), p0=15)
    plan = planned(asked)
    told = (LimitUse(LimitKind.STOCK, "p0", 1, 15, 15, 0.0),)
    (limit,) = explain(asked, replace(plan, limits=told)).limits
    assert (limit.source, limit.price_per_hour) == (PriceSource.NEW_PLAN, None)
    more = planned(replace(asked, pools=(Pool("p0", 16), Pool("p2"))))
    assert limit.step_saving_per_hour == about(plan.cost_per_hour - more.cost_per_hour) == about(1.3)


def test_the_plans_own_price_is_taken() -> None:
    asked = problem(service(CHEAP, DEAR, rate=6.0), cheap=4)
    told = (LimitUse(LimitKind.STOCK, "cheap", 1, 4, 4, 1.75),)
    (limit,) = explain(asked, replace(planned(asked), limits=told)).limits
    assert limit.source is PriceSource.RELAXATION
    assert limit.price_per_hour == 1.75
    assert limit.step_saving_per_hour is None


def test_without_time_the_price_is_left_open() -> None:
    asked = problem(service(CHEAP, DEAR, rate=6.0), cheap=4)
    (limit,) = explain(asked, unpriced(planned(asked)), seconds=0).limits
    assert limit.binding
    assert limit.source is None
    assert limit.step_saving_per_hour is None


def _by_hand(asked: Problem, **replicas: int) -> Plan:
    """The plan that has these replicas, for what is counted and not planned."""
    plan = planned(problem(*asked.services))
    (one,) = plan.services
    parts = tuple(replace(part, replicas=replicas.get(part.variant, 0)) for part in one.variants)
    return replace(plan, status=PlanStatus.OPTIMAL, services=(replace(one, variants=parts),))


def test_places_on_nodes_are_counted_by_size() -> None:
    one, four = variant("one", 1.0, 1.0, pool="p"), variant("four", 4.0, 5.0, pool="p", gpus=4)
    asked = Problem((service(one, four, rate=6.0),), (Pool("p", 16, node_gpus=(8, 6, 2)),))
    uses = {(use.kind, use.size): (use.used, use.limit) for use in limit_uses(asked, _by_hand(asked, one=3, four=2))}
    assert uses == {
        (LimitKind.STOCK, 1): (11, 16),
        (LimitKind.SLOTS, 1): (11, 16),
        (LimitKind.SLOTS, 4): (2, 3),
    }


def test_nodes_to_buy_have_places_up_to_their_number() -> None:
    two = variant("two", 1.0, 1.0, pool="p", gpus=2)
    pools = (Pool("p", node_price=NodePrice(gpus=8, cost_per_hour=4.0, max_nodes=3)),)
    asked = Problem((service(two, rate=6.0),), pools)
    (use,) = limit_uses(asked, _by_hand(asked, two=5))
    assert (use.kind, use.size, use.used, use.limit) == (LimitKind.SLOTS, 2, 5, 12)


def test_watts_are_summed_over_the_domains_below() -> None:
    row = replace(variant("row", 1.0, 1.0), watts=300.0)
    rack = replace(variant("rack", 1.0, 1.0), watts=500.0)
    domains = (PowerBudget("site", 5000.0), PowerBudget("hall", 2000.0, parent="site"))
    asked = Problem(
        (service(row, rack, rate=6.0),), (Pool("row", power_domain="site"), Pool("rack", power_domain="hall")), domains
    )
    uses = {use.name: (use.kind, use.used, use.limit) for use in limit_uses(asked, _by_hand(asked, row=2, rack=3))}
    assert uses == {"site": (LimitKind.POWER, 2100.0, 5000.0), "hall": (LimitKind.POWER, 1500.0, 2000.0)}
