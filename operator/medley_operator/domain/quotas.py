"""The planner's quotas: what is left of the GPUs and US dollars per hour that policies allow each namespace.

Pure. What is not planned this round draws from a quota first, as it does from stock: last plans that are held, and all
that runs of services that are refused or do not parse. So a namespace that is above its quota gets no replica more, and
what of it is planned shrinks to what is left.

Apart: it joins what policies say to what runs, which neither of the two should know of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from medley_operator.domain.cluster.children import Owned, ReplicaSizes
from medley_operator.domain.values.bounds import NamespaceBounds
from medley_operator.domain.values.candidates import PoolState
from medley_planner.model import Quota, Service


def owned_in(namespace: str, owned: Owned) -> Owned:
    """Children of the namespace, by their owner."""
    return {uid: own for uid, own in owned.items() if any(key.namespace == namespace for key in own)}


def quota_of(bounds: NamespaceBounds, taken: Mapping[str, ReplicaSizes], pools: Sequence[PoolState]) -> Quota:
    """What is left to plan with in a namespace of which `taken` (by pool) is not planned."""
    prices = {state.pool.metadata.name: state.pool.spec.gpu_cost_per_hour() for state in pools}
    by_pool = {pool: sum(size * count for size, count in sizes.items()) for pool, sizes in taken.items()}
    gpus = sum(by_pool.values())
    cost_per_hour = sum(count * prices.get(pool, 0.0) for pool, count in sorted(by_pool.items()))
    most, budget = bounds.max_gpus, bounds.max_cost_per_hour
    return Quota(
        bounds.quota_name,
        max_gpus=max(0, most.value - gpus) if most is not None else None,
        max_cost_per_hour=max(0.0, budget.value - cost_per_hour) if budget is not None else None,
    )


def drawing(service: Service, quota: str | None) -> Service:
    """The service with all of its variants under the quota."""
    if quota is None:
        return service
    return replace(service, variants=tuple(replace(variant, quota=quota) for variant in service.variants))
