"""The planner's quotas: what is left of the GPUs and US dollars per hour that policies allow each namespace.

Pure. What the problem does not plan draws from a quota first, as it does from stock: plans in force that are held, or
that another problem plans, and all that runs of services that are refused or do not parse. So a namespace that is above
its quota gets no replica more, and what of it is planned shrinks to what is left.

Apart: it joins what policies say to what runs, which neither of the two should know of the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from medley_operator.domain.values.bounds import NamespaceBounds
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.stock import Ledger, ReplicaSizes
from medley_planner.model import Quota, Service


def held_by_namespace(ledger: Ledger, *, except_services: Collection[ServiceKey]) -> dict[str, dict[str, int]]:
    """GPUs that pods of all other services of ours hold, by namespace and pool."""
    held: dict[str, dict[str, int]] = {}
    for pool, stock in ledger.pools.items():
        for pod in (pod for node in stock.nodes for pod in node.running):
            if pod.holder.service not in except_services:
                own = held.setdefault(pod.holder.service.namespace, {})
                own[pool] = own.get(pool, 0) + pod.gpus
    return held


def quota_of(
    bounds: NamespaceBounds, held: Mapping[str, int], reserved: Mapping[str, ReplicaSizes], pools: Sequence[PoolState]
) -> Quota:
    """The rest to plan with in a namespace. The part of it that is not planned, by pool: `held` are GPUs that pods
    hold, `reserved` replicas that have no place yet."""
    prices = {state.pool.metadata.name: state.pool.spec.gpu_cost_per_hour() for state in pools}
    by_pool = dict(held)
    for pool, sizes in reserved.items():
        by_pool[pool] = by_pool.get(pool, 0) + sum(size * count for size, count in sizes.items())
    gpus = sum(by_pool.values())
    cost_per_hour = sum(count * prices.get(pool, 0.0) for pool, count in sorted(by_pool.items()))
    most, budget = bounds.max_gpus, bounds.max_cost_per_hour
    return Quota(
        bounds.quota_name,
        max_gpus=max(0, most.value - gpus) if most is not None else None,
        max_cost_per_hour=max(0.0, budget.value - cost_per_hour) if budget is not None else None,
    )


def drawing(service: Service, bounds: NamespaceBounds) -> Service:
    """The service with all of its variants under the quota of its namespace, where that has one."""
    if not bounds.limits_what_is_planned:
        return service
    return replace(service, variants=tuple(replace(each, quota=bounds.quota_name) for each in service.variants))
