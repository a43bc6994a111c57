"""The table of what services require of their replicas: one row is all that a further requirement takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medley_planner.model import Pool, Problem, RoutingMode, Service
from medley_planner.optimize import plan, verify
from medley_planner.optimize.task.coverage import prepare
from medley_planner.optimize.task.limits import shared_room
from medley_planner.optimize.task.rules import REQUIREMENTS, CountRow, Requirement, limiting, obeys, spare, special
from medley_planner.optimize.task.task import Task
from tests.unit.planner.optimize.small import service, variant

ROOT = Path(__file__).parents[5]
SMALL, LARGE = variant("small", 1.0, 1.0), variant("large", 4.0, 10.0)
N_PLUS_ONE = {
    "operator/medley_operator/api/v1alpha1/service.py",
    "operator/medley_operator/domain/checks/policy.py",
    "operator/medley_operator/domain/planner_input.py",
    "planner/medley_planner/cli/fleet_document.py",
    "planner/medley_planner/model/problem.py",
    "planner/medley_planner/optimize/task/rules.py",
    "planner/medley_planner/optimize/verify/work.py",
}
RULES: tuple[dict[str, Any], ...] = (
    {"spot_max_share": 0.5},
    {"max_cost_per_hour": 7.0},
    {"zone_spread": True},
    {"on_demand_min_replicas": 1},
    {"n_plus_one": True},
)


def task_of(asked: Service) -> Task:
    pools = (Pool("small", spot=True, zones=("a",)), Pool("large", zones=("b",)))
    return prepare(asked, shared_room(Problem((asked,), pools))).first


@pytest.mark.parametrize("fields", RULES)
def test_one_row_binds_for_each_field_and_is_lifted_with_it(fields: dict[str, Any]) -> None:
    task = task_of(service(3.0, SMALL, LARGE, **fields))
    binding = [requirement for requirement in REQUIREMENTS if requirement.binds(task)]
    assert len(binding) == 1
    assert special(task)
    assert spare(task) == (1 if "n_plus_one" in fields else 0)
    for reason, requirement in limiting(task):
        assert requirement.reason is reason
        assert not special(replace(task, service=requirement.lifted(task.service)))


def test_nothing_binds_where_nothing_is_asked() -> None:
    task = task_of(service(3.0, SMALL, LARGE))
    assert not special(task)
    assert limiting(task) == []
    assert obeys(task, (3, 0))


def test_reasons_come_in_the_order_of_the_plan_s_reasons() -> None:
    task = task_of(service(3.0, SMALL, LARGE, spot_max_share=0.5, zone_spread=True, max_cost_per_hour=7.0))
    assert [reason.value for reason, _ in limiting(task)] == ["Budget", "SpotShare", "ZoneSpread"]


class _FewSmall(Requirement):
    """No more than two replicas of the first variant."""

    def binds(self, task: Task) -> bool:
        return True

    def obeyed(self, task: Task, replicas: Sequence[int]) -> bool:
        return replicas[0] <= 2

    def rows(self, task: Task) -> list[CountRow]:
        return [CountRow({0: 1.0}, upper=2.0)]


@pytest.mark.parametrize("routing", list(RoutingMode))
@pytest.mark.parametrize("services", [1, 2, 5])
def test_a_further_row_is_kept_by_every_way_of_planning(
    monkeypatch: pytest.MonkeyPatch, routing: RoutingMode, services: int
) -> None:
    asked = tuple(service(3.0, SMALL, LARGE, name=f"s{index}", routing=routing) for index in range(services))
    problem = Problem(asked, (Pool("small", 3 * services), Pool("large", 2 * services)))
    assert [part.replicas() for part in plan(problem).services] == [{"small": 3, "large": 0}] * services
    for module in ("task.rules", "program.formulation"):
        monkeypatch.setattr(f"medley_planner.optimize.{module}.REQUIREMENTS", (*REQUIREMENTS, _FewSmall()))
    kept = plan(problem)
    assert [part.replicas() for part in kept.services] == [{"small": 0, "large": 1}] * services
    assert verify(problem, kept) == ()


def test_a_field_that_binds_the_plan_is_named_in_few_files() -> None:
    named = re.compile(r"\b(n_plus_one|tolerate_replica_loss|tolerateReplicaLoss)\b")
    found = {
        str(file.relative_to(ROOT))
        for room in ("operator", "planner")
        for file in (ROOT / room).rglob("*.py")
        if named.search(file.read_text(encoding="utf-8"))
    }
    assert found == N_PLUS_ONE
