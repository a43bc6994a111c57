"""Questions to the planner within one allowance of time; no other module of this package plans.

It also compares answers: a difference within the solver's tolerance does not count.
"""

from __future__ import annotations

import math

from medley_planner.clock import Clock, monotonic
from medley_planner.model import Demand, Plan, PlanStatus, Pool, Problem, ServicePlan
from medley_planner.optimize import plan

SHORTEST_SECONDS = 0.02
"""A question is not asked with less than this left: the planner needs about a third of it for a small fleet."""
PROVEN_GAP = 1e-4
"""A plan with at most this gap is taken as the cheapest."""
_SERVED = 1e-9
"""Relative. Unmet demand below it is the dust of sums."""
_ROUND = 1e-9
"""Relative difference in cost below which two costs are equal."""


class WhatIf:
    """Asks `plan` as long as there is time."""

    def __init__(self, seconds: float, *, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._ends = clock() + seconds

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._ends - self._clock())

    def within(self, part: float) -> WhatIf:
        """A part of the time that is left, for one kind of question."""
        now = self._clock()
        inner = WhatIf(0.0, clock=lambda: now)
        inner._clock, inner._ends = self._clock, now + part * max(0.0, self._ends - now)
        return inner

    def ask(self, problem: Problem) -> Plan | None:
        """The plan of `problem`; None where the time is over."""
        left = self.seconds_left
        return plan(problem, deadline_seconds=left) if left >= SHORTEST_SECONDS else None


def is_shared(pool: Pool) -> bool:
    """Whether what one service takes of the pool can matter to another."""
    limits = (pool.stock_gpus, pool.node_gpus, pool.node_price, pool.power_domain)
    return any(limit is not None for limit in limits)


def total_per_hour(planned: Plan) -> float:
    """The figure by which plans are compared: cost and switching cost."""
    return planned.cost_per_hour + planned.switching_cost_per_hour


def unmet_rps(service: ServicePlan) -> float:
    return math.fsum(entry.rate_rps for entry in service.unserved)


def serves_all(planned: ServicePlan, demand: Demand) -> bool:
    return unmet_rps(planned) <= demand.rate_rps * _SERVED


def proven(planned: Plan) -> bool:
    """Whether no plan that serves as much is cheaper by more than the solver's tolerance."""
    return planned.status is PlanStatus.OPTIMAL or planned.gap <= PROVEN_GAP


def saving_per_hour(before: float, after: float) -> float:
    """The saving of `after` against `before`; 0 where it does not."""
    saving = before - after
    return saving if saving > before * _ROUND else 0.0
