"""The cheaper fleet that a plan names: what it saves and what leaving for it costs decide when the plan's is left.

Apart: all others ask whether a plan is allowed, this one whether what it leaves aside is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from medley_planner.model import Pool, Problem, Service, ServicePlan
from medley_planner.optimize.verify.own import check_own_limits
from medley_planner.optimize.verify.rules import TOLERANCE, Finding, Rule, close
from medley_planner.optimize.verify.shared import Taken, check_replaced
from medley_planner.optimize.verify.work import by_pods, effective_work, load, sees_no_size, served_parts

_HOUR_SECONDS = 3600.0


def check_cheaper(
    problem: Problem, service: Service, planned: ServicePlan, taken: Taken, pools: Mapping[str, Pool]
) -> Iterator[Finding]:
    cheaper = planned.cheaper
    if cheaper is None:
        return
    counts, now = list(cheaper.replicas), [part.replicas for part in planned.variants]
    if len(counts) != len(service.variants):
        yield Rule.CHEAPER, f"it has {len(counts)} variants of {len(service.variants)}"
        return
    problems = [message for _, message in check_own_limits(service, counts, pools, may_be_short=False)]
    problems += [message for _, message in check_replaced(problem, taken, service, now, counts)]
    if not _may_carry(service, planned, counts):
        problems.append("it cannot carry what the plan serves")
    for message in problems:
        yield Rule.CHEAPER, f"the fleet {counts} is not possible: {message}"
    saved = math.fsum(
        (old - new) * variant.cost_per_hour for variant, old, new in zip(service.variants, now, counts, strict=True)
    )
    # What a replica on a whole node costs the fleet depends on who else is there.
    alone = all(pools[variant.pool].node_price is None for variant in service.variants)
    if not cheaper.saving_per_hour > 0 or (alone and not close(saved, cheaper.saving_per_hour)):
        yield Rule.CHEAPER, f"the fleet {counts} saves {saved:.6f} per hour, not {cheaper.saving_per_hour:.6f}"
    leaving = _start_cost(service, counts) - _start_cost(service, now)
    if not cheaper.leaving_cost > 0 or not close(leaving, cheaper.leaving_cost):
        yield Rule.CHEAPER, f"leaving for the fleet {counts} costs {leaving:.6f}, not {cheaper.leaving_cost:.6f}"


def _may_carry(service: Service, planned: ServicePlan, counts: Sequence[int]) -> bool:
    """Whether the fleet carries what the plan serves. Where the router sees sizes, only whether there are as many
    replicas as it takes with each bucket where it takes least."""
    parts = served_parts(service, planned)
    if not any(parts):
        return True
    used = [
        (count, effective_work(service, each)) for count, each in zip(counts, service.variants, strict=True) if count
    ]
    if by_pods(service):
        carried = sum(counts) / max((load(work, parts) for _, work in used), default=math.inf)
    elif sees_no_size(service):
        carried = math.fsum(count / load(work, parts) for count, work in used)
    else:
        least = math.fsum(
            part * min((work[bucket] for _, work in used), default=math.inf)
            for bucket, part in enumerate(parts)
            if part > 0
        )
        carried = sum(counts) / least
    return carried >= 1 - TOLERANCE


def _start_cost(service: Service, counts: Sequence[int]) -> float:
    return (
        math.fsum(
            max(0, count - variant.current_replicas)
            * variant.cost_per_hour
            * (variant.startup_seconds + variant.drain_seconds)
            for variant, count in zip(service.variants, counts, strict=True)
        )
        / _HOUR_SECONDS
    )
