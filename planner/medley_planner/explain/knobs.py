"""The limits that can give way to unmet demand: each with how to lift it, set it, and read what a plan needs of it.

Values in, values out; `relax.py` turns them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medley_planner.explain.limits import with_node
from medley_planner.explain.usage import gpus_used, replicas_by_pool, users, watts_used
from medley_planner.explain.values import RelaxationKind
from medley_planner.load import load_in_replicas
from medley_planner.model import (
    LimitKind,
    Plan,
    Pool,
    Problem,
    Service,
    Unserved,
    UnservedReason,
    Variant,
)

_GRAINS = 10_000
"""Watts and prices are told apart to a ten-thousandth."""
_MOST_NODES = 2000
"""A pool is not lifted beyond so many nodes more; no service of the size that is planned for needs them."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One limit. `services` it is turned for; `at(problem, value)` sets it; `needed(problem, plan)` is the value that
    a plan made without the limit would do with. Values go in steps of `step` (below 0: downwards; 0: it can only be
    lifted) from `start`, which is no better than `now`."""

    kind: RelaxationKind
    name: str
    services: tuple[str, ...]
    unit: str
    now: float
    step: float
    lift: Callable[[Problem], Problem]
    at: Callable[[Problem, float], Problem]
    needed: Callable[[Problem, Plan], float]
    start: float


def knobs(problem: Problem, unserved: Sequence[tuple[Service, Unserved]]) -> tuple[Knob, ...]:
    """The limits that the reasons name, each once, shared ones first. `problem` holds these services."""
    names = tuple(dict.fromkeys(service.name for service, _ in unserved))
    pools = {pool.name: pool for pool in problem.pools}
    shared: dict[tuple[RelaxationKind, str], Knob] = {}
    own: dict[tuple[RelaxationKind, str], Knob] = {}
    for service, entry in unserved:
        if entry.reason not in _SHARED:
            own |= {(knob.kind, knob.name): knob for knob in _own_knobs(service, entry, pools)}
            continue
        for name in entry.limits or _all_shared(service, entry.reason, problem):
            for knob in (_pool_knob(problem, pools, name, names), _power_knob(problem, name, names)):
                if knob is not None:
                    shared[knob.kind, knob.name] = knob
    return (*shared.values(), *own.values())


_SHARED = (UnservedReason.STOCK, UnservedReason.NODES, UnservedReason.POWER)


def _all_shared(service: Service, reason: UnservedReason, problem: Problem) -> tuple[str, ...]:
    """Where the plan names no limit: all that the reason can mean."""
    if reason is UnservedReason.POWER:
        return tuple(domain.name for domain in problem.power_domains)
    return tuple(dict.fromkeys(variant.pool for variant in service.variants))


def _pool_knob(problem: Problem, pools: dict[str, Pool], name: str, services: tuple[str, ...]) -> Knob | None:
    """GPUs where packing is not looked at, else whole nodes; None where there is no such pool or it has no end."""
    pool = pools.get(name)
    if pool is None:
        return None
    able = users(problem, kind=LimitKind.STOCK, name=pool.name)
    if not able:
        return None
    smallest = min(variant.gpus_per_replica for variant in able)
    if pool.node_gpus is None and pool.node_price is None:
        if pool.stock_gpus is None:
            return None
        return Knob(
            kind=RelaxationKind.STOCK,
            name=pool.name,
            services=services,
            unit="GPUs",
            now=pool.stock_gpus,
            step=smallest,
            lift=lambda asked: _with_pool(asked, replace(pool, stock_gpus=None)),
            at=lambda asked, value: _with_pool(asked, replace(pool, stock_gpus=round(value))),
            needed=lambda asked, plan: gpus_used(replicas_by_pool(asked, plan).get(pool.name, [])),
            start=pool.stock_gpus,
        )
    if pool.node_price is not None and pool.node_price.max_nodes is None and pool.stock_gpus is None:
        return None
    size, now = _nodes(pool, able)
    most = min(_MOST_NODES, _enough_nodes(problem, pool, size))
    return Knob(
        kind=RelaxationKind.NODES,
        name=pool.name,
        services=services,
        unit=f"nodes of {size} GPUs",
        now=now,
        step=1,
        lift=lambda asked: _with_pool(asked, with_node(pool, size, count=most)),
        at=lambda asked, value: _with_pool(asked, with_node(pool, size, count=round(value) - now)),
        # All replicas of the pool on new nodes, size by size: more than needed, never less.
        needed=lambda asked, plan: (
            now
            + sum(
                math.ceil(count / (size // variant.gpus_per_replica))
                for variant, count in replicas_by_pool(asked, plan).get(pool.name, [])
                if variant.gpus_per_replica <= size
            )
        ),
        start=now,
    )


def _nodes(pool: Pool, able: Sequence[Variant]) -> tuple[int, int]:
    """GPUs of a node to add (the largest there is), and how many nodes there are."""
    if pool.node_price is not None:
        return pool.node_price.gpus, pool.node_price.max_nodes or 0
    there = pool.node_gpus or ()
    return max(there, default=max(variant.gpus_per_replica for variant in able)), len(there)


def _enough_nodes(problem: Problem, pool: Pool, size: int) -> int:
    """Nodes that hold all demand of all services on this pool alone, with room for spares and minima."""
    total = 0
    for service in problem.services:
        most = 0
        for variant in service.variants:
            if variant.pool == pool.name and variant.gpus_per_replica <= size:
                work = math.fsum(_loads(service, variant))
                replicas = math.ceil(work + service.staffing_beta * math.sqrt(work)) + 2 + service.min_replicas
                most = max(most, math.ceil(replicas / (size // variant.gpus_per_replica)))
        total += most
    return total


def _loads(service: Service, variant: Variant) -> list[float]:
    """In replicas, by the buckets that the variant can serve."""
    demand = service.demand
    rates = np.array([demand.bucket_rate_rps(bucket) for bucket in range(len(demand.shares))])
    load = load_in_replicas(rates, np.array(variant.capacity_rps), utilisation_limit=service.utilisation_limit)
    return [float(one) for one in load if math.isfinite(one)]


def _power_knob(problem: Problem, name: str, services: tuple[str, ...]) -> Knob | None:
    """None where there is no such domain."""
    domain = next((domain for domain in problem.power_domains if domain.name == name), None)
    if domain is None:
        return None
    start = domain.budget_watts
    watts = [v.watts for v in users(problem, kind=LimitKind.POWER, name=name) if v.watts > 0]
    step = _grain(watts)

    def at(asked: Problem, value: float) -> Problem:
        domains = tuple(
            replace(entry, budget_watts=value) if entry.name == name else entry for entry in asked.power_domains
        )
        return replace(asked, power_domains=domains)

    everything = math.fsum(
        variant.watts * (load + 4)
        for service in problem.services
        for variant in service.variants
        for load in _loads(service, variant)
    )
    return Knob(
        kind=RelaxationKind.POWER,
        name=name,
        services=services,
        unit="W",
        now=start,
        step=step,
        lift=lambda asked: at(asked, start + 2 * everything),
        at=at,
        needed=lambda asked, plan: watts_used(asked, plan, name),
        start=math.floor(start / step) * step if step > 0 else start,
    )


def _grain(amounts: Sequence[float]) -> float:
    """The largest amount that all of these are multiples of, so that sums of them are too; not below 1/64 of the
    smallest, as each halving is a plan. 0 without any."""
    if not amounts:
        return 0.0
    common = math.gcd(*(round(amount * _GRAINS) for amount in amounts)) / _GRAINS
    return max(common, min(amounts) / 64)


def _own_knobs(service: Service, entry: Unserved, pools: dict[str, Pool]) -> Iterator[Knob]:
    match entry.reason:
        case UnservedReason.BUDGET:
            yield from _budget(service)
        case UnservedReason.MAX_REPLICAS:
            yield from _maxima(service)
        case UnservedReason.SPOT_SHARE:
            yield from _spot(service, pools)
        case UnservedReason.ZONE_SPREAD:
            yield _switch(service, RelaxationKind.ZONE_SPREAD, service.name, replace(service, zone_spread=False))
        case UnservedReason.NO_VARIANT_MEETS_TARGET:
            if any(variant.capacity_rps[entry.bucket] > 0 for variant in service.variants):
                for mode in service.routing.better:
                    name = f"{service.name} {mode.value}"
                    yield _switch(service, RelaxationKind.ROUTING, name, replace(service, routing=mode))


def _budget(service: Service) -> Iterator[Knob]:
    budget = service.max_cost_per_hour
    if budget is None:
        return
    step = _grain([variant.cost_per_hour for variant in service.variants])
    yield _own(
        service,
        RelaxationKind.BUDGET,
        service.name,
        unit="US dollars per hour",
        now=budget,
        step=step,
        start=math.floor(budget / step) * step if step > 0 else budget,
        lifted=replace(service, max_cost_per_hour=None),
        at=lambda value: replace(service, max_cost_per_hour=value),
        needed=lambda counts: math.fsum(v.cost_per_hour * counts.get(v.name, 0) for v in service.variants),
    )


def _maxima(service: Service) -> Iterator[Knob]:
    if service.max_replicas is not None:
        yield _own(
            service,
            RelaxationKind.MAX_REPLICAS,
            service.name,
            unit="replicas",
            now=service.max_replicas,
            step=1,
            lifted=replace(service, max_replicas=None),
            at=lambda value: replace(service, max_replicas=round(value)),
            needed=lambda counts: sum(counts.values()),
        )
    for variant in service.variants:
        if variant.max_replicas is not None:
            yield _variant_maximum(service, variant, variant.max_replicas)


def _variant_maximum(service: Service, variant: Variant, most: int) -> Knob:
    def limited(value: int | None) -> Service:
        variants = tuple(
            replace(other, max_replicas=value) if other.name == variant.name else other for other in service.variants
        )
        return replace(service, variants=variants)

    return _own(
        service,
        RelaxationKind.MAX_REPLICAS,
        f"{service.name} {variant.name}",
        unit="replicas",
        now=most,
        step=1,
        lifted=limited(None),
        at=lambda value: limited(round(value)),
        needed=lambda counts: counts.get(variant.name, 0),
    )


def _spot(service: Service, pools: dict[str, Pool]) -> Iterator[Knob]:
    on_spot = {variant.name for variant in service.variants if pools[variant.pool].spot}

    def spot_share(counts: dict[str, int]) -> float:
        total = sum(counts.values())
        return sum(count for name, count in counts.items() if name in on_spot) / total if total else 0.0

    if service.spot_max_share < 1:
        yield _own(
            service,
            RelaxationKind.SPOT_SHARE,
            service.name,
            unit="of the replicas",
            now=service.spot_max_share,
            step=0.01,
            lifted=replace(service, spot_max_share=1.0),
            at=lambda value: replace(service, spot_max_share=min(1.0, value)),
            needed=spot_share,
        )
    if service.on_demand_min_replicas > 0:
        yield _own(
            service,
            RelaxationKind.ON_DEMAND_MIN_REPLICAS,
            service.name,
            unit="replicas",
            now=service.on_demand_min_replicas,
            step=-1,
            lifted=replace(service, on_demand_min_replicas=0),
            at=lambda value: replace(service, on_demand_min_replicas=round(value)),
            needed=lambda counts: sum(count for name, count in counts.items() if name not in on_spot),
        )


def _switch(service: Service, kind: RelaxationKind, name: str, lifted: Service) -> Knob:
    """A wish that is there or not."""
    return _own(
        service,
        kind,
        name,
        unit="",
        now=0.0,
        step=0.0,
        lifted=lifted,
        at=lambda _: lifted,
        needed=lambda _: 0.0,
    )


def _own(
    service: Service,
    kind: RelaxationKind,
    name: str,
    *,
    unit: str,
    now: float,
    step: float,
    lifted: Service,
    at: Callable[[float], Service],
    needed: Callable[[dict[str, int]], float],
    start: float | None = None,
) -> Knob:
    """A limit of one service alone. `needed` is of its replicas by variant."""
    return Knob(
        kind=kind,
        name=name,
        services=(service.name,),
        unit=unit,
        now=now,
        step=step,
        lift=lambda asked: _with_service(asked, lifted),
        at=lambda asked, value: _with_service(asked, at(value)),
        needed=lambda _, plan: needed(
            next(entry.replicas() for entry in plan.services if entry.service == service.name)
        ),
        start=now if start is None else start,
    )


def _with_pool(problem: Problem, pool: Pool) -> Problem:
    pools = tuple(pool if entry.name == pool.name else entry for entry in problem.pools)
    return replace(problem, pools=pools)


def _with_service(problem: Problem, service: Service) -> Problem:
    services = tuple(service if entry.name == service.name else entry for entry in problem.services)
    return replace(problem, services=services)
