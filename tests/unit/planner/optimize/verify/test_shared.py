"""Each limit that the verifier knows, at its edge: what just keeps it passes, one step further is named by its rule."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import medley_planner
from medley_planner.model import (
    LimitKind,
    NodeCount,
    NodePrice,
    Plan,
    PlanStatus,
    Pool,
    PowerDomain,
    Priority,
    Problem,
    RoutingMode,
    Service,
    SingleType,
    Unserved,
    UnservedReason,
)
from medley_planner.optimize import Rule, verify
from tests.brute_force import Fleet
from tests.plan_by_hand import plan_of
from tests.unit.planner.optimize.small import service, variant

CHEAP = variant("cheap", 1.0, 1.0)
DEAR = variant("dear", 1.0, 3.0)


def _problem(*services: Service, **pools: Pool) -> Problem:
    names = sorted({variant.pool for service in services for variant in service.variants})
    return Problem(services, tuple(pools.get(name, Pool(name)) for name in names))


def _broken(problem: Problem, *fleets: Fleet, served: Sequence[float] | None = None) -> list[Rule]:
    return [violation.rule for violation in verify(problem, plan_of(problem, fleets, served))]


def test_staffing_asks_for_more_the_fewer_there_are() -> None:
    # 4 + 1 x sqrt(4)
    problem = _problem(service(4.0, CHEAP, staffing_beta=1.0))
    assert _broken(problem, (6,)) == []
    assert _broken(problem, (5,)) == [Rule.CAPACITY]


@pytest.mark.parametrize(
    ("routing", "good", "bad"),
    [
        # fast: 2 carry all, slow: 4. By weight 2/2 + 2/4 less 1/2 is 1; 1/2 + 3/4 less 1/2 is not.
        (RoutingMode.HTTP_ROUTE, (2, 2), (1, 3)),
        (RoutingMode.SERVICE, (1, 4), (1, 3)),
        (RoutingMode.PER_BUCKET, (2, 3), (2, 2)),
        (RoutingMode.INFERENCE_POOL, (2, 3), (2, 2)),
    ],
)
def test_what_is_served_survives_the_loss_of_a_replica(routing: RoutingMode, good: Fleet, bad: Fleet) -> None:
    fast, slow = variant("fast", 2.0, 3.0), variant("slow", 1.0, 1.0)
    problem = _problem(service(4.0, fast, slow, routing=routing, n_plus_one=True))
    assert _broken(problem, good) == []
    assert Rule.N_PLUS_ONE in _broken(problem, bad)


def test_only_what_is_served_has_to_survive() -> None:
    problem = _problem(service(4.0, CHEAP, n_plus_one=True))
    assert _broken(problem, (3,), served=[0.5]) == []
    assert _broken(problem, (3,), served=[0.6]) == [Rule.N_PLUS_ONE]


def test_spot_share_and_floor() -> None:
    problem = _problem(service(4.0, CHEAP, DEAR, spot_max_share=0.5), cheap=Pool("cheap", spot=True))
    assert _broken(problem, (2, 2)) == []
    assert _broken(problem, (3, 2)) == [Rule.SPOT_SHARE]
    floor = _problem(service(4.0, CHEAP, DEAR, on_demand_min_replicas=2), cheap=Pool("cheap", spot=True))
    assert _broken(floor, (2, 2)) == []
    assert _broken(floor, (3, 1)) == [Rule.ON_DEMAND_FLOOR]
    assert _broken(floor, (2, 1), served=[0.75]) == [], "a Partial plan may miss a minimum"


def test_zones() -> None:
    wanted = service(2.0, CHEAP, DEAR, zone_spread=True)
    a, b = Pool("cheap", zones=("a",)), Pool("dear", zones=("b",))
    assert _broken(_problem(wanted, cheap=a, dear=b), (1, 1)) == []
    assert _broken(_problem(wanted, cheap=a, dear=b), (2, 0)) == [Rule.ZONE_SPREAD]
    assert _broken(_problem(wanted, cheap=replace(a, zones=("a", "b")), dear=b), (2, 0)) == []
    assert _broken(_problem(wanted, cheap=a), (1, 1)) == [Rule.ZONE_SPREAD], "a pool without zones is nowhere else"
    assert _broken(_problem(wanted), (1, 1)) == [Rule.ZONE_SPREAD]
    assert _broken(_problem(wanted), (1, 0), served=[0.5]) == [], "one replica has nothing to spread"


def test_budget() -> None:
    assert _broken(_problem(service(4.0, DEAR, max_cost_per_hour=12.0)), (4,)) == []
    assert _broken(_problem(service(4.0, DEAR, max_cost_per_hour=11.99)), (4,)) == [Rule.BUDGET]


def test_power_counts_in_the_domain_above_too() -> None:
    hot, cool = replace(CHEAP, watts=1000.0), replace(DEAR, watts=200.0)
    pools = (Pool("cheap", power_domain="row"), Pool("dear", power_domain="hall"))
    domains = (PowerDomain("hall", 2400.0), PowerDomain("row", 9000.0, "hall"))
    problem = Problem((service(4.0, hot, cool),), pools, domains)
    assert _broken(problem, (2, 2)) == []
    assert _broken(problem, (3, 1)) == [Rule.POWER]
    assert [violation.service for violation in verify(problem, plan_of(problem, [(3, 1)]))] == [""]


def test_replicas_are_placed_on_nodes() -> None:
    pair = replace(CHEAP, gpus_per_replica=2)
    single = variant("single", 1.0, 1.0, pool="cheap")
    nodes = _problem(service(4.0, pair, single), cheap=Pool("cheap", 8, (3, 3, 1)))
    assert _broken(nodes, (2, 3)) == []
    assert _broken(nodes, (3, 1)) == [Rule.PACKING], "seven GPUs, but only two pairs of them"
    assert _broken(nodes, (2, 4)) == [Rule.PACKING]


def test_whole_nodes() -> None:
    four, one = variant("four", 4.0, 4.0, pool="p", gpus_per_replica=4), variant("one", 1.0, 1.0, pool="p")
    pool = Pool("p", node_price=NodePrice(8, 8.0, max_nodes=2))
    problem = _problem(service(9.0, four, one), p=pool)
    good = plan_of(problem, [(2, 1)])
    assert good.nodes == (NodeCount("p", 2, 16.0, 7.0),)
    assert good.cost_per_hour == 16.0
    assert verify(problem, good) == ()
    assert _broken(problem, (4, 1)) == [Rule.NODES], "a third node"
    alien = NodeCount("q", 1, 8.0, 0.0)
    assert Rule.NODES in {violation.rule for violation in verify(problem, replace(good, nodes=(*good.nodes, alien)))}


def test_a_replica_larger_than_a_node_has_no_place() -> None:
    sixteen = variant("v", 4.0, 16.0, pool="p", gpus_per_replica=16)
    problem = _problem(service(4.0, sixteen), p=Pool("p", node_price=NodePrice(8, 8.0)))
    assert Rule.PACKING in _broken(problem, (1,))


def test_switching_cost_is_that_of_new_replicas() -> None:
    started = variant("v", 1.0, 2.0, current_replicas=1, startup_seconds=900.0)
    problem = _problem(service(3.0, started))
    good = plan_of(problem, [(3,)])
    # Two new ones at 2 x 900 / 3600.
    assert good.switching_cost_per_hour == 1.0
    assert verify(problem, good) == ()
    on_cost_alone = replace(good, lower_bound_per_hour=good.cost_per_hour)
    assert [violation.rule for violation in verify(problem, on_cost_alone)] == [Rule.BOUND]


def test_buckets_of_one_prompt_size_go_alike_behind_an_inference_pool() -> None:
    one, other = variant("one", (9.0, 9.0), 1.0), variant("other", (9.0, 9.0), 1.0)
    by_size = service(2.0, one, other, prompt_tokens=(100.0, 900.0), routing=RoutingMode.INFERENCE_POOL)
    good = plan_of(_problem(by_size), [(1, 1)])
    parts = good.services[0].variants
    apart = [
        replace(part, bucket_shares=row, share=0.5, load=1 / 9)
        for part, row in zip(parts, ((1.0, 0.0), (0.0, 1.0)), strict=True)
    ]
    split = replace(good, services=(replace(good.services[0], variants=tuple(apart)),))
    assert verify(_problem(by_size), split) == ()
    alike = service(2.0, one, other, prompt_tokens=(100.0, 100.0), routing=RoutingMode.INFERENCE_POOL)
    assert {violation.rule for violation in verify(_problem(alike), split)} == {Rule.ROUTING}


def test_use_of_limits_is_the_true_one() -> None:
    pair = replace(CHEAP, gpus_per_replica=2)
    problem = _problem(service(2.0, pair), cheap=Pool("cheap", 8, (3, 3, 3)))
    good = plan_of(problem, [(2,)])
    told = {(entry.kind, entry.size): (entry.used, entry.limit) for entry in good.limits}
    assert told == {(LimitKind.STOCK, 1): (4.0, 8.0), (LimitKind.SLOTS, 2): (2.0, 3.0)}
    assert verify(problem, good) == ()


def _with_single(plan: Plan, single: SingleType) -> Plan:
    return replace(plan, services=(replace(plan.services[0], best_single=single), *plan.services[1:]))


def test_a_single_type_must_keep_the_limits_that_the_plan_keeps() -> None:
    single = SingleType("cheap", 4, 4.0)
    spot = _problem(service(4.0, CHEAP, DEAR, spot_max_share=0.5), cheap=Pool("cheap", spot=True))
    violations = verify(spot, _with_single(plan_of(spot, [(2, 2)]), single))
    assert [violation.rule for violation in violations] == [Rule.BEST_SINGLE]
    assert "spot" in violations[0].message
    short = _problem(service(4.0, CHEAP, DEAR), cheap=Pool("cheap", 3))
    assert Rule.BEST_SINGLE in {v.rule for v in verify(short, _with_single(plan_of(short, [(3, 1)]), single))}


def test_a_cheaper_single_type_is_no_fault_where_switching_to_it_is_dearer() -> None:
    runs = variant("runs", 1.0, 1.2, current_replicas=4)
    new = variant("new", 1.0, 1.0, startup_seconds=1800.0)
    problem = _problem(service(4.0, runs, new))
    single = SingleType("new", 4, 4.0)
    assert verify(problem, _with_single(plan_of(problem, [(4, 0)]), single)) == ()
    idle = _problem(service(4.0, replace(runs, current_replicas=0), replace(new, startup_seconds=0.0)))
    assert Rule.BEST_SINGLE in {v.rule for v in verify(idle, _with_single(plan_of(idle, [(4, 0)]), single))}


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_the_higher_priority_gets_a_replica_that_the_lower_one_uses(routing: RoutingMode) -> None:
    high = service(4.0, CHEAP, routing=routing, name="high", priority=Priority.HIGH)
    low = service(4.0, CHEAP, name="low", priority=Priority.LOW)
    problem = _problem(high, low, cheap=Pool("cheap", 5))
    assert _broken(problem, (4,), (1,), served=[1.0, 0.25]) == []
    violations = verify(problem, plan_of(problem, [(3,), (2,)], [0.75, 0.5]))
    assert [(violation.service, violation.rule) for violation in violations] == [("high", Rule.PRIORITY)]
    assert "1 requests/s more" in violations[0].message


@pytest.mark.parametrize("routing", [RoutingMode.PER_BUCKET, RoutingMode.INFERENCE_POOL])
def test_an_exchange_that_does_not_help_the_unserved_size_is_not_claimed(routing: RoutingMode) -> None:
    short, long = variant("short", (1.0, 0.0), 1.0), variant("long", (0.0, 1.0), 1.0)
    high = service(2.0, short, long, prompt_tokens=(1.0, 9.0), routing=routing, name="high", priority=Priority.HIGH)
    low = service(1.0, variant("short", 1.0, 1.0), name="low", priority=Priority.LOW)
    problem = _problem(high, low, short=Pool("short", 2), long=Pool("long", 0))
    made = plan_of(problem, [(1, 0), (1,)])
    short_part, long_part = made.services[0].variants
    partial = replace(
        made.services[0],
        status=PlanStatus.PARTIAL,
        variants=(short_part, replace(long_part, share=0.0, bucket_shares=(0.0, 0.0), load=0.0)),
        unserved=(Unserved(1, 1.0, UnservedReason.STOCK, ("long",)),),
    )
    plan = replace(made, status=PlanStatus.PARTIAL, services=(partial, made.services[1]))
    assert verify(problem, plan) == (), "of what is missing, the short one can serve nothing"


def test_imports_nothing_of_the_planner_but_the_model() -> None:
    files = sorted((Path(medley_planner.__file__).parent / "optimize" / "verify").glob("*.py"))
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                own = name.startswith(("medley_planner.optimize.verify", "medley_planner.model"))
                assert own or not name.startswith("medley"), f"{path.name} imports {name}"
