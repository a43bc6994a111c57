"""The services' own rules as stacked arrays: which configurations they allow, and what keeping them is worth.

A share of spot GPUs is a linear rule, so it has a price: with it on replicas in spot pools (and off the others, by the
share that may be spot) every allowed fleet costs no more than it does, and the relaxation comes near the cheapest
allowed one. The other rules are only checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from medley_planner.optimize.task.rules import SPOT_SHARE, restricted, zone_rows
from medley_planner.optimize.task.task import Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_ROUNDING = 1e-9
_STEPS = 24
_GOLDEN = 0.618034


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Shapes are (services,), (services, cells) and, of `outside`, (services, zones, cells).

    `any[s]` says whether the service has a rule at all. `spot[s, j]` marks cells in spot pools, `share` their largest
    part, `lasting` the fewest replicas in others, `money[s, j]` what a replica costs against `budget`. Each zone of a
    service that is spread over zones is a row of `outside`: the cells that may be outside of it.
    """

    any: Bools
    spot: Bools
    share: Floats
    lasting: Ints
    money: Floats
    budget: Floats
    spread: Bools
    zone: Bools
    outside: Bools

    def __getitem__(self, chosen: Ints) -> Rules:
        return Rules(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def allow(self, row: Ints, counts: Ints) -> Bools:
        """Which of these configurations (all replicas of the services `row`, minima included) keep the rules."""
        total = counts.sum(axis=1)
        reclaimable = np.where(self.spot[row], counts, 0).sum(axis=1)
        allowed: Bools = reclaimable <= self.share[row] * total + _ROUNDING
        allowed &= total - reclaimable >= self.lasting[row]
        allowed &= (self.money[row] * counts).sum(axis=1) <= self.budget[row] * (1 + _ROUNDING)
        spread = np.flatnonzero(allowed & self.spread[row] & (total >= 2))
        if len(spread):
            own = row[spread]
            beyond = (self.outside[own] & (counts[spread] > 0)[:, None, :]).any(axis=2)
            allowed[spread] = (beyond | ~self.zone[own]).all(axis=1)
        return allowed

    def priced(self, prices: Floats, relaxed: Callable[[Floats], Floats]) -> Floats:
        """Prices with what the spot share is worth in them. `relaxed` gives the relaxation's value at given prices,
        which is highest (it is concave) where the share is neither too cheap nor too expensive."""
        bound = self.any & (self.share < 1)
        if not bound.any():
            return prices
        tilt = np.where(self.spot, 1.0, 0.0) - self.share[:, None]
        others = np.where(
            self.spot | (self.share[:, None] == 0), np.inf, prices / np.maximum(self.share, 1e-9)[:, None]
        )
        low = np.zeros(len(prices))
        high = np.where(bound, np.minimum(others.min(axis=1, initial=np.inf), 1e9), 0.0)
        high = np.where(self.share == 0, np.where(self.spot, prices, 0.0).max(axis=1, initial=0.0) * 1e3 + 1, high)
        first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        value = [relaxed(prices + step[:, None] * tilt) for step in (first, second)]
        for _ in range(_STEPS):
            up = value[0] < value[1]
            low, high = np.where(up, first, low), np.where(up, high, second)
            step = np.where(up, low + _GOLDEN * (high - low), high - _GOLDEN * (high - low))
            fresh = relaxed(prices + step[:, None] * tilt)
            first, second = np.where(up, second, step), np.where(up, step, first)
            value = [np.where(up, value[1], fresh), np.where(up, fresh, value[0])]
        best = np.where(value[0] > value[1], first, second)
        worth = np.where(relaxed(prices + best[:, None] * tilt) > relaxed(prices), best, 0.0)
        return prices + worth[:, None] * tilt


def stack_rules(tasks: Sequence[Task], variant: Ints) -> Rules:
    """`variant[s, j]` is the cell's variant, -1 where there is none."""
    services, cells = variant.shape
    zones = [zone_rows(task) if task.service.zone_spread else [] for task in tasks]
    most = max((len(rows) for rows in zones), default=0)
    made = Rules(
        any=np.array([restricted(task) for task in tasks], bool),
        spot=np.zeros((services, cells), bool),
        share=np.array([task.service.spot_max_share if SPOT_SHARE.binds(task) else 1.0 for task in tasks], float),
        lasting=np.array([task.service.on_demand_min_replicas for task in tasks], int),
        money=np.zeros((services, cells)),
        budget=np.array([_budget(task) for task in tasks], float),
        spread=np.array([task.service.zone_spread for task in tasks], bool),
        zone=np.zeros((services, most), bool),
        outside=np.zeros((services, most, cells), bool),
    )
    for row, task in enumerate(tasks):
        if not made.any[row]:
            continue
        own = np.flatnonzero(variant[row] >= 0)
        made.spot[row, own] = np.array(task.spot)[variant[row, own]]
        made.money[row, own] = np.array(task.cost)[variant[row, own]]
        for number, outside in enumerate(zones[row]):
            made.zone[row, number] = True
            made.outside[row, number, own] = np.isin(variant[row, own], outside)
    return made


def _budget(task: Task) -> float:
    most = task.service.max_cost_per_hour
    return np.inf if most is None else float(most)
