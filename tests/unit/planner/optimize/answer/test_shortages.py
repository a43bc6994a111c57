"""What a plan says of the demand that it leaves out."""

from __future__ import annotations

import pytest

from medley_planner.model import Pool, Priority, Problem
from medley_planner.optimize import plan
from medley_planner.optimize.answer.shortages import least_unserved
from medley_planner.optimize.program.distribute import distribute
from medley_planner.optimize.program.solve import Answer, UnservedFloor
from medley_planner.optimize.task.coverage import Coverage, prepare
from medley_planner.optimize.task.limits import Room, shared_room
from medley_planner.optimize.task.task import Task
from tests.unit.planner.optimize.small import service, variant


def test_a_few_services_are_proven_to_leave_out_the_least() -> None:
    gpu = variant("gpu", 1.0, 1.0)
    services = (
        service(3.0, gpu, name="high", priority=Priority.HIGH),
        service(3.0, gpu, name="low", priority=Priority.LOW),
    )
    found = plan(Problem(services, (Pool("gpu", stock_gpus=4),)))
    (one,) = found.shortages
    assert one.priority is Priority.LOW
    assert one.unserved_rps == one.least_rps == pytest.approx(2.0)


def test_many_services_say_how_little_any_plan_could_leave_out() -> None:
    """Ten services of 1.5 req/s on 12 GPUs of 1 req/s: two serve all of theirs, eight lack a third. In fractions of
    replicas 3 req/s would be left out."""
    gpu = variant("gpu", 1.0, 1.0)
    services = tuple(service(1.5, gpu, name=f"s{index}") for index in range(10))
    found = plan(Problem(services, (Pool("gpu", stock_gpus=12),)))
    (one,) = found.shortages
    assert one.unserved_rps == pytest.approx(4.0, rel=1e-6)
    assert one.least_rps == pytest.approx(4.0, rel=1e-4)


def test_nothing_is_said_where_all_is_served() -> None:
    assert plan(Problem((service(1.0, variant("gpu", 1.0, 1.0)),), (Pool("gpu"),))).shortages == ()


def test_small_services_are_bounded_in_whole_replicas() -> None:
    """Twelve services that each load half of a replica, on 8 GPUs: by fractions of replicas all would be served."""
    gpu = variant("gpu", 1.0, 1.0)
    services = tuple(
        service(0.5, gpu, name=f"s{index}", priority=Priority.HIGH if index < 3 else Priority.LOW)
        for index in range(12)
    )
    (one,) = plan(Problem(services, (Pool("gpu", stock_gpus=8),))).shortages
    assert one.priority is Priority.LOW
    assert one.unserved_rps == pytest.approx(2.0)
    assert one.least_rps == pytest.approx(2.0, rel=1e-4)


def test_what_was_found_out_beside_more_left_out_still_holds() -> None:
    tasks, coverages, room = _short()
    answers = tuple(Answer((0,), distribute(task, (0,)), proven=False) for task in tasks)
    before = UnservedFloor(most=(9.0, 9.0, 9.0), least=(0.0, 0.0, 2.5))
    asked: list[int] = []

    def none_left() -> float:
        asked.append(1)
        return 0.0

    found = least_unserved(coverages, tasks, answers, room, known=before, seconds_left=none_left)
    assert found.least == (0.0, 0.0, 2.5)
    less = UnservedFloor(most=(-1.0, -1.0, 9.0), least=(0.0, 0.0, 2.5))
    assert least_unserved(coverages, tasks, answers, room, known=less, seconds_left=none_left).least[2] == 0.0


def _short() -> tuple[list[Task], list[Coverage], Room]:
    gpu = variant("gpu", 1.0, 1.0)
    problem = Problem(
        tuple(service(1.0, gpu, name=f"s{index}", priority=Priority.LOW) for index in range(4)),
        (Pool("gpu", stock_gpus=1),),
    )
    room = shared_room(problem)
    coverages = [prepare(one, room) for one in problem.services]
    return [coverage.first for coverage in coverages], coverages, room
