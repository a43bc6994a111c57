"""The limits that services share, as knobs: GPUs or nodes of a pool, watts of a power domain. Values in, values out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medley_planner.explain.knob import Knob, grain
from medley_planner.explain.limits import with_node
from medley_planner.explain.usage import gpus_used, replicas_by_pool, users, watts_used
from medley_planner.explain.values import RelaxationKind
from medley_planner.load import load_in_replicas
from medley_planner.model import LimitKind, Pool, Problem, Service, Variant

_MOST_NODES = 2000
"""A pool gets at most this many further nodes; no service of the size that is planned for needs them."""


def pool_knob(problem: Problem, pools: dict[str, Pool], name: str, services: tuple[str, ...]) -> Knob | None:
    """GPUs where packing is not checked, else whole nodes; None where there is no such pool or it has no limit."""
    pool = pools.get(name)
    if pool is None:
        return None
    able = users(problem, kind=LimitKind.STOCK, name=pool.name)
    if not able:
        return None
    # Any sum of replicas is a multiple of this, so a stock between two multiples holds no more than the lower one.
    step = math.gcd(*(variant.gpus_per_replica for variant in able))
    if pool.node_gpus is None and pool.node_price is None:
        if pool.stock_gpus is None:
            return None
        return Knob(
            kind=RelaxationKind.STOCK,
            name=pool.name,
            services=services,
            unit="GPUs",
            now=pool.stock_gpus,
            step=step,
            lift=lambda asked: _with_pool(asked, replace(pool, stock_gpus=None)),
            at=lambda asked, value: _with_pool(asked, replace(pool, stock_gpus=round(value))),
            needed=lambda asked, plan: gpus_used(replicas_by_pool(asked, plan).get(pool.name, [])),
            start=pool.stock_gpus // step * step,
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


def power_knob(problem: Problem, name: str, services: tuple[str, ...]) -> Knob | None:
    """None where there is no such domain."""
    domain = next((domain for domain in problem.power_domains if domain.name == name), None)
    if domain is None:
        return None
    start = domain.budget_watts
    watts = [v.watts for v in users(problem, kind=LimitKind.POWER, name=name) if v.watts > 0]
    step = grain(watts)

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


def _with_pool(problem: Problem, pool: Pool) -> Problem:
    pools = tuple(pool if entry.name == pool.name else entry for entry in problem.pools)
    return replace(problem, pools=pools)
