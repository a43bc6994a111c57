"""The tasks of a group as stacked arrays, one row a service and one cell a choice, so that all are priced in one pass.

A variant is one cell; where starting a replica costs something, those that run already are a separate cell that comes
first, as they are cheaper. Rows of services with fewer cells are filled up with cells that hold no replica. Counts of
replicas are always those beyond the variants' minima, which every plan has and which take their share of the limits and
their money whatever the prices are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from medley_planner.model import Priority
from medley_planner.optimize.columns.rule_arrays import Rules, stack_rules
from medley_planner.optimize.task.cost import objective_per_hour
from medley_planner.optimize.task.limits import Room
from medley_planner.optimize.task.rules import most_replicas, spare
from medley_planner.optimize.task.task import Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

COVERS = 1e-9
"""Relative. A fleet that lacks less than this part of its demand serves all of it, as `distribute` sees it too."""
_MANY = 10**9
_AT_ONCE = 4000
"""Configurations whose use is added up in one go; bounds the memory that takes."""
_WEIGHTS = {Priority.HIGH: 1e4, Priority.NORMAL: 1e2, Priority.LOW: 1.0}
"""The weight of an unmet request of each priority, relative to one of low priority."""


@dataclass(frozen=True, slots=True, eq=False)
class ServiceArrays:
    """`index[s]` is the task's position in the group; shapes are (services,), (services, cells) and, of `use`,
    (services, cells, limits).

    `work[s, j]` is the load in replicas of the whole demand on cell j, infinite where it may not get requests.
    `room[s, j]` is how many replicas beyond the minimum may be of use, `least` the minima; `fewest` and `most` are what
    the service's own limits leave for replicas beyond the minima. `use` is what a replica takes of each shared limit.
    `variant[s, j]` is the cell's variant, `first[s, j]` the variant's first cell (j itself but for a second one).
    `rate` is the service's demand in requests per second, `weight` the same by its priority. `base` is the objective of
    the minima alone, `rules` are what the services ask beyond carrying the load, `spare` the replicas that may be lost.
    """

    index: Ints
    cost: Floats
    use: Floats
    work: Floats
    room: Ints
    least: Ints
    fewest: Ints
    most: Ints
    rate: Floats
    weight: Floats
    variant: Ints
    first: Ints
    base: Floats
    rules: Rules
    spare: Ints

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, chosen: Ints) -> ServiceArrays:
        return ServiceArrays(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def prices(self, limit_prices: Floats) -> Floats:
        """Price of one replica: its own, and that of what it takes of the limits at these prices."""
        priced: Floats = self.cost + self.use @ limit_prices
        return priced

    def use_of(self, row: Ints, counts: Ints) -> Floats:
        """The use of each limit by these counts of the services `row`."""
        taken = np.zeros((len(row), self.use.shape[2]))
        for start in range(0, len(row), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            taken[part] = np.einsum("nj,njr->nr", counts[part], self.use[row[part]])
        return taken

    def in_order(self, row: Ints, counts: Ints) -> Ints:
        """The same replicas with a variant's first cell filled before its second."""
        second = np.flatnonzero((self.first != np.arange(self.first.shape[1])).any(axis=0))
        counts = counts.copy()
        for cell in second.tolist():
            own = np.flatnonzero(self.first[row, cell] != cell)
            first = self.first[row[own], cell]
            moved = np.minimum(counts[own, cell], self.room[row[own], first] - counts[own, first])
            counts[own, cell] -= moved
            counts[own, first] += moved
        return counts

    def by_variant(self, row: int, counts: Ints, variants: int) -> list[int]:
        """All replicas of one service by variant, minima included."""
        own = np.zeros(variants, np.int64)
        cells = self.variant[row] >= 0
        np.add.at(own, self.variant[row][cells], counts[cells] + self.least[row][cells])
        return [int(count) for count in own]

    def by_cell(self, row: int, replicas: Sequence[int]) -> Ints | None:
        """These replicas of one service by cell, beyond the minima; None where they are below them or beyond a room."""
        counts = np.zeros(self.room.shape[1], np.int64)
        rest = {variant: count for variant, count in enumerate(replicas)}
        for cell, variant in enumerate(self.variant[row].tolist()):
            if variant >= 0:
                taken = rest[variant] - int(self.least[row, cell])
                if taken < 0:
                    return None
                counts[cell] = min(taken, int(self.room[row, cell]))
                rest[variant] = taken - int(counts[cell])
        return counts if not any(rest.values()) else None


def stack(tasks: Sequence[Task], room: Room) -> ServiceArrays:
    """The fleet of these tasks, whose shared limits are the room's."""
    services = len(tasks)
    cells = [_cells(task) for task in tasks]
    width = max((len(own) for own in cells), default=0)
    cost, work = np.ones((services, width)), np.full((services, width), np.inf)
    use = np.zeros((services, width, len(room.limits)))
    rooms, least = np.zeros((services, width), int), np.zeros((services, width), int)
    variant_of, first = np.full((services, width), -1), np.tile(np.arange(width), (services, 1))
    for row, (task, choices) in enumerate(zip(tasks, cells, strict=True)):
        loads = _work(task)
        for cell, (variant, price, minimum, most, begins) in enumerate(choices):
            cost[row, cell], work[row, cell] = price, loads[variant]
            rooms[row, cell], least[row, cell] = most, minimum
            variant_of[row, cell], first[row, cell] = variant, begins
            made = task.variants[variant]
            for limit, amount in room.uses(made):
                use[row, cell, limit] = amount
    forced = least.sum(axis=1)
    fewest = np.array([task.service.min_replicas for task in tasks]) - forced
    largest = np.array([_MANY if task.service.max_replicas is None else task.service.max_replicas for task in tasks])
    rate = np.array([task.rate_rps for task in tasks], float)
    weight = rate * np.array([_WEIGHTS[task.service.priority] for task in tasks])
    if len({task.service.priority for task in tasks}) == 1:
        weight = rate.copy()
    base = np.array([objective_per_hour(task, [v.min_replicas for v in task.variants]) for task in tasks], float)
    return ServiceArrays(
        index=np.arange(services),
        cost=cost,
        use=use,
        work=work,
        room=rooms,
        least=least,
        fewest=np.maximum(fewest, 0),
        most=largest - forced,
        rate=rate,
        weight=weight,
        variant=variant_of,
        first=first,
        base=base,
        rules=stack_rules(tasks, variant_of),
        spare=np.array([spare(task) for task in tasks], int),
    )


def minima_fit(tasks: Sequence[Task], room: Room) -> bool:
    """Whether the minima contradict neither the maxima nor, all together, what is shared."""
    left = room
    for task in tasks:
        service = task.service
        minima = [variant.min_replicas for variant in task.variants]
        if any(least > cap for least, cap in zip(minima, task.caps, strict=True)):
            return False
        most = math.inf if service.max_replicas is None else service.max_replicas
        if max(sum(minima), service.min_replicas, service.on_demand_min_replicas) > most:
            return False
        left = left.after(task, minima) if any(minima) else left
    return left.fits()


def _cells(task: Task) -> list[tuple[int, float, int, int, int]]:
    """Variant, price, minimum, room and the variant's first cell of each cell of a service."""
    found: list[tuple[int, float, int, int, int]] = []
    most = most_replicas(task)
    for index, variant in enumerate(task.variants):
        least = variant.min_replicas
        room = max(0, int(min(most[index], 10**9)) - least) if _usable(task, index) else 0
        price, starting = task.cost[index], task.starting[index]
        kept = min(room, max(0, task.current[index] - least))
        begins = len(found)
        if starting > 0 and kept > 0:
            found.append((index, price, least, kept, begins))
            if room > kept:
                found.append((index, price + starting, 0, room - kept, begins))
        else:
            found.append((index, price + starting, least, room, begins))
    return found


def _usable(task: Task, index: int) -> bool:
    return task.able[index] and bool(np.isfinite(task.work[index]).any() or not task.classes)


def _work(task: Task) -> Floats:
    if not task.variants:
        return np.empty(0)
    return np.where(np.array(task.able), np.array(task.total_work()), np.inf)
