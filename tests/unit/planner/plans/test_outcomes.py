"""Every well-formed wish has an outcome: what is left out, which limit binds, which minimum is missed, why unused."""

from __future__ import annotations

from dataclasses import replace

import pytest

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
    UnservedReason,
    Variant,
)
from medley_planner.omitted import OmittedReason
from medley_planner.optimize import plan, verify

_SIZES = (Bucket(100, 100), Bucket(1000, 200), Bucket(16000, 400))


def _variant(
    name: str,
    cost: float,
    *capacity: float,
    pool: str | None = None,
    gpus: int = 1,
    least: int = 0,
    most: int | None = None,
) -> Variant:
    return Variant(name, pool or name, name, gpus, cost, capacity, Provenance.GIVEN, least, most)


def _service(
    *variants: Variant,
    rate: float = 3.0,
    shares: tuple[float, ...] = (0.5, 0.3, 0.2),
    routing: RoutingMode = RoutingMode.HTTP_ROUTE,
    name: str = "chat",
    least: int = 0,
    most: int | None = None,
) -> Service:
    demand = Demand(rate, _SIZES[: len(shares)], shares, SizeSource.STATIC)
    return Service(name, demand, variants, routing, least, most)


def _plan(*services: Service, **stock: int) -> Plan:
    pools = sorted({variant.pool for service in services for variant in service.variants})
    problem = Problem(services, tuple(Pool(pool, stock.get(pool)) for pool in pools))
    planned = plan(problem)
    assert verify(problem, planned) == ()
    return planned


_BLIND = [RoutingMode.SERVICE, RoutingMode.HTTP_ROUTE]


@pytest.mark.parametrize("routing", _BLIND)
def test_blind_router_serves_the_set_with_most_demand(routing: RoutingMode) -> None:
    short = _variant("short", 1.0, 2.0, 1.0, 0.0)
    long = _variant("long", 5.0, 0.0, 2.0, 1.0)
    (service,) = _plan(_service(short, long, routing=routing)).services
    assert service.status is PlanStatus.PARTIAL
    assert [(entry.bucket, entry.reason) for entry in service.unserved] == [(2, UnservedReason.NO_VARIANT_MEETS_TARGET)]
    assert service.replicas()["long"] == 0
    (unused,) = service.unused
    assert unused.reason == "CannotServeAll"
    assert "100 prompt + 100 generated tokens" in unused.message


def test_router_that_sees_sizes_serves_what_any_variant_can() -> None:
    short = _variant("short", 1.0, 2.0, 1.0, 0.0)
    long = _variant("long", 5.0, 0.0, 2.0, 1.0)
    (service,) = _plan(_service(short, long, routing=RoutingMode.PER_BUCKET)).services
    assert service.status is PlanStatus.OPTIMAL
    assert service.variants[1].bucket_shares[2] == 1.0
    assert service.best_single is None


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_no_variant_can_serve_anything(routing: RoutingMode) -> None:
    planned = _plan(_service(_variant("a", 1.0, 0.0, 0.0, 0.0), routing=routing, least=1))
    (service,) = planned.services
    assert planned.status is service.status is PlanStatus.INFEASIBLE
    assert {entry.reason for entry in service.unserved} == {UnservedReason.NO_VARIANT_MEETS_TARGET}
    assert sum(entry.rate_rps for entry in service.unserved) == pytest.approx(3.0)
    assert service.unused[0].reason == "CannotServe"
    assert planned.cost_per_hour == planned.gap == 0.0


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_stock_binds(routing: RoutingMode) -> None:
    (service,) = _plan(_service(_variant("a", 1.0, 1.0, 1.0, 1.0), routing=routing), a=2).services
    assert service.status is PlanStatus.PARTIAL
    assert service.replicas() == {"a": 2}
    assert {entry.reason for entry in service.unserved} == {UnservedReason.STOCK}
    assert sum(entry.rate_rps for entry in service.unserved) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("routing", list(RoutingMode))
@pytest.mark.parametrize("on_service", [True, False])
def test_maximum_binds(routing: RoutingMode, *, on_service: bool) -> None:
    variant = _variant("a", 1.0, 1.0, 1.0, 1.0, most=None if on_service else 2)
    (service,) = _plan(_service(variant, routing=routing, most=2 if on_service else None), a=2).services
    assert service.replicas() == {"a": 2}
    assert {entry.reason for entry in service.unserved} == {UnservedReason.MAX_REPLICAS}


def test_no_stock_at_all_is_named_as_the_reason() -> None:
    (service,) = _plan(_service(_variant("a", 1.0, 1.0, 1.0, 1.0)), a=0).services
    assert service.status is PlanStatus.INFEASIBLE
    assert {entry.reason for entry in service.unserved} == {UnservedReason.STOCK}
    assert service.unused[0].reason == "OutOfStock"
    assert "pool a holds 0 GPUs" in service.unused[0].message


def test_scarce_variant_that_serves_all_yields_to_a_plentiful_one_that_serves_most() -> None:
    everything = _variant("all", 2.0, 1.0, 1.0, 1.0)
    most_sizes = _variant("most", 1.0, 1.0, 1.0, 0.0)
    (service,) = _plan(_service(everything, most_sizes, rate=100.0), all=1).services
    assert service.replicas() == {"all": 0, "most": 80}
    assert [entry.bucket for entry in service.unserved] == [2]


def test_unmet_demand_is_least_before_cost_is() -> None:
    fast, cheap = _variant("fast", 9.0, 4.0, 4.0, 4.0), _variant("cheap", 1.0, 1.0, 1.0, 1.0)
    (service,) = _plan(_service(fast, cheap, rate=100.0, most=10)).services
    assert service.replicas() == {"fast": 10, "cheap": 0}


@pytest.mark.parametrize(
    ("service", "stock", "expected"),
    [
        (_service(_variant("a", 1.0, 9.0, 9.0, 9.0, most=2), least=5), {}, {"a": 2}),
        (_service(_variant("a", 1.0, 9.0, 9.0, 9.0, least=5, most=2)), {}, {"a": 2}),
        (_service(_variant("a", 1.0, 9.0, 9.0, 9.0, least=5)), {"a": 3}, {"a": 3}),
        (_service(_variant("a", 1.0, 9.0, 9.0, 9.0), least=5), {"a": 3}, {"a": 3}),
        (_service(_variant("a", 1.0, 9.0, 9.0, 9.0, least=4), most=3), {}, {"a": 3}),
    ],
)
def test_contradicting_minima_come_as_near_as_can_be(
    service: Service, stock: dict[str, int], expected: dict[str, int]
) -> None:
    other = _service(_variant("b", 1.0, 1.0, 1.0, 1.0), name="other")
    planned = _plan(service, other, **stock)
    first, second = planned.services
    assert (first.status, first.replicas(), first.unserved) == (PlanStatus.PARTIAL, expected, ())
    assert (second.status, second.replicas()) == (PlanStatus.OPTIMAL, {"b": 3})
    assert planned.status is PlanStatus.PARTIAL


@pytest.mark.parametrize("routing", list(RoutingMode))
@pytest.mark.parametrize("sizes_known", [True, False])
def test_without_requests_the_minimum_stands_on_the_cheapest(routing: RoutingMode, *, sizes_known: bool) -> None:
    capacity, shares = ((1.0, 1.0, 1.0), (0.5, 0.3, 0.2)) if sizes_known else ((), ())
    dear, cheap = _variant("dear", 3.0, *capacity), _variant("cheap", 1.0, *capacity)
    (service,) = _plan(_service(dear, cheap, rate=0.0, shares=shares, routing=routing, least=2)).services
    assert service.status is PlanStatus.OPTIMAL
    assert service.replicas() == {"dear": 0, "cheap": 2}
    assert service.variants[1].share == 1.0
    assert service.unused[0].reason == "NoDemand"
    held = replace(dear, min_replicas=1)
    (service,) = _plan(_service(held, cheap, rate=0.0, shares=shares, routing=routing, least=2)).services
    assert service.replicas() == {"dear": 1, "cheap": 1}


def test_service_without_variants_is_infeasible() -> None:
    assert _plan(_service()).services[0].status is PlanStatus.INFEASIBLE


def test_no_services_cost_nothing() -> None:
    planned = _plan()
    assert (planned.status, planned.cost_per_hour, planned.gap) == (PlanStatus.OPTIMAL, 0.0, 0.0)


def test_behind_a_service_a_forced_variant_limits_what_is_served() -> None:
    held = _variant("held", 1.0, 1.0, 1.0, 0.0, least=1)
    whole = _variant("whole", 2.0, 2.0, 2.0, 2.0)
    (by_pod,) = _plan(_service(held, whole, routing=RoutingMode.SERVICE)).services
    (by_weight,) = _plan(_service(held, whole, routing=RoutingMode.HTTP_ROUTE)).services
    assert [entry.bucket for entry in by_pod.unserved] == [2]
    assert by_weight.unserved == ()
    assert by_weight.variants[0].share == 0.0


def test_shared_stock_goes_where_it_saves_most() -> None:
    def service(name: str, other_cost: float) -> Service:
        shared = _variant("shared", 1.0, 1.0, pool="shared")
        other = _variant("other", other_cost, 1.0, pool="other")
        return _service(shared, other, rate=2.0, shares=(1.0,), name=name)

    planned = _plan(service("mild", 2.0), service("steep", 9.0), shared=2)
    mild, steep = planned.services
    assert planned.status is PlanStatus.OPTIMAL
    assert (mild.replicas(), steep.replicas()) == ({"shared": 0, "other": 2}, {"shared": 2, "other": 0})
    assert planned.cost_per_hour == planned.lower_bound_per_hour == 6.0
    assert mild.unused[0].reason == "OutOfStock"


def test_services_without_a_common_finite_pool_do_not_know_of_each_other() -> None:
    one = _service(_variant("a", 1.0, 1.0, 1.0, 1.0), name="one")
    two = _service(_variant("b", 1.0, 1.0, 1.0, 1.0), name="two")
    both = _plan(one, two, a=2)
    assert both.services == (*_plan(one, a=2).services, *_plan(two).services)


def test_replicas_of_several_gpus_count_in_full() -> None:
    (service,) = _plan(_service(_variant("a", 1.0, 1.0, 1.0, 1.0, gpus=4)), a=11).services
    assert service.replicas() == {"a": 2}


def test_explains_a_dearer_and_a_forbidden_variant() -> None:
    cheap, dear = _variant("cheap", 1.0, 1.0, 1.0, 1.0), _variant("dear", 5.0, 2.0, 2.0, 2.0)
    off = _variant("off", 0.1, 9.0, 9.0, 9.0, most=0)
    (service,) = _plan(_service(cheap, dear, off)).services
    assert [entry.reason for entry in service.unused] == ["Dearer", "MaxReplicasZero"]
    assert service.unused[0].message == "alone it takes 2 replicas at $10.00/h against $3.00/h of this plan"


def test_a_variant_that_is_cheaper_per_request_is_too_large_and_not_dearer() -> None:
    small, large = _variant("small", 1.0, 4.0, 4.0, 4.0), _variant("large", 3.0, 20.0, 20.0, 20.0)
    (service,) = _plan(_service(small, large)).services
    (unused,) = service.unused
    assert unused.reason is OmittedReason.TOO_LARGE
    assert unused.message == (
        "one replica already costs more than this plan ($3.00/h against $1.00/h); it would be 40.0 % cheaper per "
        "request at a higher load"
    )
    (several,) = _plan(_service(small, _variant("large", 7.4, *(30.0,) * 3), rate=31.0)).services[0].unused
    assert several.reason is OmittedReason.TOO_LARGE
    assert several.message.startswith("alone it takes 2 whole replicas, which cost more than this plan ($14.80/h ")
    (even,) = _plan(_service(small, replace(large, capacity_rps=(12.0,) * 3))).services[0].unused
    assert even.reason is OmittedReason.TOO_LARGE
    assert even.message.endswith("it would cost as much per request at a higher load")


def test_a_variant_that_costs_as_much_is_not_dearer() -> None:
    (service,) = _plan(_service(_variant("a", 2.0, *(4.0,) * 3), _variant("b", 2.0, *(4.0,) * 3))).services
    assert [(entry.reason, entry.message) for entry in service.unused] == [
        ("NoGain", "alone it takes 1 replica at $2.00/h, as much as this plan")
    ]


def test_a_cheaper_variant_that_would_have_to_start_is_not_dearer() -> None:
    runs = replace(_variant("runs", 2.0, *(4.0,) * 3), current_replicas=1)
    starts = replace(_variant("starts", 1.9, *(4.0,) * 3), startup_seconds=600.0)
    (service,) = _plan(_service(runs, starts)).services
    assert [(entry.variant, entry.reason) for entry in service.unused] == [("starts", "NoGain")]
    assert (
        "starting new ones costs $0.32: with the charge for starts no less than this plan" in service.unused[0].message
    )


def test_a_variant_that_the_budget_does_not_pay_is_not_dearer_than_nothing() -> None:
    cheap, dear = _variant("cheap", 1.0, *(1.0,) * 3), _variant("dear", 3.0, *(1.0,) * 3)
    some, none = (_plan(replace(_service(cheap, dear), max_cost_per_hour=most)).services[0] for most in (2.5, 0.5))
    assert [(entry.variant, entry.reason) for entry in some.unused] == [("dear", "OverBudget")]
    assert "and the plan leaves $0.50/h of the service's budget of $2.50/h" in some.unused[0].message
    assert [(entry.variant, entry.reason) for entry in none.unused] == [("cheap", "OverBudget"), ("dear", "OverBudget")]


def test_explains_a_variant_that_serves_only_part_by_the_cost_of_its_work() -> None:
    whole, part = _variant("whole", 2.0, 2.0, 2.0, 2.0), _variant("part", 5.0, 1.0, 1.0, 0.0)
    (service,) = _plan(_service(whole, part, routing=RoutingMode.PER_BUCKET)).services
    (unused,) = service.unused
    assert unused.reason == "Dearer"
    assert "80.0% of the requests" in unused.message
    assert "$12.00/h of part" in unused.message
    assert "$2.40/h of whole" in unused.message


def test_another_variants_minimum_forbids_a_single_type() -> None:
    held, other = _variant("held", 1.0, 1.0, 1.0, 1.0, least=1), _variant("other", 9.0, 1.0, 1.0, 1.0)
    (service,) = _plan(_service(held, other)).services
    assert service.best_single is not None
    assert service.best_single.variant == "held"
    assert _plan(_service(held, replace(other, min_replicas=1))).services[0].best_single is None


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_rare_bucket_is_not_hidden_in_the_solvers_tolerance(routing: RoutingMode) -> None:
    common = _variant("common", 1.0, 1.0, 0.0)
    able = _variant("able", 50.0, 1.0, 1.0)
    (service,) = _plan(_service(common, able, rate=1.0, shares=(1 - 1e-9, 1e-9), routing=routing)).services
    if routing is RoutingMode.PER_BUCKET:
        assert service.replicas()["able"] == 1
    assert service.status is PlanStatus.OPTIMAL


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_deadline_already_over_still_gives_a_plan_within_the_limits(routing: RoutingMode) -> None:
    variants = tuple(_variant(f"v{n}", 1.0 + 0.37 * n, 1.1 + n, 0.7 + 0.5 * n, 0.1 * n) for n in range(6))
    services = tuple(_service(*variants, rate=40.0 + n, routing=routing, name=f"s{n}") for n in range(4))
    problem = Problem(services, tuple(Pool(variant.pool, 20) for variant in variants))
    planned = plan(problem, deadline_seconds=0.0)
    assert verify(problem, planned) == ()
    assert planned.lower_bound_per_hour <= planned.cost_per_hour
    proven = plan(problem)
    assert verify(problem, proven) == ()
    if planned.status is not PlanStatus.PARTIAL:
        assert planned.lower_bound_per_hour <= proven.cost_per_hour * (1 + 1e-5)
        assert planned.cost_per_hour >= proven.lower_bound_per_hour * (1 - 1e-5)


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_a_fleet_that_fits_exactly_is_found(routing: RoutingMode) -> None:
    """Two replicas carry exactly one request per second; with loads shrunk by the solver's own tolerance one of them
    was replaced by a dearer type, and that was called optimal."""
    demand = Demand(1.0, (Bucket(100, 50),), (1.0,), SizeSource.STATIC)
    variants = tuple(
        Variant(name, name, name, 1, price, (0.5,), Provenance.GIVEN)
        for name, price in (("a", 0.5), ("b", 0.5), ("c", 1.0))
    )
    problem = Problem((Service("s", demand, variants, routing),), (Pool("a", 2), Pool("b", 0), Pool("c")))
    assert plan(problem).services[0].replicas() == {"a": 2, "b": 0, "c": 0}
