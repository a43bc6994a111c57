"""The tasks of a group as stacked arrays, one row a service and one cell a variant, so that all are priced in one pass.

Rows of services with fewer variants are filled up with cells that hold no replica. Counts of replicas are always those
beyond the variants' minima, which every plan has and which take their stock and their money whatever the prices are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from medley_planner.model import RoutingMode
from medley_planner.optimize.task import Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

COVERS = 1e-9
"""Relative. A fleet that lacks less than this part of its demand serves all of it, as `distribute` sees it too."""
_MANY = 10**9


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """`index[s]` is the task's position in the group; shapes are (services,) and (services, variants).

    `work[s, j]` is the load in replicas of the whole demand on variant j, infinite where it may not get requests.
    `room[s, j]` is how many replicas beyond the minimum may be of use, `least` the minima; `fewest` and `most` are what
    the service's own limits leave for replicas beyond the minima. `pool[s, j]` is -1 where the pool has no end.
    """

    index: Ints
    cost: Floats
    gpus: Floats
    pool: Ints
    work: Floats
    room: Ints
    least: Ints
    fewest: Ints
    most: Ints
    rate: Floats

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, chosen: Ints) -> Fleet:
        return Fleet(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def prices(self, pool_prices: Floats) -> Floats:
        """What one replica costs with its GPUs at these prices per GPU on top of its own."""
        of_pool = np.append(pool_prices, 0.0)[self.pool]
        return self.cost + of_pool * self.gpus


def stack(tasks: Sequence[Task], pools: Sequence[str]) -> Fleet:
    """`pools` are the names of the finite pools, in the order of their prices."""
    services, variants = len(tasks), max((len(task.variants) for task in tasks), default=0)
    place = {name: position for position, name in enumerate(pools)}
    cost, gpus = np.ones((services, variants)), np.zeros((services, variants))
    pool, work = np.full((services, variants), -1), np.full((services, variants), np.inf)
    room, least = np.zeros((services, variants), int), np.zeros((services, variants), int)
    for row, task in enumerate(tasks):
        for cell, variant in enumerate(task.variants):
            cost[row, cell] = variant.cost_per_hour
            gpus[row, cell] = variant.gpus_per_replica
            pool[row, cell] = place.get(variant.pool, -1)
            least[row, cell] = variant.min_replicas
        work[row, : len(task.variants)] = _work(task)
        room[row, : len(task.variants)] = _room(task, work[row])
    forced = least.sum(axis=1)
    fewest = np.array([task.service.min_replicas for task in tasks]) - forced
    most = np.array([_MANY if task.service.max_replicas is None else task.service.max_replicas for task in tasks])
    rate = np.array([task.rate_rps for task in tasks], float)
    return Fleet(np.arange(services), cost, gpus, pool, work, room, least, np.maximum(fewest, 0), most - forced, rate)


def minima_fit(tasks: Sequence[Task], stocks: Mapping[str, int]) -> bool:
    """Whether the minima contradict neither the maxima nor, all together, the stock."""
    left = dict(stocks)
    for task in tasks:
        service = task.service
        for variant, cap in zip(task.variants, task.caps, strict=True):
            if variant.min_replicas > cap:
                return False
            if variant.pool in left:
                left[variant.pool] -= variant.min_replicas * variant.gpus_per_replica
        most = math.inf if service.max_replicas is None else service.max_replicas
        if max(sum(variant.min_replicas for variant in task.variants), service.min_replicas) > most:
            return False
    return all(gpus >= 0 for gpus in left.values())


def _work(task: Task) -> Floats:
    if not task.variants:
        return np.empty(0)
    return np.where(np.array(task.able), np.array(task.total_work()), np.inf)


def _room(task: Task, work: Floats) -> Ints:
    """As many as could carry all the demand, or make up the service's minimum, within the variant's limits."""
    loads = [load for load, cap in zip(work, task.caps, strict=False) if cap >= 1 and math.isfinite(load)]
    slowest = max(loads, default=0.0)
    found = []
    for cell, variant in enumerate(task.variants):
        needed = slowest if task.service.routing is RoutingMode.SERVICE else float(work[cell])
        if not task.able[cell] or not math.isfinite(work[cell]):
            found.append(0)
            continue
        enough = max(math.ceil(needed), task.service.min_replicas)
        found.append(max(0, int(min(task.caps[cell], max(enough, variant.min_replicas))) - variant.min_replicas))
    return np.array(found, int)
