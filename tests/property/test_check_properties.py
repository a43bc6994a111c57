"""Properties of every checked plan: it gives up no demand, capacities only fall, and equal rounds come to rest."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from medley_planner.check import FLOOR, CheckMemory, plan_checked
from medley_planner.model import Plan, Problem, RoutingMode
from medley_planner.optimize import plan, verify
from tests.unit.planner.check.small import MIX, problem_of


def solve(problem: Problem, /, *, deadline_seconds: float, last: Plan | None) -> Plan:
    found = plan(problem, deadline_seconds=deadline_seconds, last=last)
    assert verify(problem, found) == ()
    return found


def unserved_rps(found: Plan) -> float:
    return math.fsum(part.rate_rps for each in found.services for part in each.unserved)


@settings(max_examples=15, deadline=None)
@given(
    rate_rps=st.floats(0.5, 60.0),
    boast=st.floats(0.5, 4.0),
    routing=st.sampled_from([RoutingMode.SERVICE, RoutingMode.HTTP_ROUTE, RoutingMode.INFERENCE_POOL]),
    stock=st.one_of(st.none(), st.integers(0, 12)),
    weights=st.tuples(*[st.integers(0, 9)] * 3, st.integers(1, 9)),
)
def test_checked_plans(
    rate_rps: float, boast: float, routing: RoutingMode, stock: int | None, weights: tuple[int, int, int, int]
) -> None:
    shares = tuple(weight / sum(weights) for weight in weights)
    problem, subjects = problem_of(
        replace(MIX, rate_rps=rate_rps, shares=shares),
        routing=routing,
        boast=boast,
        stock={"a100-80": stock, "h100": stock},
    )
    memory = CheckMemory()

    def checked_plan() -> tuple[Plan, dict[str, float], float | None]:
        found = plan_checked(problem, subjects, solve=solve, clock=lambda: 0.0, deadline_seconds=10.0, memory=memory)
        checked = found.checked.get("chat")
        return found.plan, dict(found.factors.get("chat", {})), checked.attainment if checked is not None else None

    plain = plan(problem)
    found, factors, attainment = checked_plan()
    assert unserved_rps(found) <= unserved_rps(plain) + 1e-6
    assert all(FLOOR <= factor < 1.0 for factor in factors.values())
    if not factors:
        assert found.services == plain.services
    assert (attainment is None) == (not any(part.replicas and part.share for part in found.services[0].variants))
    # Rounds of equal input come to rest.
    for _ in range(3):
        found, factors, attainment = checked_plan()
    again = checked_plan()
    assert (again[0].services, again[1], again[2]) == (found.services, factors, attainment)
