"""The verifier finds every kind of break: a good plan is broken in one way and the rule it names is checked."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import medley_planner
from medley_planner.model import (
    Bucket,
    Demand,
    LimitKind,
    LimitUse,
    NodeCount,
    Plan,
    PlanStatus,
    Pool,
    Problem,
    Provenance,
    RoutingMode,
    Service,
    ServicePlan,
    SingleType,
    SizeSource,
    Unserved,
    UnservedReason,
    Variant,
    VariantPlan,
)
from medley_planner.optimize import Rule, plan, verify


def _problem(routing: RoutingMode) -> Problem:
    demand = Demand(5.0, (Bucket(100, 100), Bucket(9000, 100)), (0.7, 0.3), SizeSource.STATIC)
    small = Variant("small", "l4", "L4", 1, 1.0, (2.0, 0.6), Provenance.GIVEN, max_replicas=20)
    large = Variant("large", "h100", "H100", 2, 4.0, (6.0, 4.0), Provenance.GIVEN, min_replicas=1)
    blind = Variant("blind", "l4", "L4", 1, 0.5, (2.0, 0.0), Provenance.GIVEN, max_replicas=0)
    service = Service("chat", demand, (small, large, blind), routing, utilisation_limit=0.9)
    return Problem((service,), (Pool("l4", 8), Pool("h100", 4)))


def _with_service(good: Plan, change: Callable[[ServicePlan], ServicePlan]) -> Plan:
    return replace(good, services=(change(good.services[0]),))


def _with_variant(good: Plan, index: int, change: Callable[[VariantPlan], VariantPlan]) -> Plan:
    def edit(service: ServicePlan) -> ServicePlan:
        variants = list(service.variants)
        variants[index] = change(variants[index])
        return replace(service, variants=tuple(variants))

    return _with_service(good, edit)


_BREAKS: dict[str, tuple[Rule, Callable[[Plan], Plan]]] = {
    "service missing": (Rule.STRUCTURE, lambda good: replace(good, services=())),
    "variant missing": (
        Rule.STRUCTURE,
        lambda good: _with_service(good, lambda s: replace(s, variants=s.variants[1:])),
    ),
    "other routing": (
        Rule.STRUCTURE,
        lambda good: _with_service(good, lambda s: replace(s, routing=RoutingMode.SERVICE)),
    ),
    "short of a share": (
        Rule.STRUCTURE,
        lambda good: _with_variant(good, 0, lambda v: replace(v, bucket_shares=v.bucket_shares[:1])),
    ),
    "fraction of a replica": (
        Rule.REPLICAS,
        lambda good: _with_variant(good, 0, lambda v: replace(v, replicas=1.5)),  # type: ignore[arg-type]
    ),
    "below minimum": (Rule.REPLICAS, lambda good: _with_variant(good, 1, lambda v: replace(v, replicas=0))),
    "above maximum": (Rule.REPLICAS, lambda good: _with_variant(good, 2, lambda v: replace(v, replicas=1))),
    "above stock": (Rule.STOCK, lambda good: _with_variant(good, 0, lambda v: replace(v, replicas=9))),
    "share lost": (
        Rule.SHARES,
        lambda good: _with_variant(good, 1, lambda v: replace(v, bucket_shares=(0.0, v.bucket_shares[1]))),
    ),
    "share not what the buckets make": (
        Rule.SHARES,
        lambda good: _with_variant(good, 1, lambda v: replace(v, share=v.share / 2)),
    ),
    "requests without a replica": (
        Rule.SHARES,
        lambda good: _with_variant(good, 2, lambda v: replace(v, bucket_shares=(0.1, 0.0))),
    ),
    "too few replicas for the load": (
        Rule.CAPACITY,
        lambda good: _with_variant(good, 0, lambda v: replace(v, replicas=v.replicas - 1)),
    ),
    "load not as stated": (Rule.CAPACITY, lambda good: _with_variant(good, 1, lambda v: replace(v, load=v.load * 0.5))),
    "bucket on a variant that cannot": (
        Rule.CANNOT_SERVE,
        lambda good: _with_variant(good, 2, lambda v: replace(v, bucket_shares=(0.0, 0.1))),
    ),
    "variant's cost": (Rule.COST, lambda good: _with_variant(good, 0, lambda v: replace(v, cost_per_hour=0.1))),
    "service's cost": (Rule.COST, lambda good: _with_service(good, lambda s: replace(s, cost_per_hour=0.1))),
    "fleet's cost": (Rule.COST, lambda good: replace(good, cost_per_hour=0.1)),
    "bound above cost": (Rule.BOUND, lambda good: replace(good, lower_bound_per_hour=good.cost_per_hour * 1.1)),
    "gap too good": (Rule.BOUND, lambda good: replace(good, lower_bound_per_hour=0.0)),
    "bound is no number": (Rule.BOUND, lambda good: replace(good, lower_bound_per_hour=float("nan"))),
    "single type's cost": (
        Rule.BEST_SINGLE,
        lambda good: _with_service(good, lambda s: replace(s, best_single=SingleType("large", 2, 1.0))),
    ),
    "single type unknown": (
        Rule.BEST_SINGLE,
        lambda good: _with_service(good, lambda s: replace(s, best_single=SingleType("none", 1, 1.0))),
    ),
    "single type above its maximum": (
        Rule.BEST_SINGLE,
        lambda good: _with_service(good, lambda s: replace(s, best_single=SingleType("small", 21, 21.0))),
    ),
    "optimal with demand left out": (
        Rule.STATUS,
        lambda good: _with_service(good, lambda s: replace(s, unserved=(Unserved(0, 0.5, UnservedReason.STOCK),))),
    ),
    "infeasible while serving": (
        Rule.STATUS,
        lambda good: _with_service(good, lambda s: replace(s, status=PlanStatus.INFEASIBLE)),
    ),
    "fleet better than its services": (
        Rule.STATUS,
        lambda good: _with_service(good, lambda s: replace(s, status=PlanStatus.PARTIAL)),
    ),
    "limit unknown": (
        Rule.LIMITS,
        lambda good: replace(good, limits=(LimitUse(LimitKind.POWER, "row", 1, 0.0, 1.0),)),
    ),
    "limit used by less than it is": (
        Rule.LIMITS,
        lambda good: replace(good, limits=(LimitUse(LimitKind.STOCK, "l4", 1, 0.0, 8.0),)),
    ),
    "limit at a negative price": (
        Rule.LIMITS,
        lambda good: replace(good, limits=(LimitUse(LimitKind.STOCK, "h100", 1, 2.0, 4.0, -1.0),)),
    ),
    "nodes of a pool that has none to buy": (
        Rule.NODES,
        lambda good: replace(good, nodes=(NodeCount("l4", 0, 0.0, 0.0),)),
    ),
    "switching from nothing": (
        Rule.SWITCHING,
        lambda good: _with_service(good, lambda s: replace(s, switching_cost_per_hour=0.1)),
    ),
    "unserved by a limit unknown": (
        Rule.UNSERVED,
        lambda good: _with_service(
            good, lambda s: replace(s, unserved=(Unserved(0, 0.5, UnservedReason.STOCK, ("b200",)),))
        ),
    ),
    "more unserved than there is": (
        Rule.UNSERVED,
        lambda good: _with_service(good, lambda s: replace(s, unserved=(Unserved(0, 9.0, UnservedReason.STOCK),))),
    ),
    "partial with nothing left out": (
        Rule.STATUS,
        lambda good: replace(
            _with_service(good, lambda s: replace(s, status=PlanStatus.PARTIAL)), status=PlanStatus.PARTIAL
        ),
    ),
    "unserved bucket unknown": (
        Rule.STRUCTURE,
        lambda good: _with_service(good, lambda s: replace(s, unserved=(Unserved(7, 0.5, UnservedReason.STOCK),))),
    ),
}


@pytest.mark.parametrize("name", list(_BREAKS))
def test_names_the_rule_that_is_broken(name: str) -> None:
    rule, broken = _BREAKS[name]
    problem = _problem(RoutingMode.HTTP_ROUTE)
    good = plan(problem)
    assert verify(problem, good) == ()
    assert good.services[0].replicas()["small"] > 0
    violations = verify(problem, broken(good))
    assert rule in {violation.rule for violation in violations}
    assert all(violation.message for violation in violations)


def test_http_route_must_send_every_bucket_the_same_way() -> None:
    by_size = _problem(RoutingMode.PER_BUCKET)
    good = plan(by_size)
    assert good.services[0].variants[0].bucket_shares[0] != pytest.approx(good.services[0].variants[0].bucket_shares[1])
    by_weight = _problem(RoutingMode.HTTP_ROUTE)
    claimed = _with_service(good, lambda s: replace(s, routing=RoutingMode.HTTP_ROUTE))
    assert Rule.ROUTING in {violation.rule for violation in verify(by_weight, claimed)}


def test_service_must_split_by_pods() -> None:
    by_weight = plan(_problem(RoutingMode.HTTP_ROUTE))
    claimed = _with_service(by_weight, lambda s: replace(s, routing=RoutingMode.SERVICE))
    violations = verify(_problem(RoutingMode.SERVICE), claimed)
    assert Rule.ROUTING in {violation.rule for violation in violations}


def test_a_cheaper_single_type_is_found() -> None:
    problem = _problem(RoutingMode.HTTP_ROUTE)
    service = problem.services[0]
    free = replace(service, variants=tuple(replace(variant, min_replicas=0) for variant in service.variants))
    free_problem = replace(problem, services=(free,))
    good = plan(free_problem)
    cheap = _with_service(good, lambda s: replace(s, best_single=SingleType("small", 1, 1.0)))
    assert Rule.BEST_SINGLE in {violation.rule for violation in verify(free_problem, cheap)}


def test_minimum_may_be_missed_only_by_a_partial_plan() -> None:
    problem = _problem(RoutingMode.HTTP_ROUTE)
    good = plan(problem)
    missed = _with_variant(good, 1, lambda v: replace(v, replicas=0))
    partial = replace(_with_service(missed, lambda s: replace(s, status=PlanStatus.PARTIAL)), status=PlanStatus.PARTIAL)
    assert Rule.REPLICAS in {violation.rule for violation in verify(problem, missed)}
    assert Rule.REPLICAS not in {violation.rule for violation in verify(problem, partial)}


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
