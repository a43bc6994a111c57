"""The shared limits of drawn fleets and which of them are short: stock of pools, nodes, power.

Where stock is to bind, the pools that the services would use most, each planned alone, hold only a part of that use;
all others hold what every service together could ask of them. Power is drawn from three racks: the pools that would
draw most are dealt to them in turn, and two of the three have less than would be drawn. All demand can still be
served, on the third rack.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from medley_planner.model import Pool, PowerBudget, Priority, Problem, Service, Variant

_CUT_POOLS = 4
_RACKS = ("rack-0", "rack-1", "rack-2")
_SHORT_RACKS = _RACKS[:2]
_HALL = "hall"
_HALL_FRACTION = 0.95
"""What the hall may draw of what its two racks may draw together: short as well, when both racks are full."""


def limited(
    services: Sequence[Service],
    *,
    names: Sequence[str],
    stock_fraction: float | None,
    node_gpus: int | None,
    power_fraction: float | None,
) -> tuple[tuple[Pool, ...], tuple[PowerBudget, ...]]:
    """The pools `names` with their stock and nodes, and the domains that feed them (none without `power_fraction`)."""
    wanted, ample = _asked_gpus(services)
    stock = {name: ample[name] for name in names}
    if stock_fraction is not None:
        for name, gpus in wanted.most_common(_CUT_POOLS):
            stock[name] = math.floor(gpus * stock_fraction)
    pools = tuple(
        Pool(name, gpus, None if node_gpus is None else _nodes(gpus, node_gpus)) for name, gpus in stock.items()
    )
    if power_fraction is None:
        return pools, ()
    return _powered(pools, _watts_per_gpu(services), wanted, power_fraction)


def scarce(problem: Problem, *, demand_factor: float) -> Problem:
    """The same services on pools that hold what each would take on its cheapest type alone, divided by this factor: so
    many times what the pools hold is asked for. Priorities go round."""
    wanted, _ = _asked_gpus(problem.services)
    pools = (
        replace(pool, stock_gpus=math.floor(wanted[pool.name] / demand_factor), node_gpus=None)
        for pool in problem.pools
    )
    ranks = list(Priority)
    services = (replace(service, priority=ranks[index % len(ranks)]) for index, service in enumerate(problem.services))
    return replace(problem, pools=tuple(pools), services=tuple(services))


def replicas_alone(service: Service, variant: Variant) -> float:
    """Replicas of `variant`, not rounded, that serve all of the service's demand."""
    return math.fsum(
        service.demand.bucket_rate_rps(bucket) / capacity for bucket, capacity in enumerate(variant.capacity_rps)
    )


def cheapest_alone(service: Service) -> int:
    """The variant (its index) that serves all demand at the least cost, replicas not rounded."""
    costs = [replicas_alone(service, variant) * variant.cost_per_hour for variant in service.variants]
    return costs.index(min(costs))


def _asked_gpus(services: Sequence[Service]) -> tuple[Counter[str], Counter[str]]:
    """GPUs by pool: what the services take, each on its cheapest type, and what all could ask for at most."""
    wanted: Counter[str] = Counter()
    ample: Counter[str] = Counter()
    for service in services:
        best = cheapest_alone(service)
        for index, variant in enumerate(service.variants):
            load = replicas_alone(service, variant)
            ample[variant.pool] += math.ceil(load) * variant.gpus_per_replica
            if index == best:
                wanted[variant.pool] += math.ceil(load * variant.gpus_per_replica)
    return wanted, ample


def _nodes(gpus: int, node_gpus: int) -> tuple[int, ...]:
    whole, rest = divmod(gpus, node_gpus)
    return (node_gpus,) * whole + ((rest,) if rest else ())


def _watts_per_gpu(services: Sequence[Service]) -> dict[str, float]:
    return {
        variant.pool: variant.watts / variant.gpus_per_replica for service in services for variant in service.variants
    }


def _powered(
    pools: Sequence[Pool], watts: Mapping[str, float], wanted: Mapping[str, int], fraction: float
) -> tuple[tuple[Pool, ...], tuple[PowerBudget, ...]]:
    draws = {
        pool.name: watts.get(pool.name, 0.0) * min(wanted.get(pool.name, 0), pool.stock_gpus or 0) for pool in pools
    }
    order = sorted(draws, key=lambda name: (-draws[name], -watts.get(name, 0.0), name))
    rack_of = {name: _RACKS[place % len(_RACKS)] for place, name in enumerate(order)}
    budgets = {
        rack: fraction * math.fsum(draw for name, draw in draws.items() if rack_of[name] == rack)
        for rack in _SHORT_RACKS
    }
    full = math.fsum(watts.get(pool.name, 0.0) * (pool.stock_gpus or 0) for pool in pools)
    domains = (
        PowerBudget(_HALL, _HALL_FRACTION * math.fsum(budgets.values())),
        *(PowerBudget(rack, budget, _HALL) for rack, budget in budgets.items()),
        PowerBudget(_RACKS[-1], full),
    )
    return tuple(replace(pool, power_domain=rack_of[pool.name]) for pool in pools), domains
