"""Fleets and instances that were once planned wrongly, against what an independent program finds for them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from medley_planner.cli.fleet_reader import parse_fleet
from medley_planner.cli.instance import parse_instance
from medley_planner.model import Plan, Problem
from medley_planner.optimize import plan, verify

_CASES = Path(os.environ.get("MEDLEY_SHARED_CASES", Path(__file__).resolve().parents[2].parent / "shared" / "cases"))
_FOLDER = _CASES / "planner"

pytestmark = pytest.mark.skipif(
    not _FOLDER.exists(), reason=f"{_FOLDER} is not there; set MEDLEY_SHARED_CASES to the folder above it"
)


def _problem(name: str) -> Problem:
    (file,) = _FOLDER.glob(f"{name}.json")
    document = json.loads(file.read_text(encoding="utf-8"))
    return parse_instance(document).problem if "gpu" in document else parse_fleet(document).problem


def _planned(problem: Problem) -> Plan:
    found = plan(problem, deadline_seconds=60.0)
    assert verify(problem, found) == ()
    return found


@pytest.mark.parametrize(
    ("name", "cost_per_hour", "unserved_rps"),
    [
        ("01_*", 138.3, 0.0),
        ("02_*", 7.0, 0.09 + 9.0),
        ("03_*", 7.0, 0.09),
        ("07_*", 16.0, 2.0),
        ("07b_*", 16.0, 2.0),
        ("08_*", 0.0, 1.0),
        ("08b_*", 2.0, 1.0),
        ("09_*", 5.0, 0.0),
        ("10_*", 20.0, 0.0),
        ("12_*", 2.0, 10.0),
    ],
)
def test_costs_and_leaves_out_what_it_must(name: str, cost_per_hour: float, unserved_rps: float) -> None:
    found = _planned(_problem(name))
    assert found.cost_per_hour == pytest.approx(cost_per_hour)
    unserved = sum(entry.rate_rps for service in found.services for entry in service.unserved)
    assert unserved == pytest.approx(unserved_rps)
    assert found.lower_bound_per_hour <= cost_per_hour * (1 + 1e-9)


@pytest.mark.parametrize("name", ["05_*7027"])
def test_equal_input_is_planned_alike(name: str) -> None:
    first, second = _planned(_problem(name)), _planned(_problem(name))
    assert replace(first, solve_seconds=0.0) == replace(second, solve_seconds=0.0)


def test_a_billion_nodes_are_planned() -> None:
    found = _planned(_problem("13_*"))
    assert all(not service.unserved for service in found.services)


def test_a_billion_requests_per_second_are_planned() -> None:
    (service,) = _planned(_problem("14_*")).services
    assert not service.unserved
