"""The cheaper fleet that a plan names is judged anew: what it saves, what its start costs, and whether it can be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.model import CheaperFleet, Pool, Problem, RoutingMode, Service
from medley_planner.optimize import Rule, plan, verify
from tests.steps_of_load import demand, variant

GOOD = CheaperFleet((0, 3), 8 * 1.861 + 6.88 - 3 * 6.88, 2 * 6.88 * 180 / 3600)


def asked(routing: RoutingMode, *, stock: int | None = None) -> Problem:
    variants = (
        variant("L40S", (1.0, 1.0), startup_seconds=120.0, running=8),
        variant("H100", (4.0, 4.0), startup_seconds=120.0, running=0),
    )
    service = Service("s", demand(11.9, 0.5), variants, routing, stay_seconds=360.0)
    return Problem((service,), (Pool("L40S"), Pool("H100", stock_gpus=stock)))


def judged(problem: Problem, cheaper: CheaperFleet) -> list[str]:
    made = plan(problem)
    changed = replace(made, services=(replace(made.services[0], cheaper=cheaper),))
    found = verify(problem, changed)
    assert {violation.rule for violation in found} <= {Rule.CHEAPER}
    return [violation.message for violation in found]


@pytest.mark.parametrize("routing", [RoutingMode.HTTP_ROUTE, RoutingMode.INFERENCE_POOL, RoutingMode.PER_BUCKET])
def test_what_the_planner_names_is_good(routing: RoutingMode) -> None:
    problem = asked(routing)
    found = plan(problem).services[0].cheaper
    assert found is not None
    assert found.replicas == GOOD.replicas
    assert (found.saving_per_hour, found.leaving_cost) == pytest.approx((GOOD.saving_per_hour, GOOD.leaving_cost))
    assert judged(problem, GOOD) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (replace(GOOD, saving_per_hour=2.0), "saves 1.128000 per hour, not 2.000000"),
        (replace(GOOD, leaving_cost=0.1), "costs 0.688000, not 0.100000"),
        (replace(GOOD, replicas=(0,)), "it has 1 variants of 2"),
        (CheaperFleet((8, 0), 6.88, -0.344), "it cannot carry what the plan serves"),
        (CheaperFleet((0, 2), 8.008, 0.344), "it cannot carry what the plan serves"),
    ],
)
def test_each_figure_is_counted(wrong: CheaperFleet, words: str) -> None:
    assert any(words in message for message in judged(asked(RoutingMode.HTTP_ROUTE), wrong))


def test_it_must_fit_what_others_leave() -> None:
    assert any("is not possible" in message for message in judged(asked(RoutingMode.HTTP_ROUTE, stock=2), GOOD))


def test_behind_a_service_the_slowest_pod_counts() -> None:
    mixed = replace(GOOD, replicas=(1, 3))
    assert any("cannot carry" in message for message in judged(asked(RoutingMode.SERVICE), mixed))
    assert not any("cannot carry" in message for message in judged(asked(RoutingMode.SERVICE), GOOD))
