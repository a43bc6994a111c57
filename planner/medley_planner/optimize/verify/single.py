"""The single type that a plan is compared with: it must be a real alternative, and not a better one.

Apart: all others ask whether a plan is allowed, this one whether its comparison is honest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medley_planner.model import Plan, Pool, Problem, Service, ServicePlan
from medley_planner.optimize.verify.money import switching_cost
from medley_planner.optimize.verify.own import check_own_limits
from medley_planner.optimize.verify.rules import TOLERANCE, Finding, Rule, close
from medley_planner.optimize.verify.shared import Taken, check_replaced
from medley_planner.optimize.verify.work import effective_work, load, lost_replicas, served_parts


def check_single(
    problem: Problem, plan: Plan, service: Service, planned: ServicePlan, taken: Taken, pools: Mapping[str, Pool]
) -> Iterator[Finding]:
    single = planned.best_single
    if single is None:
        return
    index = next((i for i, variant in enumerate(service.variants) if variant.name == single.variant), None)
    if index is None:
        yield Rule.BEST_SINGLE, f"{single.variant} is not a variant of the service"
        return
    variant = service.variants[index]
    if not close(single.cost_per_hour, variant.cost_per_hour * single.replicas):
        yield Rule.BEST_SINGLE, f"{single.replicas} of {variant.name} do not cost {single.cost_per_hour:.6f}"
    counts = [single.replicas if position == index else 0 for position in range(len(service.variants))]
    problems = [message for _, message in check_own_limits(service, counts, pools, may_be_short=False)]
    now = [part.replicas for part in planned.variants]
    problems += [message for _, message in check_replaced(problem, taken, service, now, counts)]
    needed = load(effective_work(service, variant), served_parts(service, planned))
    able = single.replicas - lost_replicas(service) if needed > 0 else single.replicas
    if not needed <= able * (1 + TOLERANCE):
        problems.append(f"the served load takes {needed:.6f}")
    for message in problems:
        yield Rule.BEST_SINGLE, f"{single.replicas} of {variant.name} alone are not possible: {message}"
    # What a replica on a whole node costs the fleet depends on who else is there.
    if problems or planned.unserved or any(pools[other.pool].node_price is not None for other in service.variants):
        return
    alone = single.cost_per_hour + switching_cost(service, counts)
    cost = planned.cost_per_hour + switching_cost(service, now)
    # So much of the fleet's cost may be given up for a plan with fewer changes.
    slack = problem.steady_within * (plan.cost_per_hour + plan.switching_cost_per_hour)
    if _has_current(service):
        cost -= slack
    if alone < cost * (1 - TOLERANCE):
        yield (
            Rule.BEST_SINGLE,
            f"{single.replicas} of {variant.name} alone cost {alone:.6f} with switching, "
            f"less than the plan's {cost:.6f}",
        )


def _has_current(service: Service) -> bool:
    """Whether the service has replicas that a plan could have been asked to keep."""
    return any(variant.current_replicas > 0 for variant in service.variants)
