"""Which limits of a service's own bind in its plan: those that one more (or one fewer) of its replicas would break."""

from __future__ import annotations

from collections.abc import Iterator

from medley_planner.explain.values import OwnLimit
from medley_planner.model import Pool, Service, ServicePlan

_SLACK = 1e-9


def own_limits(service: Service, planned: ServicePlan, pools: dict[str, Pool]) -> tuple[OwnLimit, ...]:
    """By the names of the fields of `Service` and `Variant`."""
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
    if budget is not None and cheapest is not None and planned.cost_per_hour + cheapest > budget * (1 + _SLACK):
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
    if share < 1 and total > 0 and spot + 1 > share * total * (1 + _SLACK):
        yield OwnLimit("spot_max_share", spot / total, share)
    if service.on_demand_min_replicas > 0 and total - spot <= service.on_demand_min_replicas:
        yield OwnLimit("on_demand_min_replicas", total - spot, service.on_demand_min_replicas)
