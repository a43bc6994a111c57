"""A malformed problem is refused by one exception that names the object, the field and the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from medley_planner.bad_input import shown
from medley_planner.model import (
    Bucket,
    Demand,
    NodePrice,
    Pool,
    PowerBudget,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)
from medley_planner.optimize import InvalidProblem, plan
from medley_planner.optimize.validate.problem import split_valid, validate

_VARIANT = Variant("v", "p", "g", 1, 1.0, (1.0, 2.0), Provenance.GIVEN)
_DEMAND = Demand(1.0, (Bucket(1, 1), Bucket(2, 2)), (0.5, 0.5), SizeSource.STATIC)
_SERVICE = Service("s", _DEMAND, (_VARIANT,), RoutingMode.HTTP_ROUTE)
_GOOD = Problem((_SERVICE,), (Pool("p", 4),))
_NAN = float("nan")
_INF = float("inf")


def _service(change: Callable[[Service], Service]) -> Problem:
    return replace(_GOOD, services=(change(_SERVICE),))


def _demand(change: Callable[[Demand], Demand]) -> Problem:
    return _service(lambda service: replace(service, demand=change(_DEMAND)))


def _variant(change: Callable[[Variant], Variant]) -> Problem:
    return _service(lambda service: replace(service, variants=(change(_VARIANT),)))


_BAD: list[tuple[Problem, str, str]] = [
    (_demand(lambda d: replace(d, rate_rps=_NAN)), "service s", "demand.rate_rps"),
    (_demand(lambda d: replace(d, rate_rps=-1.0)), "service s", "demand.rate_rps"),
    (_demand(lambda d: replace(d, rate_rps=float("inf"))), "service s", "demand.rate_rps"),
    (_demand(lambda d: replace(d, shares=(1.0,))), "service s", "demand.shares"),
    (_demand(lambda d: replace(d, shares=(0.5, _NAN))), "service s", "demand.shares[1]"),
    (_demand(lambda d: replace(d, shares=(0.5, 0.4))), "service s", "sum of demand.shares"),
    (_demand(lambda d: replace(d, shares=(1.5, -0.5))), "service s", "demand.shares[1]"),
    (
        _demand(lambda d: replace(d, buckets=(Bucket(_NAN, 1), Bucket(1, 1)))),
        "service s",
        "demand.buckets[0].prompt_tokens",
    ),
    (_service(lambda s: replace(s, utilisation_limit=0.0)), "service s", "utilisation_limit"),
    (_service(lambda s: replace(s, utilisation_limit=1.1)), "service s", "utilisation_limit"),
    (_service(lambda s: replace(s, min_replicas=-1)), "service s", "min_replicas"),
    (_service(lambda s: replace(s, variants=(_VARIANT, _VARIANT))), "service s", "variants"),
    (_variant(lambda v: replace(v, pool="q")), "service s, variant v", "pool"),
    (_variant(lambda v: replace(v, cost_per_hour=0.0)), "service s, variant v", "cost_per_hour"),
    (_variant(lambda v: replace(v, cost_per_hour=_NAN)), "service s, variant v", "cost_per_hour"),
    (_variant(lambda v: replace(v, gpus_per_replica=0)), "service s, variant v", "gpus_per_replica"),
    (_variant(lambda v: replace(v, capacity_rps=(1.0,))), "service s, variant v", "capacity_rps"),
    (_variant(lambda v: replace(v, capacity_rps=(1.0, -1.0))), "service s, variant v", "capacity_rps[1]"),
    (_variant(lambda v: replace(v, max_replicas=-1)), "service s, variant v", "max_replicas"),
    (_demand(lambda d: replace(d, rate_rps=1e10)), "service s", "demand.rate_rps"),
    (_demand(lambda d: replace(d, buckets=(), shares=())), "service s", "sum of demand.shares"),
    (
        _demand(lambda d: replace(d, buckets=(Bucket(1, 1), Bucket(1, -2)))),
        "service s",
        "demand.buckets[1].generation_tokens",
    ),
    (_service(lambda s: replace(s, min_replicas=True)), "service s", "min_replicas"),
    (_service(lambda s: replace(s, max_replicas=10**400)), "service s", "max_replicas"),
    (_service(lambda s: replace(s, utilisation_limit=_NAN)), "service s", "utilisation_limit"),
    (_service(lambda s: replace(s, staffing_beta=-0.1)), "service s", "staffing_beta"),
    (_service(lambda s: replace(s, staffing_beta=_INF)), "service s", "staffing_beta"),
    (_service(lambda s: replace(s, max_cost_per_hour=-1.0)), "service s", "max_cost_per_hour"),
    (_service(lambda s: replace(s, max_cost_per_hour=_NAN)), "service s", "max_cost_per_hour"),
    (_service(lambda s: replace(s, spot_max_share=1.1)), "service s", "spot_max_share"),
    (_service(lambda s: replace(s, spot_max_share=_NAN)), "service s", "spot_max_share"),
    (_service(lambda s: replace(s, on_demand_min_replicas=-1)), "service s", "on_demand_min_replicas"),
    (_variant(lambda v: replace(v, cost_per_hour=_INF)), "service s, variant v", "cost_per_hour"),
    (_variant(lambda v: replace(v, cost_per_hour=1e-300)), "service s, variant v", "cost_per_hour"),
    (_variant(lambda v: replace(v, gpus_per_replica=2.0)), "service s, variant v", "gpus_per_replica"),  # type: ignore[arg-type]
    (_variant(lambda v: replace(v, capacity_rps=(1.0, _INF))), "service s, variant v", "capacity_rps[1]"),
    (_variant(lambda v: replace(v, capacity_rps=(_NAN, 1.0))), "service s, variant v", "capacity_rps[0]"),
    (_variant(lambda v: replace(v, capacity_rps=(1e-300, 1.0))), "service s, variant v", "capacity_rps[0]"),
    (_variant(lambda v: replace(v, min_replicas=-1)), "service s, variant v", "min_replicas"),
    (_variant(lambda v: replace(v, watts=-1.0)), "service s, variant v", "watts"),
    (_variant(lambda v: replace(v, watts=_NAN)), "service s, variant v", "watts"),
    (_variant(lambda v: replace(v, startup_seconds=_INF)), "service s, variant v", "startup_seconds"),
    (_variant(lambda v: replace(v, current_replicas=-1)), "service s, variant v", "current_replicas"),
    (_variant(lambda v: replace(v, current_replicas=1.5)), "service s, variant v", "current_replicas"),  # type: ignore[arg-type]
    (replace(_GOOD, pools=(Pool("p", -1),)), "pool p", "stock_gpus"),
    (replace(_GOOD, pools=(Pool("p", 10**13),)), "pool p", "stock_gpus"),
    (replace(_GOOD, pools=(Pool("p", node_gpus=(8, -8)),)), "pool p", "node_gpus[1]"),
    (replace(_GOOD, pools=(Pool("p", node_price=NodePrice(0, 8.0)),)), "pool p", "node_price.gpus"),
    (replace(_GOOD, pools=(Pool("p", node_price=NodePrice(8, 0.0)),)), "pool p", "node_price.cost_per_hour"),
    (replace(_GOOD, pools=(Pool("p", node_price=NodePrice(8, _NAN)),)), "pool p", "node_price.cost_per_hour"),
    (replace(_GOOD, pools=(Pool("p", node_price=NodePrice(8, 8.0, -1)),)), "pool p", "node_price.max_nodes"),
    (replace(_GOOD, pools=(Pool("p", node_gpus=(8,), node_price=NodePrice(8, 8.0)),)), "pool p", "node_gpus"),
    (replace(_GOOD, pools=(Pool("p", zones=("a", "a")),)), "pool p", "zones"),
    (replace(_GOOD, pools=(Pool("p", power_domain="rack"),)), "pool p", "power_domain"),
    (replace(_GOOD, power_domains=(PowerBudget("r", -1.0),)), "power domain r", "budget_watts"),
    (replace(_GOOD, power_domains=(PowerBudget("r", 1.0, "hall"),)), "power domain r", "parent"),
    (replace(_GOOD, power_domains=(PowerBudget("r", 1.0, "r"),)), "power domain r", "parent"),
    (
        replace(
            _GOOD, power_domains=(PowerBudget("a", 1.0, "b"), PowerBudget("b", 1.0, "c"), PowerBudget("c", 1.0, "b"))
        ),
        "power domain a",
        "parent",
    ),
    (replace(_GOOD, power_domains=(PowerBudget("r", 1.0), PowerBudget("r", 2.0))), "problem", "power_domains"),
    (_service(lambda s: replace(s, stay_seconds=0.0)), "service s", "stay_seconds"),
    (replace(_GOOD, steady_within=-0.1), "problem", "steady_within"),
    (_service(lambda s: replace(s, stay_seconds=_NAN)), "service s", "stay_seconds"),
    (_variant(lambda v: replace(v, drain_seconds=-1.0)), "service s, variant v", "drain_seconds"),
    (replace(_GOOD, pools=(Pool("p", node_price=NodePrice(8, 16.0)),)), "service s, variant v", "cost_per_hour"),
    (replace(_GOOD, pools=(Pool("p"), Pool("p"))), "problem", "pools"),
    (replace(_GOOD, services=(_SERVICE, _SERVICE)), "problem", "services"),
]


@pytest.mark.parametrize(
    ("problem", "owner", "field"), _BAD, ids=[f"{n}-{field}" for n, (_, _, field) in enumerate(_BAD)]
)
def test_names_object_field_and_way_out(problem: Problem, owner: str, field: str) -> None:
    with pytest.raises(InvalidProblem) as caught:
        validate(problem)
    assert (caught.value.where, caught.value.field) == (owner, field)
    assert caught.value.way_out
    assert owner in str(caught.value)
    assert shown(caught.value.value) in str(caught.value)


def test_a_good_problem_is_planned() -> None:
    assert plan(_GOOD).cost_per_hour == 1.0


def test_planning_starts_with_the_checks() -> None:
    with pytest.raises(InvalidProblem):
        plan(replace(_GOOD, steady_within=-1.0))


@pytest.mark.parametrize(("problem", "owner", "field"), _BAD, ids=[f"{n}-{one[2]}" for n, one in enumerate(_BAD)])
def test_only_the_service_at_fault_is_split_off(problem: Problem, owner: str, field: str) -> None:
    other = replace(_SERVICE, name="other", variants=(replace(_VARIANT, pool="others"),))
    whole = replace(problem, services=(other, *problem.services), pools=(Pool("others"), *problem.pools))
    if not owner.startswith("service") and field != "services":
        with pytest.raises(InvalidProblem) as caught:
            split_valid(whole)
        assert (caught.value.where, caught.value.field, caught.value.service) == (owner, field, None)
        return
    valid, faults = split_valid(whole)
    (fault,) = faults
    assert (fault.where, fault.field, fault.service) == (owner, field, len(whole.services) - 1)
    named = 0 if "variant" in owner else None
    assert fault.variant == (1 if field == "variants" else named)
    assert valid == replace(whole, services=whole.services[:-1])
    validate(valid)


def _sized(name: str, *gpus: int) -> Service:
    variants = tuple(replace(_VARIANT, name=f"tp{count}", gpus_per_replica=count) for count in gpus)
    return replace(_SERVICE, name=name, variants=variants)


@pytest.mark.parametrize(
    ("pool", "services", "faulty"),
    [
        (Pool("p", node_gpus=(8,)), [_sized("a", 1, 2, 4, 8), _sized("b", 16, 4)], None),
        (Pool("p", node_gpus=(12,)), [_sized("a", 3, 6), _sized("b", 12)], None),
        (Pool("p", stock_gpus=12), [_sized("a", 2, 3)], None),
        (Pool("p", node_gpus=(8,)), [_sized("a", 2, 3)], (0, 1)),
        (Pool("p", node_gpus=(8,)), [_sized("a", 2), _sized("b", 1, 4, 3), _sized("c", 8)], (1, 2)),
        (Pool("p", node_gpus=(8,)), [_sized("a", 1, 6), _sized("b", 4)], (1, 0)),
        (Pool("p", node_gpus=()), [_sized("a", 4), _sized("b", 6)], (1, 0)),
    ],
)
def test_replica_sizes_on_nodes_divide_each_other_over_all_services(
    pool: Pool, services: list[Service], faulty: tuple[int, int] | None
) -> None:
    valid, faults = split_valid(Problem(tuple(services), (pool,)))
    assert [(fault.service, fault.variant) for fault in faults] == ([faulty] if faulty else [])
    assert len(valid.services) == len(services) - len(faults)
    for fault in faults:
        assert fault.field == "gpus_per_replica"
        assert "pool p with" in fault.way_out


def test_a_service_split_off_for_another_reason_does_not_fix_the_sizes() -> None:
    odd = replace(_sized("odd", 3), utilisation_limit=0.0)
    _, faults = split_valid(Problem((odd, _sized("even", 4)), (Pool("p", node_gpus=(12,)),)))
    assert [fault.service for fault in faults] == [0]


def test_the_part_of_a_node_is_its_price_by_gpus() -> None:
    pool = Pool("p", node_price=NodePrice(8, 16.0, max_nodes=0))
    service = replace(_SERVICE, variants=(replace(_VARIANT, gpus_per_replica=4, cost_per_hour=8.0),))
    validate(Problem((service,), (pool,)))
    sized = replace(_VARIANT, gpus_per_replica=4, cost_per_hour=8.01)
    with pytest.raises(InvalidProblem, match=r"give the part of 4 GPUs in it, 8"):
        validate(Problem((replace(_SERVICE, variants=(sized,)),), (pool,)))


def test_values_at_the_edge_of_their_range_pass() -> None:
    edge = replace(
        _SERVICE,
        demand=replace(_DEMAND, rate_rps=0.0),
        variants=(replace(_VARIANT, capacity_rps=(0.0, 1e-9), max_replicas=0, watts=0.0, cost_per_hour=1e9),),
        spot_max_share=0.0,
        max_cost_per_hour=0.0,
        stay_seconds=_INF,
    )
    domains = (PowerBudget("rack", 0.0, "hall"), PowerBudget("hall", 0.0))
    validate(Problem((edge,), (Pool("p", 0, node_gpus=(0,), power_domain="rack"),), domains))


def test_figures_whose_sum_is_above_all_floats_are_each_in_range() -> None:
    heavy = tuple(replace(_VARIANT, name=name, watts=1.7e308) for name in "ab")
    validate(replace(_GOOD, services=(replace(_SERVICE, variants=heavy),)))


def test_faults_are_found_wherever_they_stand_in_a_large_fleet() -> None:
    wide = replace(_SERVICE, variants=(replace(_VARIANT, capacity_rps=(1.0,) * 3),))
    wide = replace(wide, demand=replace(_DEMAND, buckets=(Bucket(1, 1),) * 3, shares=(0.5, 0.25, 0.25)))
    kinds = [_SERVICE] * 60 + [_SERVICE, wide] * 30
    odd = {
        3: replace(_VARIANT, capacity_rps=(1.0, -1.0)),
        59: replace(_VARIANT, capacity_rps=(1.0,)),
        71: replace(_VARIANT, capacity_rps=(1.0, 2.0)),  # right for its neighbours, but its service has three buckets
        118: replace(_VARIANT, capacity_rps=(_NAN, 1.0)),
    }
    services = [replace(service, name=f"s{index}") for index, service in enumerate(kinds)]
    for index, variant in odd.items():
        services[index] = replace(services[index], variants=(variant,))
    valid, faults = split_valid(replace(_GOOD, services=tuple(services)))
    assert [fault.service for fault in faults] == sorted(odd)
    assert [fault.field for fault in faults] == ["capacity_rps[1]", "capacity_rps", "capacity_rps", "capacity_rps[0]"]
    assert len(valid.services) == 116
