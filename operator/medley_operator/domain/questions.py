"""Asks what other rates, prices and targets would change for the whole fleet, as problems to plan. Pure.

The rate and the prices are numbers of the problem. Targets decide what a replica can serve, so they change the objects,
and the problem is made from those anew. Whoever asks plans the problems: a command at once, the operator in a process
of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.values.candidates import Prepared
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.model import Plan, Pool, Problem, Service

MOST_POOLS = 8
"""Prices of so many pools are asked about, those in use first: each takes plans of its own."""


class QuestionKind(StrEnum):
    """The kinds of questions, by what is another."""

    RATE = "Rate"
    PRICE = "Price"
    TARGETS = "Targets"


@dataclass(frozen=True, slots=True)
class Question:
    """`factor` times the rate of all services, the price of `pool`, or the latency targets of all services."""

    kind: QuestionKind
    factor: float
    pool: str = ""

    @property
    def words(self) -> str:
        subject = {
            QuestionKind.RATE: "requests",
            QuestionKind.PRICE: f"price of {self.pool}",
            QuestionKind.TARGETS: "latency targets",
        }[self.kind]
        return f"{subject} x {self.factor:g}"


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """The plan for a question: the replicas of each service by variant, those that have any. `why`: there is none."""

    question: Question
    cost_per_hour: float | None = None
    unserved_rps: float = 0.0
    replicas: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    why: str = ""


def questions(prepared: Prepared, planned: Plan, *, factors: Mapping[QuestionKind, Sequence[float]]) -> list[Question]:
    """All questions with these factors; prices of the pools that the plan uses come first."""
    services = [service for problem in _problems(prepared) for service in problem.services]
    used = {part.pool for service in planned.services for part in service.variants if part.replicas > 0}
    offered = {variant.pool for service in services for variant in service.variants}
    pools = sorted(offered, key=lambda pool: (pool not in used, pool))[:MOST_POOLS]
    found: list[Question] = []
    for kind, each in factors.items():
        subjects = pools if kind is QuestionKind.PRICE else [""]
        # A dearer pool that is not used changes nothing.
        found += [
            Question(kind, factor, pool)
            for pool in subjects
            for factor in each
            if not pool or pool in used or factor < 1
        ]
    return found


def prepared_if(
    question: Question, prepared: Prepared, snapshot: Snapshot, *, prepare: Callable[[Snapshot], Prepared]
) -> Prepared:
    """`prepared`, which `prepare` made from `snapshot`, as it would be."""
    match question.kind:
        case QuestionKind.RATE:
            return _changed(prepared, partial(_at_rate, factor=question.factor))
        case QuestionKind.PRICE:
            return _changed(prepared, partial(_at_price, pool=question.pool, factor=question.factor))
        case QuestionKind.TARGETS:
            services = tuple(_at_targets(each, question.factor) for each in snapshot.services)
            return prepare(replace(snapshot, services=services))


def answer(question: Question, outcome: PlanOrFailure | None) -> QuestionAnswer:
    """`outcome`: of planning what `prepared_if` returned; None where it has no problem."""
    if outcome is None:
        return QuestionAnswer(question, why="no service can be planned")
    if not isinstance(outcome, Plan):
        return QuestionAnswer(question, why=outcome.message)
    return QuestionAnswer(
        question,
        cost_per_hour=outcome.cost_per_hour,
        unserved_rps=sum(part.rate_rps for service in outcome.services for part in service.unserved),
        replicas={service.service: dict(_used(service.replicas())) for service in outcome.services},
    )


def _used(replicas: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    return ((variant, count) for variant, count in replicas.items() if count > 0)


def _problems(prepared: Prepared) -> list[Problem]:
    return [each for each in (prepared.problem, prepared.advice) if each is not None]


def _changed(prepared: Prepared, change: Callable[[Problem], Problem]) -> Prepared:
    problem, advice = prepared.problem, prepared.advice
    return replace(prepared, problem=problem and change(problem), advice=advice and change(advice))


def _at_rate(problem: Problem, *, factor: float) -> Problem:
    def service_at(service: Service) -> Service:
        return replace(service, demand=replace(service.demand, rate_rps=service.demand.rate_rps * factor))

    return replace(problem, services=tuple(map(service_at, problem.services)))


def _at_price(problem: Problem, *, pool: str, factor: float) -> Problem:
    def service_at(service: Service) -> Service:
        variants = tuple(
            replace(each, cost_per_hour=each.cost_per_hour * factor) if each.pool == pool else each
            for each in service.variants
        )
        return replace(service, variants=variants)

    def pool_at(each: Pool) -> Pool:
        if each.name != pool or each.node_price is None:
            return each
        return replace(each, node_price=replace(each.node_price, cost_per_hour=each.node_price.cost_per_hour * factor))

    return replace(problem, services=tuple(map(service_at, problem.services)), pools=tuple(map(pool_at, problem.pools)))


def _at_targets(service: LLMService, factor: float) -> LLMService:
    slo = service.spec.slo
    times = {"ttft": slo.ttft_seconds * factor, "tpot": slo.tpot_seconds * factor}
    changed = slo.model_copy(update={name: f"{seconds * 1000:.3f}ms" for name, seconds in times.items()})
    return service.model_copy(update={"spec": service.spec.model_copy(update={"slo": changed})})
