"""Far from the deadline the clock decides nothing: a slow and a fast one give the same plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from medley_planner.model import Problem, RoutingMode
from medley_planner.optimize import plan
from tests.adversary.draw import drawn
from tests.generator import Extras, fleet, scarce

_DEADLINE_SECONDS = 600.0
_USED = 0.95
_EXTRAS = Extras(tensor_parallel_degrees=2, spot=True, node_gpus=8, power_fraction=0.8, current=True)


@dataclass
class _Clock:
    """Each look at it takes as long as the others."""

    step_seconds: float
    looks: int = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.looks * self.step_seconds


def _mixed(services: int) -> Problem:
    """Every ninth service may lose a replica, as programs of its own price it."""
    problem = fleet(services, seed=1, stock_fraction=0.7, routing=tuple(RoutingMode), extras=_EXTRAS)
    made = (replace(service, n_plus_one=index % 9 == 0) for index, service in enumerate(problem.services))
    return replace(problem, services=tuple(made))


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(_mixed(3), id="few"),
        pytest.param(_mixed(42), id="many"),
        pytest.param(scarce(fleet(42, seed=1, routing=tuple(RoutingMode)), demand_factor=1.3), id="scarce"),
        pytest.param(drawn(702812), id="rules"),
    ],
)
def test_a_clock_that_runs_faster_gives_the_same_plan(problem: Problem) -> None:
    slow = _Clock(0.0)
    before = plan(problem, deadline_seconds=_DEADLINE_SECONDS, clock=slow)
    # Nearly all of the time is over when this plan is made, but for some times what steps keep back for others.
    fast = _Clock(_USED * _DEADLINE_SECONDS / slow.looks)
    after = plan(problem, deadline_seconds=_DEADLINE_SECONDS, clock=fast)
    assert after.solve_seconds > 0.9 * _USED * _DEADLINE_SECONDS
    assert replace(after, solve_seconds=before.solve_seconds) == before
