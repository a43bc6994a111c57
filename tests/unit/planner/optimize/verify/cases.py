"""Services of a cheap and a dear variant, and the rules that a plan of given fleets breaks."""

from __future__ import annotations

from collections.abc import Sequence

from medley_planner.model import Pool, Problem, Service
from medley_planner.optimize import Rule, verify
from tests.brute_force import Fleet
from tests.plan_by_hand import plan_of
from tests.unit.planner.optimize.small import variant

CHEAP = variant("cheap", 1.0, 1.0)
DEAR = variant("dear", 1.0, 3.0)


def problem_of(*services: Service, **pools: Pool) -> Problem:
    """Pools that are not given have no limit."""
    names = sorted({variant.pool for service in services for variant in service.variants})
    return Problem(services, tuple(pools.get(name, Pool(name)) for name in names))


def broken(problem: Problem, *fleets: Fleet, served: Sequence[float] | None = None) -> list[Rule]:
    return [violation.rule for violation in verify(problem, plan_of(problem, fleets, served))]
