"""Refuses a malformed `Problem` before any arithmetic touches it, naming the object, the field and the way out.

Contradicting but well-formed wishes (a minimum above the stock, say) pass: they are outcomes of planning, not errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from medley_planner.model import Demand, Pool, Problem, Service, Variant

SHARE_SUM_TOLERANCE = 1e-6


class InvalidProblem(ValueError):
    """A value that no plan can be made from. `object` is the service, variant or pool; `message` says the way out."""

    def __init__(self, object: str, field: str, value: object, message: str) -> None:  # noqa: A002 - contract
        super().__init__(f"{object}: {field} is {value!r}: {message}")
        self.object = object
        self.field = field
        self.value = value
        self.message = message


def validate(problem: Problem) -> None:
    """Raises `InvalidProblem` for the first value, in the problem's own order, that is out of its range."""
    _check_unique("problem", "pools", [pool.name for pool in problem.pools])
    _check_unique("problem", "services", [service.name for service in problem.services])
    for pool in problem.pools:
        _check_pool(pool)
    pools = {pool.name for pool in problem.pools}
    for service in problem.services:
        _check_service(service, pools)


def _check_pool(pool: Pool) -> None:
    if pool.stock_gpus is not None:
        _check_count(f"pool {pool.name}", "stock_gpus", pool.stock_gpus, smallest=0)


def _check_service(service: Service, pools: set[str]) -> None:
    owner = f"service {service.name}"
    _check_demand(owner, service.demand)
    _check_replicas(owner, service.min_replicas, service.max_replicas)
    limit = service.utilisation_limit
    if not (math.isfinite(limit) and 0 < limit <= 1):
        raise InvalidProblem(owner, "utilisation_limit", limit, "give a fraction above 0 and at most 1")
    _check_unique(owner, "variants", [variant.name for variant in service.variants])
    for variant in service.variants:
        _check_variant(owner, variant, pools, buckets=len(service.demand.buckets))


def _check_demand(owner: str, demand: Demand) -> None:
    _check_number(owner, "demand.rate_rps", demand.rate_rps)
    if len(demand.shares) != len(demand.buckets):
        raise InvalidProblem(
            owner,
            "demand.shares",
            len(demand.shares),
            f"give one share for each of the {len(demand.buckets)} buckets",
        )
    for index, bucket in enumerate(demand.buckets):
        _check_number(owner, f"demand.buckets[{index}].prompt_tokens", bucket.prompt_tokens)
        _check_number(owner, f"demand.buckets[{index}].generation_tokens", bucket.generation_tokens)
    _check_each(owner, "demand.shares", demand.shares)
    if not demand.buckets and demand.rate_rps == 0:
        return
    total = math.fsum(demand.shares)
    if abs(total - 1) > SHARE_SUM_TOLERANCE:
        raise InvalidProblem(owner, "sum of demand.shares", total, "scale the shares so that they sum to 1")


def _check_variant(owner: str, variant: Variant, pools: set[str], *, buckets: int) -> None:
    name = f"{owner}, variant {variant.name}"
    if variant.pool not in pools:
        known = ", ".join(sorted(pools)) or "none"
        raise InvalidProblem(name, "pool", variant.pool, f"no such pool; the problem has: {known}")
    _check_count(name, "gpus_per_replica", variant.gpus_per_replica, smallest=1)
    _check_number(name, "cost_per_hour", variant.cost_per_hour)
    if variant.cost_per_hour <= 0:
        raise InvalidProblem(name, "cost_per_hour", variant.cost_per_hour, "give a price above 0 US dollars per hour")
    if len(variant.capacity_rps) != buckets:
        raise InvalidProblem(
            name, "capacity_rps", len(variant.capacity_rps), f"give one capacity for each of the {buckets} buckets"
        )
    _check_each(name, "capacity_rps", variant.capacity_rps)
    _check_replicas(name, variant.min_replicas, variant.max_replicas)


def _check_replicas(owner: str, least: int, most: int | None) -> None:
    _check_count(owner, "min_replicas", least, smallest=0)
    if most is not None:
        _check_count(owner, "max_replicas", most, smallest=0)


def _check_count(owner: str, field: str, value: int, *, smallest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
        raise InvalidProblem(owner, field, value, f"give a whole number, {smallest} or more")


def _check_each(owner: str, field: str, values: Sequence[float]) -> None:
    # All at once, as a fleet has hundreds of thousands of them; the loop finds the one to name.
    given = np.array(values, float)
    if bool((np.isfinite(given) & (given >= 0)).all()):
        return
    for index, value in enumerate(values):
        _check_number(owner, f"{field}[{index}]", value)


def _check_number(owner: str, field: str, value: float) -> None:
    if not math.isfinite(value) or value < 0:
        raise InvalidProblem(owner, field, value, "give a finite number, 0 or more")


def _check_unique(owner: str, field: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidProblem(owner, field, name, "is there twice; give each its own name")
        seen.add(name)
