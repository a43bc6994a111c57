"""The configurations gathered so far: each once, with its cost, its unmet part and what it takes of each limit."""

from __future__ import annotations

import numpy as np

from medley_planner.optimize.columns.configurations import Configurations
from medley_planner.optimize.columns.service_arrays import Floats, Ints, ServiceArrays


class ColumnPool:
    """Grows and never forgets; columns keep their number. Counts, cost and use are those beyond the minima.

    `cost` is the objective: money and the cost of starting replicas. `use[n, r]` is what column n takes of limit r.
    """

    def __init__(self, fleet: ServiceArrays) -> None:
        self._fleet = fleet
        self._seen: set[tuple[int, bytes]] = set()
        self.row: Ints = np.empty(0, np.int64)
        self.counts: Ints = np.empty((0, fleet.cost.shape[1]), np.int64)
        self.unmet: Floats = np.empty(0)
        self.cost: Floats = np.empty(0)
        self.use: Floats = np.empty((0, fleet.use.shape[2]))

    def __len__(self) -> int:
        return len(self.row)

    def add(self, found: Configurations) -> int:
        """How many of the found ones are new."""
        counts = np.ascontiguousarray(self._fleet.in_order(found.row, found.counts), np.int64)
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
        self.use = np.concatenate([self.use, self._fleet.use_of(row, counts)])
        return len(new)

    def cheapest(self, limit_prices: Floats, shed: Floats) -> Floats:
        """The least price of a gathered column by service; infinite where there is none."""
        return self.least(self.prices(limit_prices, shed))

    def prices(self, limit_prices: Floats, shed: Floats) -> Floats:
        """Prices of all gathered columns."""
        left_out = np.where(self.unmet > 0, shed[self.row], 0.0)
        priced: Floats = self.cost + self.use @ limit_prices + left_out * self.unmet
        return priced

    def least(self, price: Floats) -> Floats:
        """The least of these prices of all columns by service; infinite where there is no column."""
        least = np.full(len(self._fleet), np.inf)
        np.minimum.at(least, self.row, price)
        return least
