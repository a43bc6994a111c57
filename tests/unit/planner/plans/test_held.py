"""What services were served so far goes before what others of their priority ask beyond theirs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import Plan, Pool, Priority, Problem, Service
from medley_planner.optimize import plan, verify
from tests.unit.planner.optimize.small import service, variant

ONE = variant("one", 1.0, 1.0, pool="pool")
PAIR = variant("pair", 3.0, 2.5, pool="pool", gpus_per_replica=2)


def asking(name: str, rate_rps: float, held_rps: float, **fields: object) -> Service:
    made = service(rate_rps, ONE, PAIR, name=name, held_rps=held_rps)
    return replace(made, **fields)  # type: ignore[arg-type]


def served(services: list[Service], gpus: int) -> dict[str, float]:
    """Requests per second that are served, by service."""
    problem = Problem(tuple(services), (Pool("pool", stock_gpus=gpus),))
    planned: Plan = plan(problem, deadline_seconds=10.0)
    assert verify(problem, planned) == ()
    rates = {each.name: each.demand.rate_rps for each in services}
    return {each.service: rates[each.service] - sum(e.rate_rps for e in each.unserved) for each in planned.services}


@pytest.mark.parametrize("others", [1, 3, 12])
def test_a_jump_of_one_takes_nothing_that_serves_others(others: int) -> None:
    """With few services one program plans them, with more of them columns do."""
    calm = [asking(f"calm{index:02}", 3.0, 3.0) for index in range(others)]
    found = served([*calm, asking("loud", 300.0, 3.0)], gpus=2 * others + 4)
    assert all(found[each.name] == pytest.approx(3.0) for each in calm)
    assert 3.0 - 1e-6 <= found["loud"] <= 6.0 + 1e-6


def test_what_is_free_goes_to_whoever_asks() -> None:
    assert served([asking("calm", 3.0, 3.0), asking("loud", 300.0, 3.0)], gpus=20)["loud"] == pytest.approx(27.0)


def test_a_higher_priority_still_goes_first() -> None:
    found = served([asking("calm", 3.0, 3.0), asking("loud", 300.0, 3.0, priority=Priority.HIGH)], gpus=8)
    assert found == {"calm": pytest.approx(0.0), "loud": pytest.approx(12.0)}


def test_what_is_held_and_not_asked_for_any_more_is_free() -> None:
    found = served([asking("calm", 3.0, 30.0), asking("loud", 300.0, 3.0)], gpus=8)
    assert found == {"calm": pytest.approx(3.0), "loud": pytest.approx(9.0)}
