"""Properties of every plan: dominance, monotonicity, the order of the routing modes, determinism, exactness."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medley_planner.model import (
    Bucket,
    Demand,
    Plan,
    PlanStatus,
    Pool,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    SizeSource,
    Variant,
)
from medley_planner.optimize import plan, verify
from tests.brute_force import optimum

_GAP = 2e-5
"""Two plans that are each optimal to the solver's relative gap may differ by this."""

_quick = settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def _services(
    draw: st.DrawFn, *, name: str = "s", variants: int = 3, limits: bool = False, gaps: bool = False
) -> Service:
    buckets = draw(st.integers(1, 4))
    weights = [draw(st.integers(1, 10)) for _ in range(buckets)]
    cell = st.floats(0.2, 5.0).map(lambda value: round(value, 3))
    made = tuple(
        Variant(
            name=f"v{index}",
            pool=f"p{index}",
            gpu=f"g{index}",
            gpus_per_replica=draw(st.sampled_from([1, 1, 2])),
            cost_per_hour=draw(st.integers(50, 900)) / 100,
            capacity_rps=tuple(0.0 if gaps and draw(st.integers(0, 7)) == 0 else draw(cell) for _ in range(buckets)),
            provenance=Provenance.GIVEN,
            min_replicas=draw(st.sampled_from([0, 0, 0, 1, 3])) if limits else 0,
            max_replicas=draw(st.sampled_from([None, None, 0, 4])) if limits else None,
        )
        for index in range(draw(st.integers(1, variants)) if limits or gaps else variants)
    )
    demand = Demand(
        rate_rps=draw(st.sampled_from([0.0, 0.3, 1.0, 4.0, 9.5])) if limits else draw(st.floats(0.1, 12.0)),
        buckets=tuple(Bucket(100.0 * (index + 1), 50.0) for index in range(buckets)),
        shares=tuple(weight / sum(weights) for weight in weights),
        size_source=SizeSource.STATIC,
    )
    return Service(
        name=name,
        demand=demand,
        variants=made,
        routing=draw(st.sampled_from(list(RoutingMode))),
        min_replicas=draw(st.sampled_from([0, 0, 1, 5])) if limits else 0,
        max_replicas=draw(st.sampled_from([None, None, 6])) if limits else None,
        utilisation_limit=draw(st.sampled_from([1.0, 0.9])),
    )


def _problem(*services: Service, stock: dict[str, int] | None = None) -> Problem:
    pools = sorted({variant.pool for service in services for variant in service.variants})
    return Problem(services, tuple(Pool(pool, (stock or {}).get(pool)) for pool in pools))


def _planned(problem: Problem) -> Plan:
    planned = plan(problem)
    assert verify(problem, planned) == ()
    return planned


@_quick
@given(_services())
def test_is_never_dearer_than_the_best_single_type(service: Service) -> None:
    planned = _planned(_problem(service))
    assert planned.status is PlanStatus.OPTIMAL
    alone = [
        variant.cost_per_hour
        * math.ceil(
            sum(
                service.demand.bucket_rate_rps(bucket) / capacity / service.utilisation_limit
                for bucket, capacity in enumerate(variant.capacity_rps)
            )
            * (1 - 1e-9)
        )
        for variant in service.variants
    ]
    assert planned.cost_per_hour <= min(alone) * (1 + _GAP)
    single = planned.services[0].best_single
    assert single is not None
    assert math.isclose(single.cost_per_hour, min(alone), rel_tol=1e-9)


@_quick
@given(_services(), st.floats(1.01, 3.0))
def test_cost_does_not_fall_when_the_rate_rises(service: Service, factor: float) -> None:
    busier = replace(service, demand=replace(service.demand, rate_rps=service.demand.rate_rps * factor))
    before, after = _planned(_problem(service)), _planned(_problem(busier))
    assert after.cost_per_hour >= before.cost_per_hour * (1 - _GAP)


@_quick
@given(_services())
def test_cost_does_not_rise_with_a_pool_or_a_looser_target(service: Service) -> None:
    fewer = replace(service, variants=service.variants[:-1])
    looser = replace(
        service,
        variants=tuple(
            replace(variant, capacity_rps=tuple(1.25 * capacity for capacity in variant.capacity_rps))
            for variant in service.variants
        ),
    )
    cost = _planned(_problem(service)).cost_per_hour
    assert cost <= _planned(_problem(fewer)).cost_per_hour * (1 + _GAP)
    assert _planned(_problem(looser)).cost_per_hour <= cost * (1 + _GAP)


@_quick
@given(_services())
def test_a_router_that_sees_more_never_costs_more(service: Service) -> None:
    costs = [
        _planned(_problem(replace(service, routing=mode))).cost_per_hour
        for mode in (RoutingMode.PER_BUCKET, RoutingMode.HTTP_ROUTE, RoutingMode.SERVICE)
    ]
    assert costs[0] <= costs[1] * (1 + _GAP)
    assert costs[1] <= costs[2] * (1 + _GAP)


@settings(_quick, max_examples=60)
@given(
    _services(name="a", limits=True, gaps=True),
    _services(name="b", limits=True, gaps=True),
    st.dictionaries(st.sampled_from(["p0", "p1", "p2"]), st.integers(0, 8)),
)
def test_any_wish_gets_a_plan_that_verifies(one: Service, other: Service, stock: dict[str, int]) -> None:
    problem = _problem(one, other, stock=stock)
    planned = _planned(problem)
    assert planned.status is not PlanStatus.FEASIBLE, "nothing here is hard enough to meet the deadline"
    assert 0 <= planned.gap <= _GAP
    for service, got in zip(problem.services, planned.services, strict=True):
        idle = {entry.variant for entry in got.variants if entry.replicas == 0}
        assert {entry.variant for entry in got.unused} == idle
        assert all(0 < entry.rate_rps <= service.demand.rate_rps for entry in got.unserved)


@_quick
@given(_services(name="a", gaps=True), _services(name="b", gaps=True), st.integers(0, 6))
def test_equal_input_gives_an_equal_plan(one: Service, other: Service, stock: int) -> None:
    problem = _problem(one, other, stock={"p0": stock})
    assert replace(plan(problem), solve_seconds=0.0) == replace(plan(problem), solve_seconds=0.0)


@_quick
@given(_services(), st.sampled_from([1e-2, 1.0, 1e3, 1e6]))
def test_scale_of_rate_and_capacity_does_not_matter(service: Service, factor: float) -> None:
    scaled = replace(
        service,
        demand=replace(service.demand, rate_rps=service.demand.rate_rps * factor),
        variants=tuple(
            replace(variant, capacity_rps=tuple(factor * capacity for capacity in variant.capacity_rps))
            for variant in service.variants
        ),
    )
    cost = _planned(_problem(service)).cost_per_hour
    assert math.isclose(_planned(_problem(scaled)).cost_per_hour, cost, rel_tol=_GAP)


@settings(_quick, max_examples=60)
@given(_services(variants=2, limits=True, gaps=True), st.integers(0, 8), st.integers(0, 8))
def test_agrees_with_brute_force_on_one_service(service: Service, first: int, second: int) -> None:
    _compare_with_brute_force(_problem(service, stock={"p0": first, "p1": second}))


@settings(_quick, max_examples=60)
@given(
    _services(name="a", variants=2, gaps=True),
    _services(name="b", variants=2, gaps=True),
    st.integers(1, 10),
    st.integers(1, 10),
)
def test_agrees_with_brute_force_on_two_services_that_share_pools(
    one: Service, other: Service, first: int, second: int
) -> None:
    _compare_with_brute_force(_problem(one, other, stock={"p0": first, "p1": second}))


def _compare_with_brute_force(problem: Problem) -> None:
    planned = _planned(problem)
    best = optimum(problem)
    if best is None:
        assert planned.status in (PlanStatus.PARTIAL, PlanStatus.INFEASIBLE)
    else:
        assert planned.status is PlanStatus.OPTIMAL
        assert math.isclose(planned.cost_per_hour, best, rel_tol=_GAP, abs_tol=1e-9)
