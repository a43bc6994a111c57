"""When a limit binds: a shared one where no replica fits any more, be it of the fleet or of one service; one of a
service's own where one more (or one fewer) of its replicas would break it.

Pure. The explanation, the command line and the operator's statuses share this definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from medley_planner.explain.usage import drawing, limit_uses, usable
from medley_planner.explain.values import OwnLimit
from medley_planner.model import LimitKind, LimitUse, Plan, Pool, Problem, Service, ServicePlan, Variant

SLACK = 1e-9
"""Relative. Room that is missing by less is there."""


def smallest_step(use: LimitUse, variants: Iterable[Variant]) -> float:
    """The part of a limit that the smallest replica of variants that draw from it takes (GPUs, places, watts, US
    dollars per hour); 0 if none does."""
    if use.kind is LimitKind.POWER:
        steps = [variant.watts for variant in variants if variant.watts > 0]
    elif use.kind is LimitKind.QUOTA_COST:
        steps = [variant.cost_per_hour for variant in variants]
    else:
        # A replica takes places of its own size and of all smaller ones.
        steps = [variant.gpus_per_replica / use.size for variant in variants if variant.gpus_per_replica >= use.size]
    return min(steps, default=0.0)


def binds(use: LimitUse, *, step: float) -> bool:
    """Whether the limit leaves no room for a replica that takes `step` of it."""
    return step > 0 and use.limit - use.used < step * (1 - SLACK)


def binding_limits(problem: Problem, planned: Plan) -> dict[str, tuple[LimitUse, ...]]:
    """The limits that leave no room for even the smallest replica that a service could have under them, by service."""
    uses = [(use, drawing(problem, kind=use.kind, name=use.name)) for use in limit_uses(problem, planned)]
    result: dict[str, tuple[LimitUse, ...]] = {}
    for service in problem.services:
        variants = tuple(usable(service))
        result[service.name] = tuple(
            use for use, draws in uses if binds(use, step=smallest_step(use, filter(draws, variants)))
        )
    return result


def own_limits(service: Service, planned: ServicePlan, pools: dict[str, Pool]) -> tuple[OwnLimit, ...]:
    """The service's own limits, by the names of the fields of `Service` and `Variant`."""
    return tuple((*_replica_limits(service, planned), *_budget(service, planned), *_spot(service, planned, pools)))


def _replica_limits(service: Service, planned: ServicePlan) -> Iterator[OwnLimit]:
    counts = planned.replicas()
    total = sum(counts.values())
    if service.max_replicas is not None and total >= service.max_replicas:
        yield OwnLimit("max_replicas", total, service.max_replicas)
    if service.min_replicas > 0 and total <= service.min_replicas:
        yield OwnLimit("min_replicas", total, service.min_replicas)
    for variant in service.variants:
        count = counts.get(variant.name, 0)
        if variant.max_replicas is not None and count >= variant.max_replicas:
            yield OwnLimit(f"variant {variant.name} max_replicas", count, variant.max_replicas)
        if variant.min_replicas > 0 and count <= variant.min_replicas:
            yield OwnLimit(f"variant {variant.name} min_replicas", count, variant.min_replicas)


def _budget(service: Service, planned: ServicePlan) -> Iterator[OwnLimit]:
    budget = service.max_cost_per_hour
    cheapest = min((v.cost_per_hour for v in service.variants if v.max_replicas != 0), default=None)
    if budget is not None and cheapest is not None and planned.cost_per_hour + cheapest > budget * (1 + SLACK):
        yield OwnLimit("max_cost_per_hour", planned.cost_per_hour, budget)


def _spot(service: Service, planned: ServicePlan, pools: dict[str, Pool]) -> Iterator[OwnLimit]:
    counts = planned.replicas()
    on_spot = {variant.name for variant in service.variants if pools[variant.pool].spot}
    if not on_spot:
        return
    spot = sum(count for name, count in counts.items() if name in on_spot)
    total = sum(counts.values())
    share = service.spot_max_share
    # One replica swapped for a spot one: the share of as many as there are.
    if share < 1 and total > 0 and spot + 1 > share * total * (1 + SLACK):
        yield OwnLimit("spot_max_share", spot / total, share)
    if service.on_demand_min_replicas > 0 and total - spot <= service.on_demand_min_replicas:
        yield OwnLimit("on_demand_min_replicas", total - spot, service.on_demand_min_replicas)
