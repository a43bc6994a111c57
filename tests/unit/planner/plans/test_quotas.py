"""Quotas that services share: plans keep them, are the cheapest that do, and say so where demand is left out."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from medley_planner.explain.binding import binding_limits
from medley_planner.explain.others import OneService
from medley_planner.explain.usage import limit_uses
from medley_planner.model import (
    LimitKind,
    Plan,
    PlanStatus,
    Pool,
    Priority,
    Problem,
    Quota,
    RoutingMode,
    Service,
    UnservedReason,
)
from medley_planner.optimize import plan, verify
from medley_planner.optimize.validate.problem import InvalidProblem, validate
from medley_planner.optimize.verify.rules import Rule
from tests.brute_force import optimum
from tests.small_problems import Feature, small_problem
from tests.unit.planner.optimize.small import service, variant

POOLS = (Pool("small", 100), Pool("large"))


def small(quota: str | None = "team") -> Service:
    """4 requests/s: 4 replicas of one GPU at $1/h, or 1 of four GPUs at $5/h."""
    variants = (
        replace(variant("small", 1.0, 1.0), quota=quota),
        replace(variant("large", 4.0, 5.0), gpus_per_replica=4, quota=quota),
    )
    return service(4.0, *variants)


def fleet(*quotas: Quota, first: str | None = "team", second: str | None = "team", **second_fields: object) -> Problem:
    other = replace(small(second), name="other", **second_fields)  # type: ignore[arg-type]
    return Problem((small(first), other), POOLS, quotas=quotas)


def drawn(problem: Problem, planned: Plan, quota: str) -> tuple[int, float]:
    """GPUs and US dollars per hour of all replicas of the quota."""
    counts = {each.service: each.replicas() for each in planned.services}
    rows = [
        (variant, counts[service.name][variant.name])
        for service in problem.services
        for variant in service.variants
        if variant.quota == quota
    ]
    gpus = sum(variant.gpus_per_replica * count for variant, count in rows)
    return gpus, math.fsum(variant.cost_per_hour * count for variant, count in rows)


def good(problem: Problem) -> Plan:
    planned = plan(problem, deadline_seconds=10.0)
    assert verify(problem, planned) == ()
    return planned


def test_a_quota_of_gpus_holds_over_two_services_and_names_itself() -> None:
    problem = fleet(Quota("team", max_gpus=6))
    planned = good(problem)
    assert drawn(problem, planned, "team")[0] == 6
    missed = [entry for each in planned.services for entry in each.unserved]
    assert {(entry.reason, entry.limits) for entry in missed} == {(UnservedReason.QUOTA, ("team",))}
    assert math.fsum(entry.rate_rps for entry in missed) == pytest.approx(2.0)
    assert planned.status is PlanStatus.PARTIAL
    assert [(use.kind, use.used, use.limit) for use in limit_uses(problem, planned) if use.name == "team"] == [
        (LimitKind.QUOTA_GPUS, 6.0, 6.0)
    ]
    assert all(LimitKind.QUOTA_GPUS in {use.kind for use in uses} for uses in binding_limits(problem, planned).values())


def test_a_quota_of_money_holds_over_two_services() -> None:
    problem = fleet(Quota("team", max_cost_per_hour=6.5))
    planned = good(problem)
    assert drawn(problem, planned, "team")[1] == pytest.approx(6.0)


def test_others_are_not_bound_by_a_quota_and_share_the_stock() -> None:
    problem = fleet(Quota("team", max_gpus=2), second=None)
    first, second = good(problem).services
    assert sum(first.replicas().values()) == 2
    assert second.unserved == ()


def test_a_quota_of_nothing_leaves_nothing() -> None:
    problem = fleet(Quota("team", max_gpus=0, max_cost_per_hour=0.0), first=None)
    first, second = good(problem).services
    assert first.unserved == ()
    assert (sum(second.replicas().values()), second.status) == (0, PlanStatus.INFEASIBLE)


def test_within_a_quota_high_priority_comes_first_and_never_at_the_cost_of_another_quota() -> None:
    quotas = (Quota("team", max_gpus=4), Quota("others", max_gpus=3))
    first, second = good(fleet(*quotas[:1], priority=Priority.HIGH)).services
    assert (len(first.unserved), second.unserved) == (1, ())
    first, second = good(fleet(*quotas, second="others", priority=Priority.HIGH)).services
    assert first.unserved == ()
    assert sum(second.replicas().values()) == 3


@pytest.mark.parametrize("routing", [RoutingMode.HTTP_ROUTE, RoutingMode.SERVICE, RoutingMode.INFERENCE_POOL])
@pytest.mark.parametrize("feature", [Feature.STOCK, Feature.PACKING, Feature.NODES])
def test_within_quotas_a_plan_is_the_cheapest(feature: Feature, routing: RoutingMode) -> None:
    solved = 0
    for seed in range(30):
        problem = with_quotas(small_problem(frozenset({feature}), routing, seed=seed), seed=seed)
        best, planned = optimum(problem), good(problem)
        served = not any(each.unserved for each in planned.services)
        assert served == (best is not None), f"seed {seed}"
        if best is not None:
            solved += 1
            assert planned.cost_per_hour == pytest.approx(best, rel=1e-4, abs=1e-6), f"seed {seed}"
    assert solved > 5


def with_quotas(problem: Problem, *, seed: int) -> Problem:
    """The services under one quota, or under one each, mostly near what they would take without."""
    draw = random.Random(f"quotas {seed}")  # noqa: S311 - instances, not secrets
    free = plan(problem, deadline_seconds=10.0)
    alike = draw.random() < 0.7
    named = tuple(
        replace(
            each,
            variants=tuple(replace(variant, quota="q" if alike else each.name) for variant in each.variants),
        )
        for each in problem.services
    )
    made = replace(problem, services=named, quotas=tuple(Quota(name) for name in ({"q"} if alike else {"s0", "s1"})))
    quotas = []
    for quota in sorted(made.quotas, key=lambda quota: quota.name):
        gpus, cost_per_hour = drawn(made, free, quota.name)
        most = max(0, gpus + draw.randint(-2, 3)) if draw.random() < 0.7 else None
        budget = max(0.0, round(cost_per_hour * draw.uniform(0.8, 1.3), 2) + 0.005) if draw.random() < 0.6 else None
        quotas.append(Quota(quota.name, most, budget))
    return replace(made, quotas=tuple(quotas))


def test_a_fleet_that_is_solved_by_columns_keeps_its_quotas() -> None:
    services = tuple(replace(small(f"team{index % 3}"), name=f"s{index:02}") for index in range(24))
    quotas = tuple(Quota(f"team{index}", max_gpus=20, max_cost_per_hour=30.0) for index in range(2))
    problem = Problem(services, POOLS, quotas=(*quotas, Quota("team2")))
    planned = good(problem)
    for quota in quotas:
        gpus, cost_per_hour = drawn(problem, planned, quota.name)
        assert 18 <= gpus <= 20
        assert cost_per_hour <= 30.0
    by_name = dict(zip((each.name for each in services), planned.services, strict=True))
    assert not any(by_name[f"s{index:02}"].unserved for index in range(2, 24, 3))


def test_the_verifier_refuses_a_plan_above_its_quota() -> None:
    free = fleet()
    planned = replace(good(replace(free, quotas=(Quota("team"),))), limits=())
    for quota in (Quota("team", max_gpus=7), Quota("team", max_cost_per_hour=7.99)):
        broken = {violation.rule for violation in verify(replace(free, quotas=(quota,)), planned)}
        assert broken & {Rule.QUOTA}, quota
    assert verify(replace(free, quotas=(Quota("team", max_gpus=8, max_cost_per_hour=8.0),)), planned) == ()


def test_one_service_alone_has_what_the_others_leave_of_its_quota() -> None:
    problem = fleet(Quota("team", max_gpus=9, max_cost_per_hour=20.0))
    planned = good(problem)
    assert OneService(problem, planned).problem("other").quotas == (Quota("team", 5, 16.0),)


def test_a_quota_that_makes_no_sense_is_refused() -> None:
    for quota in (Quota("team", max_gpus=-1), Quota("team", max_cost_per_hour=math.nan)):
        with pytest.raises(InvalidProblem, match="quota team: max_"):
            validate(fleet(quota))
    with pytest.raises(InvalidProblem, match="the name is used twice"):
        validate(fleet(Quota("team"), Quota("team")))
    with pytest.raises(InvalidProblem, match=r'quota is "team".*there is no such quota; the problem has: other'):
        validate(fleet(Quota("other")))
