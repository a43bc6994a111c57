"""Curtailments: which are accepted, and the budget while they last."""

from __future__ import annotations

import math

import pytest

from medley_planner.power import Curtailment, budget_in_force, check_curtailment, shed_for
from tests.unit.planner.power.small import domain, tree_of

NOW = 1000.0
ROW = domain()


def event(*, target: float = 6000.0, start: float = 1100.0, end: float | None = 2000.0, on: str = "row") -> Curtailment:
    return Curtailment("grid", on, target, start, end)


@pytest.mark.parametrize(
    ("given", "reason", "words"),
    [
        (event(on="attic"), "UnknownDomain", ['"attic"']),
        (event(end=None), "EventWithoutEnd", ["spec.end is null"]),
        (event(end=math.inf), "EventWithoutEnd", ["spec.end is Infinity"]),
        (event(start=100.0, end=900.0), "EventInThePast", ["spec.end is 900", "100 s ago"]),
        (event(start=3000.0), "EventLength", ["spec.end is 2000", "-1000 s"]),
        (event(end=1e7), "EventLength", ["604800"]),
        (event(start=math.nan), "EventLength", ["nan"]),
        (event(target=5000.0), "BudgetBelowIdle", ["spec.targetWatts is 5000", "5040 W"]),
        (event(target=math.nan), "BudgetBelowIdle", ["NaN"]),
    ],
)
def test_refused(given: Curtailment, reason: str, words: list[str]) -> None:
    found = check_curtailment(tree_of(ROW), given, NOW)
    assert found is not None
    assert found.reason == reason
    assert found.message.startswith("power event grid: ")
    assert [word for word in words if word not in found.message] == []


@pytest.mark.parametrize("given", [event(), event(start=500.0), event(target=9000.0)])
def test_accepted(given: Curtailment) -> None:
    assert check_curtailment(tree_of(ROW), given, NOW) is None


@pytest.mark.parametrize(("now", "budget"), [(1099.0, 7000.0), (1100.0, 6000.0), (1999.9, 6000.0), (2000.0, 7000.0)])
def test_the_budget_is_lower_while_it_lasts(now: float, budget: float) -> None:
    assert budget_in_force(ROW, [event(), event(on="other", target=10.0)], now) == budget


def test_the_least_of_several_counts_and_none_raises_a_budget() -> None:
    assert budget_in_force(ROW, [event(), event(target=5500.0)], 1500.0) == 5500.0
    assert budget_in_force(ROW, [event(target=9000.0)], 1500.0) == 7000.0


def test_what_caps_alone_do_for_it() -> None:
    found = shed_for(tree_of(ROW), event(), 7400.0)
    assert found.shed_watts + found.shortfall_watts >= 1400.0
    assert found.shortfall_watts > 0.0
