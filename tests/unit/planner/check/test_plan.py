"""Plan, check, correct, plan again: what comes of tables that promise too much, and that equal rounds do nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from medley_planner.capacity import LatencyTargets
from medley_planner.check import CheckMemory, Subject, plan_checked
from medley_planner.check import plan as checking
from medley_planner.model import Bucket, Demand, Plan, PlanStatus, Problem, RoutingMode, SizeSource
from medley_planner.optimize import plan, verify
from tests.unit.planner.check.small import MIX, problem_of


@dataclass
class Planner:
    """The real solver, counted; `seconds` is what one solve takes on the clock, `look` what one look at it adds."""

    seconds: float = 0.0
    look: float = 0.0
    now: float = 0.0
    solved: list[Problem] = field(default_factory=list)

    def solve(self, problem: Problem, /, *, deadline_seconds: float, last: Plan | None) -> Plan:
        self.solved.append(problem)
        self.now += self.seconds
        return plan(problem, deadline_seconds=deadline_seconds, last=last)

    def clock(self) -> float:
        self.now += self.look
        return self.now


def check(
    problem: Problem, subjects: dict[str, Subject], planner: Planner, memory: CheckMemory | None = None
) -> checking.CheckedPlan:
    return plan_checked(
        problem, subjects, solve=planner.solve, clock=planner.clock, deadline_seconds=10.0, memory=memory
    )


def test_a_plan_that_attains_is_left_as_it_is() -> None:
    problem, subjects = problem_of()
    planner = Planner()
    found = check(problem, subjects, planner)
    assert len(planner.solved) == 1
    assert found.problem == problem
    assert found.factors == {}
    assert found.checked["chat"].attains


@pytest.mark.parametrize("routing", [RoutingMode.SERVICE, RoutingMode.HTTP_ROUTE, RoutingMode.INFERENCE_POOL])
def test_capacities_that_promise_too_much_are_lowered_until_the_plan_attains(routing: RoutingMode) -> None:
    problem, subjects = problem_of(replace(MIX, rate_rps=40.0), routing=routing, boast=2.5)
    planner = Planner()
    found = check(problem, subjects, planner)
    assert 1 <= found.rounds <= checking.ROUNDS
    assert found.checked["chat"].attains
    assert found.plan.cost_per_hour > plan(problem).cost_per_hour
    assert verify(found.problem, found.plan) == ()
    assert all(0.2 <= factor < 1.0 for factor in found.factors["chat"].values())
    # What was corrected is not dearer than honest tables by more than they are derated and a replica.
    honest, _ = problem_of(replace(MIX, rate_rps=40.0), routing=routing)
    assert found.plan.cost_per_hour <= plan(honest).cost_per_hour + 6.9


def test_an_equal_round_simulates_nothing_and_plans_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, subjects = problem_of(replace(MIX, rate_rps=40.0), boast=2.5)
    memory = CheckMemory()
    first = check(problem, subjects, Planner(), memory)
    monkeypatch.setattr(checking, "attained", _never)
    monkeypatch.setattr(checking, "capacity_factor", _never)
    planner = Planner()
    second = check(problem, subjects, planner, memory)
    assert len(planner.solved) == 1
    assert second.factors == first.factors
    assert second.plan.services == first.plan.services
    assert second.checked == first.checked


def _never(*_: object, **__: object) -> float:
    raise AssertionError("an equal round simulates nothing")


def test_a_check_without_memory_begins_with_the_factors_of_the_plan_that_runs() -> None:
    problem, subjects = problem_of(replace(MIX, rate_rps=40.0), boast=2.5)
    first = check(problem, subjects, Planner(), CheckMemory())
    told = {name: replace(each, last_factors=tuple(first.factors[name].items())) for name, each in subjects.items()}
    planner = Planner()
    again = check(problem, told, planner, CheckMemory())
    assert len(planner.solved) == 1
    assert again.factors == first.factors
    assert again.plan.services == first.plan.services


def test_factors_are_forgotten_with_the_sizes_that_they_were_found_for() -> None:
    problem, subjects = problem_of(replace(MIX, rate_rps=40.0), boast=2.5)
    memory = CheckMemory()
    assert check(problem, subjects, Planner(), memory).factors
    others, subjects = problem_of(replace(MIX, rate_rps=40.0, shares=(1.0, 0.0, 0.0, 0.0)))
    planner = Planner()
    check(others, subjects, planner, memory)
    assert planner.solved[0] == others


def test_no_demand_is_left_out_for_a_correction() -> None:
    problem, subjects = problem_of(
        replace(MIX, rate_rps=40.0), boast=2.5, gpus=("A100-80",), stock={"a100-80": _needed(boast=2.5)}
    )
    memory = CheckMemory()
    found = check(problem, subjects, Planner(), memory)
    assert found.plan.status is PlanStatus.OPTIMAL
    assert found.factors == {}
    assert not found.checked["chat"].attains
    # And it is not tried again while nothing changes.
    planner = Planner()
    check(problem, subjects, planner, memory)
    assert len(planner.solved) == 1
    more = replace(problem, pools=tuple(replace(pool, stock_gpus=64) for pool in problem.pools))
    assert check(more, subjects, Planner(), memory).checked["chat"].attains


def _needed(*, boast: float) -> int:
    problem, _ = problem_of(replace(MIX, rate_rps=40.0), boast=boast, gpus=("A100-80",))
    return plan(problem).services[0].replicas()["a100-80"]


def test_what_no_load_can_cure_is_told_and_not_paid_for() -> None:
    demand = Demand(0.2, (Bucket(300.0, 50.0), Bucket(15000.0, 50.0)), (0.9, 0.1), SizeSource.STATIC)
    problem, subjects = problem_of(demand, gpus=("A100-80",), targets=LatencyTargets(60.0, 0.05, 95.0))
    strict = {name: replace(subject, targets=LatencyTargets(1.0, 0.05, 95.0)) for name, subject in subjects.items()}
    found = check(problem, strict, Planner())
    assert found.plan.cost_per_hour == plan(problem).cost_per_hour
    assert not found.checked["chat"].attains


def _three() -> tuple[Problem, dict[str, Subject]]:
    problem, subjects = problem_of()
    names = ("a", "b", "c")
    many = replace(problem, services=tuple(replace(problem.services[0], name=name) for name in names))
    return many, dict.fromkeys(names, subjects["chat"])


@pytest.mark.parametrize("look", [0.0, 1.6])
def test_services_that_are_not_reached_are_unchecked_and_come_first_next_time(
    look: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a look takes, while the deadline does not bind."""
    monkeypatch.setattr(checking, "MOST_LOOKS", 2)
    many, wanted = _three()
    memory = CheckMemory()
    reached = [set(check(many, wanted, Planner(look=look), memory).checked) for _ in range(3)]
    assert reached == [{"a", "b"}, {"a", "b", "c"}, {"a", "b", "c"}]


def test_no_service_is_looked_at_after_the_deadline() -> None:
    many, wanted = _three()
    assert set(check(many, wanted, Planner(seconds=10.0)).checked) == set()
    assert set(check(many, wanted, Planner(seconds=4.0, look=1.6)).checked) == {"a", "b"}


def test_the_first_plan_leaves_time_for_its_check() -> None:
    given: list[float] = []

    class Watched(Planner):
        def solve(self, problem: Problem, /, *, deadline_seconds: float, last: Plan | None) -> Plan:
            given.append(deadline_seconds)
            return super().solve(problem, deadline_seconds=deadline_seconds, last=last)

    many, wanted = _three()
    check(many, wanted, Watched())
    check(many, {}, Watched())
    assert given[0] < 10.0 == given[1]


def test_a_correction_that_comes_too_late_counts_in_the_next_round() -> None:
    problem, subjects = problem_of(replace(MIX, rate_rps=40.0), boast=2.5)
    memory = CheckMemory()
    slow = Planner(seconds=9.0)
    late = check(problem, subjects, slow, memory)
    assert len(slow.solved) == 1
    assert late.problem == problem
    assert not late.checked["chat"].attains
    after = check(problem, subjects, Planner(), memory)
    assert after.factors
    assert after.checked["chat"].attains


def _unchecked(change: Callable[[Subject], Subject]) -> bool:
    problem, subjects = problem_of()
    found = check(problem, {name: change(subject) for name, subject in subjects.items()}, Planner())
    return found.plan.status is PlanStatus.OPTIMAL and found.checked == {}


def test_engines_that_cannot_be_simulated_leave_the_plan_unchecked() -> None:
    assert _unchecked(lambda subject: replace(subject, replicas=()))
    assert _unchecked(
        lambda subject: replace(
            subject, replicas=tuple((name, replace(each, max_model_len=10**7)) for name, each in subject.replicas)
        )
    )
    problem, _ = problem_of()
    assert check(problem, {}, Planner()).checked == {}


def test_a_service_without_load_has_nothing_to_check() -> None:
    problem, subjects = problem_of(replace(MIX, rate_rps=0.0))
    assert check(problem, subjects, Planner()).checked == {}
