"""Refuses a malformed `Problem` before any arithmetic touches it, naming the object, the field and the way out.

Contradicting but well-formed wishes (a minimum above the stock, say) pass: they are outcomes of planning, not errors.
What one service does wrong can be told apart from what all share, so that the others can be planned (`split_valid`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from typing import NoReturn

from medley_planner.model import Demand, NodePrice, Pool, Problem, Service, Variant
from medley_planner.optimize.validate.ranges import (
    LEAST_RPS,
    MOST,
    MOST_RPS,
    are_quantities,
    is_capacity,
    is_count,
    is_price,
    is_quantity,
    sound_figures,
    with_odd_capacities,
)
from medley_planner.optimize.validate.shared import PRICE_WANTED, InvalidProblem, check_shared

SHARE_SUM_TOLERANCE = 1e-6
PRICE_TOLERANCE = 1e-6
"""Relative. How far a variant's price may be off its part of its node's."""

__all__ = ["PRICE_TOLERANCE", "SHARE_SUM_TOLERANCE", "InvalidProblem", "split_valid", "validate"]


def validate(problem: Problem) -> None:
    """Raises `InvalidProblem` for the first value, in the problem's own order, that is out of its range."""
    check_shared(problem)
    for fault in _faults(problem):
        raise fault


def split_valid(problem: Problem) -> tuple[Problem, tuple[InvalidProblem, ...]]:
    """The problem without the services that are at fault, and the first fault of each of those, in their order.

    Of services that contradict each other (equal names, replica sizes that do not pack together) the earlier stays.
    Raises `InvalidProblem` where a pool, a power domain or a quota is at fault, which no service can do without.
    """
    check_shared(problem)
    faults = tuple(_faults(problem))
    dropped = {fault.service for fault in faults}
    kept = tuple(service for index, service in enumerate(problem.services) if index not in dropped)
    return replace(problem, services=kept), faults


def _faults(problem: Problem) -> Iterator[InvalidProblem]:
    """At most one for each service: its first."""
    pools = {pool.name: pool for pool in problem.pools}
    quotas = {None, *(quota.name for quota in problem.quotas)}
    names: set[str] = set()
    sizes: dict[str, dict[int, str]] = {pool.name: {} for pool in problem.pools if _on_nodes(pool)}
    odd = with_odd_capacities(problem.services)
    for index, service in enumerate(problem.services):
        try:
            if service.name in names:
                raise InvalidProblem(
                    "problem", "services", service.name, "the name is used twice; give each a different name"
                )
            _check_service(service, pools, odd_capacities=index in odd)
            _check_quotas(service, quotas)
            sizes |= _packable_sizes(service, sizes)
        except InvalidProblem as fault:
            fault.service = index
            yield fault
        else:
            names.add(service.name)


def _on_nodes(pool: Pool) -> bool:
    return pool.node_gpus is not None or pool.node_price is not None


def _check_service(service: Service, pools: Mapping[str, Pool], *, odd_capacities: bool) -> None:
    owner = f"service {service.name}"
    _check_demand(owner, service.demand)
    _check_replicas(owner, service)
    limit = service.utilisation_limit
    if not 0 < limit <= 1:
        raise InvalidProblem(owner, "utilisation_limit", limit, "give a fraction above 0 and at most 1")
    _check_quantity(owner, "staffing_beta", service.staffing_beta)
    _check_quantity(owner, "held_rps", service.held_rps)
    if not service.stay_seconds > 0:
        raise InvalidProblem(owner, "stay_seconds", service.stay_seconds, "give a number above 0")
    if service.max_cost_per_hour is not None:
        _check_quantity(owner, "max_cost_per_hour", service.max_cost_per_hour)
    if not 0 <= service.spot_max_share <= 1:
        raise InvalidProblem(owner, "spot_max_share", service.spot_max_share, "give a fraction from 0 to 1")
    _check_count(owner, "on_demand_min_replicas", service.on_demand_min_replicas)
    _check_unique_variants(owner, service)
    # All at once, as a fleet has hundreds of thousands of figures; the loops find the one to name.
    if odd_capacities:
        for index, variant in enumerate(service.variants):
            _check_capacity(service, index, variant)
    sound = sound_figures(service.variants)
    used = {variant.pool for variant in service.variants}
    if sound and all(pool in pools and pools[pool].node_price is None for pool in used):
        return
    for index, variant in enumerate(service.variants):
        pool = pools.get(variant.pool)
        if pool is None:
            known = ", ".join(sorted(pools)) or "none"
            _refuse(service, index, "pool", variant.pool, f"there is no such pool; the problem has: {known}")
        if not sound:
            _check_figures(service, index, variant)
        if pool.node_price is not None:
            _check_part_of_node(service, index, pool.name, pool.node_price)


def _check_quotas(service: Service, known: Set[str | None]) -> None:
    for index, variant in enumerate(service.variants):
        if variant.quota not in known:
            named = ", ".join(sorted(name for name in known if name is not None)) or "none"
            _refuse(service, index, "quota", variant.quota, f"there is no such quota; the problem has: {named}")


def _check_unique_variants(owner: str, service: Service) -> None:
    if len({variant.name for variant in service.variants}) == len(service.variants):
        return
    names: set[str] = set()
    for index, variant in enumerate(service.variants):
        if variant.name in names:
            fault = InvalidProblem(
                owner, "variants", variant.name, "the name is used twice; give each a different name"
            )
            fault.variant = index
            raise fault
        names.add(variant.name)


def _check_demand(owner: str, demand: Demand) -> None:
    _check_quantity(owner, "demand.rate_rps", demand.rate_rps)
    if demand.rate_rps > MOST_RPS:
        raise InvalidProblem(
            owner, "demand.rate_rps", demand.rate_rps, f"give at most {MOST_RPS:g} requests per second"
        )
    if len(demand.shares) != len(demand.buckets):
        raise InvalidProblem(
            owner,
            "demand.shares",
            len(demand.shares),
            f"give one share for each of the {len(demand.buckets)} buckets",
        )
    prompts = [bucket.prompt_tokens for bucket in demand.buckets]
    generations = [bucket.generation_tokens for bucket in demand.buckets]
    if not (are_quantities(prompts) and are_quantities(generations)):
        for index, bucket in enumerate(demand.buckets):
            _check_quantity(owner, f"demand.buckets[{index}].prompt_tokens", bucket.prompt_tokens)
            _check_quantity(owner, f"demand.buckets[{index}].generation_tokens", bucket.generation_tokens)
    if not are_quantities(demand.shares):
        for index, share in enumerate(demand.shares):
            _check_quantity(owner, f"demand.shares[{index}]", share)
    if not demand.buckets and demand.rate_rps == 0:
        return
    total = math.fsum(demand.shares)
    if abs(total - 1) > SHARE_SUM_TOLERANCE:
        raise InvalidProblem(owner, "sum of demand.shares", total, "scale the shares so that they sum to 1")


def _check_capacity(service: Service, index: int, variant: Variant) -> None:
    buckets = len(service.demand.buckets)
    if len(variant.capacity_rps) != buckets:
        given = len(variant.capacity_rps)
        _refuse(service, index, "capacity_rps", given, f"give one capacity for each of the {buckets} buckets")
    for bucket, capacity in enumerate(variant.capacity_rps):
        if not is_capacity(capacity):
            tiny = f"give 0 where it cannot serve such requests, or at least {LEAST_RPS:g}"
            message = tiny if is_quantity(capacity) else "give a finite number, 0 or more"
            _refuse(service, index, f"capacity_rps[{bucket}]", capacity, message)


def _check_figures(service: Service, index: int, variant: Variant) -> None:
    for field, count, least in (
        ("gpus_per_replica", variant.gpus_per_replica, 1),
        ("min_replicas", variant.min_replicas, 0),
        ("max_replicas", 0 if variant.max_replicas is None else variant.max_replicas, 0),
        ("current_replicas", variant.current_replicas, 0),
        ("placed_replicas", variant.placed_replicas or 0, 0),
    ):
        if not is_count(count, least=least):
            _refuse(service, index, field, count, _count_wanted(least))
    if not is_price(variant.cost_per_hour):
        _refuse(service, index, "cost_per_hour", variant.cost_per_hour, PRICE_WANTED)
    for field in ("watts", "startup_seconds", "drain_seconds"):
        if not is_quantity(getattr(variant, field)):
            _refuse(service, index, field, getattr(variant, field), "give a finite number, 0 or more")


def _check_part_of_node(service: Service, index: int, pool: str, price: NodePrice) -> None:
    variant = service.variants[index]
    part = price.cost_per_hour * variant.gpus_per_replica / price.gpus
    if abs(variant.cost_per_hour - part) > PRICE_TOLERANCE * part:
        _refuse(
            service,
            index,
            "cost_per_hour",
            variant.cost_per_hour,
            f"pool {pool} is paid by the node of {price.gpus} GPUs at {price.cost_per_hour:g}; "
            f"give the part of {variant.gpus_per_replica} GPUs in it, {part:g}",
        )


def _packable_sizes(service: Service, sizes: Mapping[str, Mapping[int, str]]) -> dict[str, dict[int, str]]:
    """`sizes` (who uses how many GPUs per replica, by pool with nodes) with the service's own; raises `InvalidProblem`
    where two in a pool do not divide each other, as packing is then no longer decided by counting places."""
    found: dict[str, dict[int, str]] = {}
    for index, variant in enumerate(service.variants):
        known = sizes.get(variant.pool)
        if known is None or variant.gpus_per_replica in known:
            continue
        used = found.setdefault(variant.pool, dict(sizes[variant.pool]))
        for other, user in used.items():
            if max(other, variant.gpus_per_replica) % min(other, variant.gpus_per_replica):
                _refuse(
                    service,
                    index,
                    "gpus_per_replica",
                    variant.gpus_per_replica,
                    f"does not pack onto the nodes of pool {variant.pool} with {other} of {user}; "
                    "give sizes that divide each other (1, 2, 4, 8)",
                )
        used[variant.gpus_per_replica] = f"service {service.name}, variant {variant.name}"
    return found


def _check_replicas(owner: str, service: Service) -> None:
    _check_count(owner, "min_replicas", service.min_replicas)
    if service.max_replicas is not None:
        _check_count(owner, "max_replicas", service.max_replicas)


def _check_count(owner: str, field: str, value: int) -> None:
    if not is_count(value, least=0):
        raise InvalidProblem(owner, field, value, _count_wanted(0))


def _check_quantity(owner: str, field: str, value: float) -> None:
    if not is_quantity(value):
        raise InvalidProblem(owner, field, value, "give a finite number, 0 or more")


def _count_wanted(least: int) -> str:
    return f"give a whole number, {least} or more (at most {MOST:g})"


def _refuse(service: Service, index: int, field: str, value: object, message: str) -> NoReturn:
    owner = f"service {service.name}, variant {service.variants[index].name}"
    fault = InvalidProblem(owner, field, value, message)
    fault.variant = index
    raise fault
