"""The deadline holds for many services of all modes under all limits; in CPU time, so a busy machine fails nothing."""

from __future__ import annotations

from time import process_time

import pytest

from medley_planner.model import RoutingMode
from medley_planner.optimize import plan, verify
from tests.generator import Extras, fleet


@pytest.mark.parametrize(("services", "seconds"), [(300, 3.0), (100, 1.0)])
def test_a_mixed_fleet_is_planned_within_its_deadline(services: int, seconds: float) -> None:
    extras = Extras(tensor_parallel_degrees=2, spot=True, node_gpus=8, power_fraction=0.8)
    problem = fleet(services, seed=1, stock_fraction=0.7, routing=tuple(RoutingMode), extras=extras)
    started = process_time()
    found = plan(problem, deadline_seconds=seconds, clock=process_time)
    assert process_time() - started <= 1.1 * seconds + 0.2
    assert not verify(problem, found)
    assert 0 < found.gap < 0.1
    assert not any(planned.unserved for planned in found.services)
