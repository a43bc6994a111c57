"""Which regime a group of services is searched in."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from medley_planner.model import Pool, Problem, RoutingMode
from medley_planner.optimize.effort import FEW, HUNDREDS, MANY, RULED, SEVERAL, SOME, Effort, effort_for
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import shared_room
from medley_planner.optimize.task.task import Task
from tests.unit.planner.optimize.small import service, variant


@cache
def task(routing: RoutingMode = RoutingMode.HTTP_ROUTE, **fields: Any) -> Task:
    asked = service(3.0, variant("a", 1.0, 1.0), routing=routing, **fields)
    return prepare(asked, shared_room(Problem((asked,), (Pool("a"),)))).first


@pytest.mark.parametrize(
    ("services", "row"),
    [(1, FEW), (3, FEW), (4, SOME), (8, SOME), (9, SEVERAL), (40, SEVERAL), (41, MANY), (250, MANY), (251, HUNDREDS)],
)
def test_the_row_goes_by_the_number_of_services(services: int, row: Effort) -> None:
    assert effort_for([task()] * services) == row


@pytest.mark.parametrize("services", [3, 8, 40])
def test_rules_and_routing_by_size_matter_only_where_services_are_many(services: int) -> None:
    plain, other = [task()] * services, [task(max_cost_per_hour=9.0), task(RoutingMode.PER_BUCKET)]
    assert effort_for([*plain[2:], *other]) == effort_for(plain)


def test_one_service_with_rules_makes_many_ruled() -> None:
    assert effort_for([task()] * 40 + [task(max_cost_per_hour=9.0)]) == RULED
    assert effort_for([task()] * 40 + [task(n_plus_one=True)]) == MANY
    hundreds = effort_for([task()] * 250 + [task(max_cost_per_hour=9.0)])
    assert hundreds == replace(HUNDREDS, agreed=2.5e-4, master_services=0.15, nodes_at_hand=2)


@pytest.mark.parametrize("fields", [{}, {"max_cost_per_hour": 9.0}])
def test_routing_by_size_ends_rounds_and_rounding_sooner(fields: dict[str, float]) -> None:
    row = RULED if fields else MANY
    found = effort_for([task()] * 40 + [task(RoutingMode.INFERENCE_POOL, **fields)])
    assert found == replace(row, agreed=2e-3, rounded=3e-3)


def test_the_integer_master_is_left_out_only_where_services_are_many() -> None:
    assert SEVERAL.good_enough(40) == -math.inf
    assert MANY.good_enough(41) == 1e-3
    assert [RULED.good_enough(services) for services in (50, 100, 250)] == [2e-3, 1.5e-3, 1e-3]
    assert HUNDREDS.good_enough(251) == math.inf


def test_configurations_and_nodes_are_dealt_out_among_the_services() -> None:
    assert [SOME.near_each(services) for services in (4, 100, 5000)] == [150, 60, 6]
    assert [RULED.near_each(services) for services in (50, 500)] == [40, 6]
    assert [MANY.nodes_for(services, at_hand=True) for services in (50, 500)] == [40, 20]
    assert [RULED.nodes_for(50, at_hand=at_hand) for at_hand in (True, False)] == [2, 40]


def test_the_joint_program_is_tried_on_up_to_forty_services() -> None:
    assert [row.joint for row in (FEW, SOME, SEVERAL, MANY, RULED)] == [True, True, True, False, False]
