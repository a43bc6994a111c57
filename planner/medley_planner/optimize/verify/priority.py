"""Whether a service goes short of what one of lower priority holds: by single exchanges that are certain to help.

Claims nothing that it cannot show: one replica of the lower service, which could do without it, makes room in the same
pool for one replica of the higher service, which then serves more. Larger exchanges are not looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medley_planner.model import Plan, Pool, Priority, Problem, Service, ServicePlan, Variant
from medley_planner.optimize.verify.own import check_own_limits, has_minima
from medley_planner.optimize.verify.rules import TOLERANCE, Rule, Violation, within
from medley_planner.optimize.verify.shared import Drawn, Taken, check_quota
from medley_planner.optimize.verify.trade import certain_gain_rps

LEAST_GAIN = 1e-3
"""Share of a service's rate; less may be what a solver's tolerance leaves."""

_ORDER = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


@dataclass(frozen=True, slots=True)
class _Held:
    """A replica that serves requests and could be given up."""

    service: Service
    variant: Variant


def check_priorities(problem: Problem, plan: Plan, taken: Taken, pools: Mapping[str, Pool]) -> Iterator[Violation]:
    pairs = list(zip(problem.services, plan.services, strict=True))
    if len({service.priority for service in problem.services}) < 2 or not any(p.unserved for _, p in pairs):
        return
    held: dict[str, list[_Held]] = {}
    for service, planned in pairs:
        for entry in _given_up(service, planned, pools):
            held.setdefault(entry.variant.pool, []).append(entry)
    for service, planned in pairs:
        if planned.unserved:
            yield from _check_one(problem, service, planned, held, taken, pools)


def _check_one(
    problem: Problem,
    service: Service,
    planned: ServicePlan,
    held: Mapping[str, Sequence[_Held]],
    taken: Taken,
    pools: Mapping[str, Pool],
) -> Iterator[Violation]:
    missed = sum(entry.rate_rps for entry in planned.unserved)
    for index, variant in enumerate(service.variants):
        lower = next(
            (
                entry
                for entry in held.get(variant.pool, ())
                if _ORDER.index(entry.service.priority) > _ORDER.index(service.priority)
                and entry.variant.gpus_per_replica >= variant.gpus_per_replica
                and _power_allows(problem, taken, entry.variant, variant)
                and _quota_allows(problem, taken, entry.variant, variant)
            ),
            None,
        )
        if lower is None:
            continue
        counts = [part.replicas for part in planned.variants]
        counts[index] += 1
        if any(check_own_limits(service, counts, pools, may_be_short=True)):
            continue
        gain = certain_gain_rps(service, planned, index)
        if gain > LEAST_GAIN * service.demand.rate_rps:
            yield Violation(
                service.name,
                Rule.PRIORITY,
                f"leaves out {missed:.6g} req/s at priority {service.priority}, while {lower.service.name} at "
                f"{lower.service.priority} has a replica of {lower.variant.name} in pool {variant.pool}: one of "
                f"{variant.name} in its place would serve {gain:.6g} req/s more",
            )
            return


def _given_up(service: Service, planned: ServicePlan, pools: Mapping[str, Pool]) -> Iterator[_Held]:
    """Replicas that serve requests and that the service's own rules do not tie down."""
    if service.demand.rate_rps <= 0:
        return
    counts = [part.replicas for part in planned.variants]
    for index, (variant, part) in enumerate(zip(service.variants, planned.variants, strict=True)):
        if part.replicas < 1 or part.share <= TOLERANCE:
            continue
        fewer = [count - 1 if position == index else count for position, count in enumerate(counts)]
        # A service without minima may lose all of its replicas, so none of its rules keeps one of them.
        if not has_minima(service) or not any(check_own_limits(service, fewer, pools, may_be_short=False)):
            yield _Held(service, variant)


def _power_allows(problem: Problem, taken: Taken, out: Variant, into: Variant) -> bool:
    budgets = {domain.name: domain.budget_watts for domain in problem.power_domains}
    return all(within(taken.watts[name] + into.watts - out.watts, budgets[name]) for name in taken.above[into.pool])


def _quota_allows(problem: Problem, taken: Taken, out: Variant, into: Variant) -> bool:
    quota = next((quota for quota in problem.quotas if quota.name == into.quota), None)
    if quota is None:
        return True
    drawn = taken.quotas[quota.name]
    gpus, cost_per_hour = drawn.gpus + into.gpus_per_replica, drawn.cost_per_hour + into.cost_per_hour
    if out.quota == into.quota:
        gpus, cost_per_hour = gpus - out.gpus_per_replica, cost_per_hour - out.cost_per_hour
    return not any(check_quota(quota, Drawn(gpus, cost_per_hour)))
