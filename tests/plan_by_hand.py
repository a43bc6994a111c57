"""The plan that given replicas make, written out in full: good where they are, and broken in just that where not.

So that the verifier is tested on features and on faults whatever the optimiser can do. Shares no code with either;
of the brute force it takes the arithmetic of work and nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from medley_planner.model import (
    LimitKind,
    LimitUse,
    NodeCount,
    Plan,
    PlanStatus,
    Problem,
    RoutingMode,
    Service,
    ServicePlan,
    Unserved,
    UnservedReason,
    VariantPlan,
)
from tests.brute_force import Fleet, alike, fewest_nodes, work


def plan_of(problem: Problem, fleets: Sequence[Fleet], served: Sequence[float] | None = None) -> Plan:
    """`served`: by service the part of each bucket that is served (1 where not given). Its cost is taken as proven."""
    parts = [1.0] * len(fleets) if served is None else served
    services = tuple(
        _service_plan(service, fleet, part)
        for service, fleet, part in zip(problem.services, fleets, parts, strict=True)
    )
    nodes = _nodes(problem, fleets)
    cost = sum(planned.cost_per_hour for planned in services) + sum(entry.idle_cost_per_hour for entry in nodes)
    switching = sum(planned.switching_cost_per_hour for planned in services)
    statuses = {planned.status for planned in services}
    status = PlanStatus.PARTIAL
    if statuses <= {PlanStatus.OPTIMAL}:
        status = PlanStatus.OPTIMAL
    elif statuses == {PlanStatus.INFEASIBLE}:
        status = PlanStatus.INFEASIBLE
    return Plan(status, services, cost, cost + switching, 0.0, 0.0, switching, nodes, _limits(problem, fleets))


def _service_plan(service: Service, fleet: Fleet, part: float) -> ServicePlan:
    demand = service.demand
    shares = [[share * part for share in row] for row in split(service, fleet)]
    variants = []
    for variant, count, row in zip(service.variants, fleet, shares, strict=True):
        load = sum(
            demand.bucket_rate_rps(b) * share / capacity
            for b, (share, capacity) in enumerate(zip(row, variant.capacity_rps, strict=True))
            if share and capacity
        )
        variants.append(
            VariantPlan(
                variant=variant.name,
                pool=variant.pool,
                replicas=count,
                cost_per_hour=count * variant.cost_per_hour,
                share=sum(share * whole for share, whole in zip(row, demand.shares, strict=True)),
                bucket_shares=tuple(row),
                load=load / count if count else load,
            )
        )
    unserved = tuple(
        Unserved(b, demand.bucket_rate_rps(b) * (1 - part), UnservedReason.STOCK)
        for b in range(len(demand.shares))
        if part < 1 and demand.bucket_rate_rps(b) > 0
    )
    status = PlanStatus.OPTIMAL
    if unserved:
        status = PlanStatus.PARTIAL if part > 0 else PlanStatus.INFEASIBLE
    switching = sum(
        max(0, count - v.current_replicas)
        * v.cost_per_hour
        * (v.startup_seconds + v.drain_seconds)
        / service.stay_seconds
        for v, count in zip(service.variants, fleet, strict=True)
    )
    cost = sum(variant.cost_per_hour for variant in variants)
    return ServicePlan(
        service.name,
        status,
        service.routing,
        tuple(variants),
        cost,
        unserved,
        None,
        (),
        switching_cost_per_hour=switching,
    )


def split(service: Service, fleet: Fleet) -> list[list[float]]:
    """Shares by variant and bucket that the routing mode allows and that sum to 1; no variant has more than it can."""
    buckets = len(service.demand.shares)
    shares = [[0.0] * buckets for _ in fleet]
    if service.demand.rate_rps == 0:
        return shares
    groups = alike(service)
    works = [work(service, variant) for variant in service.variants]
    loads = [[sum(row[b] for b in group) for group in groups] for row in works]
    if service.routing is RoutingMode.SERVICE:
        by_group = [[count / max(1, sum(fleet))] * len(groups) for count in fleet]
    elif service.routing is RoutingMode.HTTP_ROUTE:
        room = [count / row[0] for count, row in zip(fleet, loads, strict=True)]
        by_group = [[one / sum(room) if sum(room) else 0.0] for one in room]
    else:
        by_group = _split_by_size(service, fleet, loads)
    for row, parts in zip(shares, by_group, strict=True):
        for group, part in zip(groups, parts, strict=True):
            for bucket in group:
                row[bucket] = part
    return shares


def _split_by_size(service: Service, fleet: Fleet, loads: Sequence[Sequence[float]]) -> list[list[float]]:
    """The first of two takes what only it can serve, then what it is best at, until it is full; the second the rest."""
    groups = range(len(loads[0]))
    if len(fleet) == 1:
        return [[1.0] * len(groups)]
    first, second = loads
    room = max(0.0, fleet[0] - (1 if service.n_plus_one else 0))
    taken = [1.0 if second[g] == math.inf else 0.0 for g in groups]
    room -= sum(first[g] for g in groups if taken[g])
    both = [g for g in groups if first[g] < math.inf and second[g] < math.inf]
    for g in sorted(both, key=lambda g: first[g] / second[g]):
        taken[g] = min(1.0, max(room, 0.0) / first[g])
        room -= taken[g] * first[g]
    return [taken, [1 - part for part in taken]]


def _sizes(problem: Problem, fleets: Sequence[Fleet], pool: str) -> tuple[int, ...]:
    return tuple(
        sorted(
            (
                variant.gpus_per_replica
                for service, fleet in zip(problem.services, fleets, strict=True)
                for variant, count in zip(service.variants, fleet, strict=True)
                if variant.pool == pool
                for _ in range(count)
            ),
            reverse=True,
        )
    )


def _nodes(problem: Problem, fleets: Sequence[Fleet]) -> tuple[NodeCount, ...]:
    found = []
    for pool in problem.pools:
        if pool.node_price is None:
            continue
        nodes = fewest_nodes(pool.node_price.gpus, _sizes(problem, fleets, pool.name), None) or 0
        cost = nodes * pool.node_price.cost_per_hour
        paid = sum(
            count * variant.cost_per_hour
            for service, fleet in zip(problem.services, fleets, strict=True)
            for variant, count in zip(service.variants, fleet, strict=True)
            if variant.pool == pool.name
        )
        found.append(NodeCount(pool.name, nodes, cost, cost - paid))
    return tuple(found)


def _limits(problem: Problem, fleets: Sequence[Fleet]) -> tuple[LimitUse, ...]:
    found = []
    for pool in problem.pools:
        sizes = _sizes(problem, fleets, pool.name)
        nodes = pool.node_gpus
        if pool.node_price is not None:
            most = pool.node_price.max_nodes
            nodes = None if most is None else (pool.node_price.gpus,) * most
        ends = ([sum(nodes)] if nodes is not None else []) + ([pool.stock_gpus] if pool.stock_gpus is not None else [])
        if ends:
            found.append(LimitUse(LimitKind.STOCK, pool.name, 1, float(sum(sizes)), float(min(ends)), 0.0))
        for size in sorted({size for size in sizes if size > 1}) if nodes is not None else ():
            used = sum(other / size for other in sizes if other >= size)
            found.append(LimitUse(LimitKind.SLOTS, pool.name, size, used, float(sum(n // size for n in nodes or ()))))
    fed_by = {pool.name: pool.power_domain for pool in problem.pools}
    parents = {domain.name: domain.parent for domain in problem.power_domains}
    for domain in problem.power_domains:
        below = {domain.name} | {name for name, parent in parents.items() if parent == domain.name}
        watts = sum(
            count * variant.watts
            for service, fleet in zip(problem.services, fleets, strict=True)
            for variant, count in zip(service.variants, fleet, strict=True)
            if fed_by[variant.pool] in below
        )
        found.append(LimitUse(LimitKind.POWER, domain.name, 1, watts, domain.budget_watts, 0.25))
    return tuple(found)
