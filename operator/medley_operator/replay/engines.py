"""The engines of the replayed world, and of the fake fleet of `e2e`, as they truly run, whatever the planner believes.

Apart: the one place that knows the hidden speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from medley_planner.capacity import ESTIMATE
from medley_planner.check import spec_of
from medley_planner.engine import EngineSpec, StepTable
from medley_planner.variants import Replica


class TrueEngines:
    """A replica's engine at data-sheet speed, times the hidden factor of its GPU type on each step."""

    def __init__(self, step_factors: Mapping[str, float]) -> None:
        self._factors = dict(step_factors)
        self._known: dict[Replica, tuple[EngineSpec, StepTable]] = {}

    def of(self, replica: Replica) -> tuple[EngineSpec, StepTable]:
        true = replace(replica, speed=ESTIMATE)
        if true not in self._known:
            spec = spec_of(true)
            table = StepTable.of(spec.step, token_budget=spec.token_budget, max_sequences=spec.max_sequences)
            self._known[true] = spec, table.times(self._factors.get(replica.layout.gpu.name, 1.0))
        return self._known[true]
