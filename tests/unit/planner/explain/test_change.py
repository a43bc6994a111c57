"""The changes since the last plan: replicas, the facts that differ, and what each of them costs."""

from __future__ import annotations

from dataclasses import replace

from medley_planner.explain import ChangeKind, PlanChange, explain
from medley_planner.model import Pool, Problem
from tests.unit.planner.explain.small import about, planned, problem, service, variant

CHEAP = variant("cheap", 1.0, 1.0)
DEAR = variant("dear", 3.0, 1.0)


def _change(last: Problem, now: Problem) -> PlanChange:
    told = explain(now, planned(now), last=planned(last), last_problem=last).change
    assert told is not None
    return told


def test_no_last_plan_no_change() -> None:
    asked = problem(service(CHEAP, rate=2.0))
    assert explain(asked, planned(asked)).change is None


def test_the_same_problem_changes_nothing() -> None:
    asked = problem(service(CHEAP, DEAR, rate=2.0), cheap=1)
    told = _change(asked, asked)
    assert (told.replicas, told.why, told.causes) == ((), (), ())
    assert told.cost_before_per_hour == told.cost_after_per_hour == about(4.0)


def test_demand_and_price_and_stock_are_told_apart() -> None:
    last = problem(service(CHEAP, DEAR, rate=4.0), cheap=8)
    now = problem(service(replace(CHEAP, cost_per_hour=1.5), DEAR, rate=6.0), cheap=4)
    told = _change(last, now)
    # $4; six cheap ones $6; at $1.50 $9; with four of them and two dear ones $12.
    assert [(cause.kind, cause.difference_per_hour) for cause in told.causes] == [
        (ChangeKind.DEMAND, about(2.0)),
        (ChangeKind.PRICE, about(3.0)),
        (ChangeKind.STOCK, about(3.0)),
    ]
    assert told.cost_after_per_hour - told.cost_before_per_hour == about(8.0)
    assert [(entry.variant, entry.before, entry.after) for entry in told.replicas] == [("dear", 0, 2)]
    assert [entry.message for entry in told.why] == [
        "the demand of service chat went from 4 to 6 req/s (+50.0%)",
        "a replica of variant cheap of service chat went from $1.00/h to $1.50/h",
        "the stock of pool cheap went from 8 to 4 GPUs",
        "Stock of cheap binds now: 4 of 4 used, 4 of 8 before",
    ]


def test_what_comes_and_goes() -> None:
    last = problem(service(CHEAP, rate=2.0), service(CHEAP, rate=1.0, name="old"))
    now = problem(service(DEAR, rate=2.0), service(DEAR, rate=1.0, name="new"))
    told = _change(last, now)
    assert {entry.message for entry in told.why} == {
        "service old is gone",
        "service new is new",
        "variant cheap of service chat is gone",
        "variant dear of service chat is new",
    }
    assert {(entry.service, entry.variant, entry.before, entry.after) for entry in told.replicas} == {
        ("chat", "cheap", 2, 0),
        ("chat", "dear", 0, 2),
        ("old", "cheap", 1, 0),
        ("new", "dear", 0, 1),
    }
    assert [(cause.kind, cause.difference_per_hour) for cause in told.causes] == [(ChangeKind.REST, about(6.0))]


def test_limits_and_capacities_are_named() -> None:
    last = problem(service(CHEAP, rate=2.0))
    slower = replace(CHEAP, capacity_rps=(0.5,))
    now = replace(problem(replace(service(slower, rate=2.0), min_replicas=5)), pools=(Pool("cheap", zones=("a",)),))
    assert [(entry.kind, entry.message) for entry in _change(last, now).why] == [
        (ChangeKind.SERVICE_LIMITS, "min_replicas of service chat went from 0 to 5"),
        (
            ChangeKind.CAPACITY,
            "the capacity of variant cheap of service chat is 0.5 to 0.5 times its earlier value, by size",
        ),
        (ChangeKind.STOCK, "zones of pool cheap changed"),
    ]


def test_without_the_last_problem_only_the_plans_are_compared() -> None:
    last, now = problem(service(CHEAP, rate=2.0)), problem(service(CHEAP, rate=3.0))
    told = explain(now, planned(now), last=planned(last)).change
    assert told is not None
    assert (len(told.replicas), told.why, told.causes) == (1, (), ())


def test_without_time_the_causes_are_left_open() -> None:
    last = problem(service(CHEAP, rate=2.0))
    now = problem(service(replace(CHEAP, cost_per_hour=2.0), rate=3.0))
    told = explain(now, planned(now), last=planned(last), last_problem=last, seconds=0).change
    assert told is not None
    assert told.causes == ()
    assert len(told.why) == 2


def test_a_limit_that_was_not_there_binds_now() -> None:
    last, now = problem(service(CHEAP, DEAR, rate=4.0)), problem(service(CHEAP, DEAR, rate=4.0), cheap=3)
    assert [entry.message for entry in _change(last, now).why] == [
        "the stock of pool cheap went from unlimited to 3 GPUs",
        "Stock of cheap binds now: 3 of 3 used",
    ]
