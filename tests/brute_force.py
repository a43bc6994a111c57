"""Every fleet of a small problem, one by one: what plans are measured against. Shares no code with the planner.

Services are enumerated one by one; of the fleets of each that serve all its demand within its own limits only those
are kept of which no part can be left out (more of anything never costs less and never takes less). Combinations are
tried in full against what services share; replicas are placed on nodes by trying every node.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from medley_planner.model import Pool, Problem, RoutingMode, Service, Variant

Fleet = tuple[int, ...]
"""Replicas by variant."""

_EPS = 1e-9


def optimum(problem: Problem) -> float | None:
    """Least cost with switching cost, in US dollars per hour, of what serves all demand; None if nothing does."""
    best = best_fleets(problem)
    return None if best is None else best[0]


def best_fleets(problem: Problem) -> tuple[float, tuple[Fleet, ...]] | None:
    """The least cost with the fleets of the services that reach it."""
    pools = {pool.name: pool for pool in problem.pools}
    best: tuple[float, tuple[Fleet, ...]] | None = None
    options = []
    for service in problem.services:
        priced = [(_price(service, fleet), fleet) for fleet in fleets(service, pools)]
        options.append(sorted(priced))
    for choice in itertools.product(*options):
        cost = math.fsum(part for part, _ in choice)
        if best is not None and cost >= best[0]:
            continue
        chosen = tuple(fleet for _, fleet in choice)
        idle = shared_cost(problem, chosen)
        if idle is not None and (best is None or cost + idle < best[0]):
            best = cost + idle, chosen
    return best


def fleets(service: Service, pools: dict[str, Pool]) -> list[Fleet]:
    """The fleets that serve all the demand of the service within its own limits, and of which no part can go."""
    ranges = [range(_most(service, variant, pools[variant.pool]) + 1) for variant in service.variants]
    works = [work(service, variant) for variant in service.variants]
    able = [_able(service, row) for row in works]
    found: list[Fleet] = []
    for fleet in sorted(itertools.product(*ranges), key=sum):
        # A replica that gets no requests is only there where the variant's own minimum wants it.
        if any(n > v.min_replicas and not can for n, v, can in zip(fleet, service.variants, able, strict=True)):
            continue
        if any(all(a <= b for a, b in zip(other, fleet, strict=True)) for other in found):
            continue
        if _within_own_limits(service, fleet, pools) and serves(service, fleet, works):
            found.append(fleet)
    return found


def feasible(problem: Problem, chosen: Sequence[Fleet]) -> bool:
    """Whether these fleets serve all demand of all services within all limits."""
    pools = {pool.name: pool for pool in problem.pools}
    return shared_cost(problem, chosen) is not None and all(
        _within_own_limits(service, fleet, pools)
        and serves(service, fleet, [work(service, variant) for variant in service.variants])
        for service, fleet in zip(problem.services, chosen, strict=True)
    )


def shared_cost(problem: Problem, chosen: Sequence[Fleet]) -> float | None:
    """The cost of idle parts of whole nodes with these fleets; None where they do not fit together."""
    sizes: dict[str, Counter[int]] = {pool.name: Counter() for pool in problem.pools}
    paid: Counter[str] = Counter()
    watts: dict[str, float] = dict.fromkeys((domain.name for domain in problem.power_domains), 0.0)
    fed_by = {pool.name: pool.power_domain for pool in problem.pools}
    parents = {domain.name: domain.parent for domain in problem.power_domains}
    for service, fleet in zip(problem.services, chosen, strict=True):
        for variant, count in zip(service.variants, fleet, strict=True):
            sizes[variant.pool][variant.gpus_per_replica] += count
            paid[variant.pool] += count * variant.cost_per_hour  # type: ignore[assignment]
            domain = fed_by[variant.pool]
            while domain is not None:
                watts[domain] += count * variant.watts
                domain = parents[domain]
    if any(watts[domain.name] > domain.budget_watts + _EPS for domain in problem.power_domains):
        return None
    if not _within_quotas(problem, chosen):
        return None
    idle = 0.0
    for pool in problem.pools:
        replicas = tuple(sorted(sizes[pool.name].elements(), reverse=True))
        if pool.stock_gpus is not None and sum(replicas) > pool.stock_gpus:
            return None
        if pool.node_price is not None:
            nodes = fewest_nodes(pool.node_price.gpus, replicas, pool.node_price.max_nodes)
            if nodes is None:
                return None
            idle += nodes * pool.node_price.cost_per_hour - paid[pool.name]
        elif pool.node_gpus is not None and not _placed(tuple(sorted(pool.node_gpus)), replicas):
            return None
    return idle


def _within_quotas(problem: Problem, chosen: Sequence[Fleet]) -> bool:
    gpus: Counter[str | None] = Counter()
    costs: dict[str | None, float] = {}
    for service, fleet in zip(problem.services, chosen, strict=True):
        for variant, count in zip(service.variants, fleet, strict=True):
            gpus[variant.quota] += variant.gpus_per_replica * count
            costs[variant.quota] = costs.get(variant.quota, 0.0) + variant.cost_per_hour * count
    return all(
        (quota.max_gpus is None or gpus[quota.name] <= quota.max_gpus)
        and (quota.max_cost_per_hour is None or costs.get(quota.name, 0.0) <= quota.max_cost_per_hour + _EPS)
        for quota in problem.quotas
    )


def fewest_nodes(gpus: int, replicas: tuple[int, ...], most: int | None) -> int | None:
    """Whole nodes for replicas given by GPUs, largest first; None where `most` do not hold them."""
    for nodes in range((len(replicas) if most is None else most) + 1):
        if _placed((gpus,) * nodes, replicas):
            return nodes
    return None


@cache
def _placed(free: tuple[int, ...], replicas: tuple[int, ...]) -> bool:
    """Whether the replicas, given by GPUs, find a place each: every node is tried for each of them."""
    if not replicas:
        return True
    if sum(replicas) > sum(free):
        return False
    first, rest = replicas[0], replicas[1:]
    for node, gpus in enumerate(free):
        if gpus >= first and (node == 0 or free[node - 1] != gpus):
            left = tuple(sorted((*free[:node], gpus - first, *free[node + 1 :])))
            if _placed(left, rest):
                return True
    return False


def _price(service: Service, fleet: Fleet) -> float:
    return math.fsum(
        count * variant.cost_per_hour
        + max(0, count - variant.current_replicas)
        * variant.cost_per_hour
        * (variant.startup_seconds + variant.drain_seconds)
        / service.stay_seconds
        for variant, count in zip(service.variants, fleet, strict=True)
    )


def _most(service: Service, variant: Variant, pool: Pool) -> int:
    """Enough for all the demand, one to lose, one for a second zone, and as many as minima could ask for."""
    loads = [_finite_sum(work(service, other)) for other in service.variants]
    mine = loads[service.variants.index(variant)]
    enough = math.ceil(max(loads) if service.routing is RoutingMode.SERVICE else mine) + 2
    minima = service.min_replicas + service.on_demand_min_replicas + sum(v.min_replicas for v in service.variants)
    if service.routing in (RoutingMode.PER_BUCKET, RoutingMode.INFERENCE_POOL) and service.spot_max_share < 1:
        # Only a spot variant may be able to serve some bucket, and others be there for the sake of its share alone.
        minima += math.ceil(sum(loads)) + 2
    most = enough + math.ceil(minima / (service.spot_max_share or 1.0))
    limits = [limit for limit in (variant.max_replicas, service.max_replicas) if limit is not None]
    if pool.stock_gpus is not None:
        limits.append(pool.stock_gpus // variant.gpus_per_replica)
    nodes = pool.node_gpus
    if pool.node_price is not None:
        nodes = None if pool.node_price.max_nodes is None else (pool.node_price.gpus,) * pool.node_price.max_nodes
    if nodes is not None:
        limits.append(sum(gpus // variant.gpus_per_replica for gpus in nodes))
    return min([most, *limits])


def _finite_sum(row: Iterable[float]) -> float:
    return sum(load for load in row if load < math.inf)


def work(service: Service, variant: Variant) -> list[float]:
    """Replicas of the variant that each bucket takes, with square-root staffing; infinite where it cannot serve it."""
    row = [
        service.demand.bucket_rate_rps(b) / capacity / service.utilisation_limit if capacity else math.inf
        for b, capacity in enumerate(variant.capacity_rps)
    ]
    whole = _finite_sum(row)
    if whole == 0:
        return row
    # It counts as W + beta sqrt(W), each bucket by its part.
    return [load * (whole + service.staffing_beta * whole**0.5) / whole for load in row]


def alike(service: Service) -> list[list[int]]:
    """Buckets that the router sees as one."""
    seen: dict[object, list[int]] = {}
    for index, bucket in enumerate(service.demand.buckets):
        if service.demand.shares[index] == 0:
            continue
        key: object = None
        if service.routing is RoutingMode.PER_BUCKET:
            key = index
        elif service.routing is RoutingMode.INFERENCE_POOL:
            key = bucket.prompt_tokens
        seen.setdefault(key, []).append(index)
    return list(seen.values())


def _able(service: Service, row: Sequence[float]) -> bool:
    if service.demand.rate_rps == 0:
        return True
    return any(all(row[b] < math.inf for b in group) for group in alike(service))


def _within_own_limits(service: Service, fleet: Fleet, pools: dict[str, Pool]) -> bool:
    pairs = list(zip(service.variants, fleet, strict=True))
    total = sum(fleet)
    if any(n < v.min_replicas or (v.max_replicas is not None and n > v.max_replicas) for v, n in pairs):
        return False
    if total < service.min_replicas or (service.max_replicas is not None and total > service.max_replicas):
        return False
    spot = sum(n for v, n in pairs if pools[v.pool].spot)
    if spot > service.spot_max_share * total + _EPS or total - spot < service.on_demand_min_replicas:
        return False
    cost = sum(n * v.cost_per_hour for v, n in pairs)
    if service.max_cost_per_hour is not None and cost > service.max_cost_per_hour + _EPS:
        return False
    return not service.zone_spread or total < 2 or _spread(service, [v.pool for v, n in pairs if n], pools)


def _spread(service: Service, used: Sequence[str], pools: dict[str, Pool]) -> bool:
    """Whether whichever zone of the service's pools is lost, a replica may be elsewhere."""
    zones = {zone for variant in service.variants for zone in pools[variant.pool].zones}
    return bool(zones) and all(any(set(pools[name].zones) - {zone} for name in used) for zone in zones)


def serves(service: Service, fleet: Fleet, works: Sequence[Sequence[float]]) -> bool:
    if service.demand.rate_rps == 0:
        return True
    demanded = [b for b, share in enumerate(service.demand.shares) if share > 0]
    whole = [sum(row[b] for b in demanded) for row in works]
    spare = 1 if service.n_plus_one else 0
    if service.routing is RoutingMode.SERVICE:
        used = [load for load, count in zip(whole, fleet, strict=True) if count]
        return bool(used) and sum(fleet) - spare >= max(used) - _EPS
    if service.routing is RoutingMode.HTTP_ROUTE:
        carried = [count / load for count, load in zip(fleet, whole, strict=True)]
        losses = [1 / load for count, load in zip(fleet, whole, strict=True) if count and load < math.inf]
        return bool(losses) and sum(carried) - spare * max(losses) >= 1 - _EPS
    groups = [[sum(row[b] for b in group) for group in alike(service)] for row in works]
    left = [max(0, count - spare) for count in fleet]
    if len(fleet) == 1:
        return left[0] >= sum(groups[0]) - _EPS
    if len(fleet) == 2:
        return two_variants_carry(groups[0], groups[1], left)
    raise ValueError(f"{service.name}: {len(fleet)} variants routed by size; brute force knows two at most")


def two_variants_carry(first: Sequence[float], second: Sequence[float], left: Sequence[int]) -> bool:
    """Exact without a solver: the first variant takes what it is best at against the second."""
    if any(a == b == math.inf for a, b in zip(first, second, strict=True)):
        return False
    room = left[0] - sum(a for a, b in zip(first, second, strict=True) if b == math.inf)
    rest = left[1] - sum(b for a, b in zip(first, second, strict=True) if a == math.inf)
    if room < -_EPS:
        return False
    both = [(a, b) for a, b in zip(first, second, strict=True) if a < math.inf and b < math.inf]
    for a, b in sorted(both, key=lambda pair: pair[0] / pair[1]):
        part = min(1.0, max(room, 0.0) / a)
        room -= part * a
        rest -= (1 - part) * b
    return rest >= -1e-8
