"""Questions change what they ask about and nothing else, and their answers say what is planned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_operator.domain.prepare import prepare
from medley_operator.domain.questions import MOST_POOLS, Question, QuestionKind, answer, prepared_if, questions
from medley_operator.domain.values.candidates import Prepared
from medley_operator.domain.values.memories import FleetMemory
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.fleet_plan import PlanFailure
from medley_planner.model import NodePrice, Pool, Problem
from medley_planner.planning import plan_fleet
from tests.unit.operator import factories as make

SNAPSHOT = make.snapshot(make.service(), pools=[make.pool("l4", gpu="L4"), make.pool("h100", gpu="H100", price="6.88")])


def prepared_from(snapshot: Snapshot) -> Prepared:
    return prepare(snapshot, FleetMemory(), fleet_mode=None)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepared_from(SNAPSHOT)


@pytest.fixture(scope="module")
def problem(prepared: Prepared) -> Problem:
    assert prepared.problem is not None
    return prepared.problem


def asked(problem: Problem, question: Question) -> Problem:
    """What is acted on, and what is only shown, change alike."""
    given = replace(prepared_from(SNAPSHOT), problem=problem, advice=problem)
    found = prepared_if(question, given, SNAPSHOT, prepare=prepared_from)
    assert found.problem is not None
    assert found.advice in (None, found.problem)
    return found.problem


def test_the_rate(problem: Problem) -> None:
    twice = asked(problem, Question(QuestionKind.RATE, 2.0))
    assert twice.services[0].demand.rate_rps == 2 * problem.services[0].demand.rate_rps
    assert asked(twice, Question(QuestionKind.RATE, 0.5)) == problem


def test_the_price_of_a_pool(problem: Problem) -> None:
    node = Pool("l4", node_price=NodePrice(4, 3.0))
    with_node = replace(problem, pools=(node, *(pool for pool in problem.pools if pool.name != "l4")))
    twice = asked(with_node, Question(QuestionKind.PRICE, 2.0, "l4"))
    for before, after in zip(with_node.services[0].variants, twice.services[0].variants, strict=True):
        assert after.cost_per_hour == before.cost_per_hour * (2 if before.pool == "l4" else 1)
    assert next(pool for pool in twice.pools if pool.name == "l4").node_price == NodePrice(4, 6.0)
    assert asked(twice, Question(QuestionKind.PRICE, 0.5, "l4")) == with_node


def test_targets(problem: Problem) -> None:
    looser = asked(problem, Question(QuestionKind.TARGETS, 2.0))
    before = {each.name: each for each in problem.services[0].variants}
    shared = [each for each in looser.services[0].variants if each.name in before]
    assert shared
    assert all(sum(each.capacity_rps) > sum(before[each.name].capacity_rps) for each in shared)
    tight = Question(QuestionKind.TARGETS, 1e-6)
    assert prepared_if(tight, prepared_from(SNAPSHOT), SNAPSHOT, prepare=prepared_from).problem is None


def test_pools_in_use_come_first_and_dearer_ones_that_are_not_are_left_out(
    prepared: Prepared, problem: Problem
) -> None:
    planned = plan_fleet(problem)
    assert not isinstance(planned, PlanFailure)
    used = {part.pool for part in planned.services[0].variants if part.replicas}
    assert used == {"l4"}
    found = questions(prepared, planned, factors={QuestionKind.PRICE: (0.5, 2.0), QuestionKind.RATE: (2.0,)})
    assert [each.words for each in found] == [
        "price of l4 x 0.5", "price of l4 x 2", "price of h100 x 0.5", "requests x 2",
    ]  # fmt: skip


def test_no_more_pools_than_a_reader_looks_at(prepared: Prepared, problem: Problem) -> None:
    planned = plan_fleet(problem)
    assert not isinstance(planned, PlanFailure)
    (service,) = problem.services
    many = tuple(replace(service.variants[0], name=f"v{at}", pool=f"p{at}") for at in range(MOST_POOLS + 3))
    large = replace(prepared, problem=None, advice=replace(problem, services=(replace(service, variants=many),)))
    assert len(questions(large, planned, factors={QuestionKind.PRICE: (0.5,)})) == MOST_POOLS


def test_answers(problem: Problem) -> None:
    question = Question(QuestionKind.RATE, 2.0)
    planned = plan_fleet(asked(problem, question))
    assert not isinstance(planned, PlanFailure)
    found = answer(question, planned)
    assert found.cost_per_hour == planned.cost_per_hour
    assert found.replicas == {
        "demo/llama": {variant: count for variant, count in planned.services[0].replicas().items() if count}
    }
    assert answer(question, PlanFailure("SolverTimeout", "no plan")).why == "no plan"
    assert answer(question, None).why == "no service can be planned"
