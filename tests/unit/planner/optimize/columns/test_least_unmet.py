"""The least that services leave out in whole replicas, beside what the relaxation in fractions of them says."""

from __future__ import annotations

import numpy as np
import pytest

from medley_planner.model import Pool, Problem, RoutingMode
from medley_planner.optimize.columns import least_unmet
from medley_planner.optimize.program.distribute import distribute
from medley_planner.optimize.program.solve import Answer
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import shared_room
from tests.unit.planner.optimize.small import service, variant


def floor_of(rates: list[float], *, stock: int, routing: RoutingMode, minimum: int = 0) -> float | None:
    """The least unmet requests per second of services on GPUs of 1 req/s each."""
    gpu = variant("gpu", 1.0, 1.0)
    services = tuple(
        service(rate, gpu, name=f"s{index}", routing=routing, min_replicas=minimum) for index, rate in enumerate(rates)
    )
    room = shared_room(Problem(services, (Pool("gpu", stock_gpus=stock),)))
    tasks = [prepare(one, room).first for one in services]
    nothing = [Answer((0,), distribute(task, (0,)), proven=False) for task in tasks]
    found = least_unmet(tasks, nothing, room, np.ones(len(rates)), start=np.zeros(1), seconds_left=lambda: 60.0)
    return None if found is None else float(found.parts.sum() - found.prices @ np.array(room.left))


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_a_replica_is_whole(routing: RoutingMode) -> None:
    """Half of a replica for each of six: four whole ones serve four services."""
    assert floor_of([0.5] * 6, stock=4, routing=routing) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("routing", list(RoutingMode))
def test_what_fits_leaves_out_nothing(routing: RoutingMode) -> None:
    assert floor_of([0.5, 1.5], stock=3, routing=routing) == pytest.approx(0.0, abs=1e-5)


def test_nothing_is_said_where_nothing_is_asked_for_or_minima_do_not_fit() -> None:
    assert floor_of([0.0, 0.0], stock=1, routing=RoutingMode.HTTP_ROUTE) is None
