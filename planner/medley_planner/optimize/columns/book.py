"""The configurations gathered so far: each once, with its cost, its unmet part and the GPUs that it takes."""

from __future__ import annotations

import numpy as np

from medley_planner.optimize.columns.fleet import Fleet, Floats, Ints
from medley_planner.optimize.columns.found import Found


class Book:
    """Grows and never forgets; columns keep their number. Counts, cost and GPUs are those beyond the minima."""

    def __init__(self, fleet: Fleet, pools: int) -> None:
        self._fleet = fleet
        self._seen: set[tuple[int, bytes]] = set()
        self.row: Ints = np.empty(0, np.int64)
        self.counts: Ints = np.empty((0, fleet.cost.shape[1]), np.int64)
        self.unmet: Floats = np.empty(0)
        self.cost: Floats = np.empty(0)
        self.gpus: Floats = np.empty((0, pools))

    def __len__(self) -> int:
        return len(self.row)

    def add(self, found: Found) -> int:
        """How many of the found ones are new."""
        counts = np.ascontiguousarray(found.counts, np.int64)
        new = []
        for number, row in enumerate(found.row.tolist()):
            key = (row, counts[number].tobytes())
            if key not in self._seen:
                self._seen.add(key)
                new.append(number)
        row, counts = found.row[new], counts[new]
        self.row = np.concatenate([self.row, row])
        self.counts = np.concatenate([self.counts, counts])
        self.unmet = np.concatenate([self.unmet, found.unmet[new]])
        self.cost = np.concatenate([self.cost, (self._fleet.cost[row] * counts).sum(axis=1)])
        self.gpus = np.concatenate([self.gpus, self.gpus_of(row, counts)])
        return len(new)

    def gpus_of(self, row: Ints, counts: Floats | Ints) -> Floats:
        """GPUs by finite pool that these counts take."""
        pools = self.gpus.shape[1]
        taken = np.zeros((len(row), pools))
        used = counts * self._fleet.gpus[row]
        for pool in range(pools):
            taken[:, pool] = np.where(self._fleet.pool[row] == pool, used, 0.0).sum(axis=1)
        return taken

    def cheapest(self, pool_prices: Floats, shed: Floats) -> Floats:
        """By service the least price of a gathered column; infinite where there is none."""
        price = self.cost + self.gpus @ pool_prices + np.where(self.unmet > 0, shed[self.row], 0.0) * self.unmet
        least = np.full(len(self._fleet), np.inf)
        np.minimum.at(least, self.row, price)
        return least
