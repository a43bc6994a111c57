"""The fleet as it is, as a page: services, mix, cost, savings, planned against attained, limits, and what would change.

Pure. Every figure of a service or a pool is that of its status, so that the page and kubectl never differ.

Apart: the operator serves it, and only it knows the fleet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medley_operator.api.v1alpha1 import GPUPool, LLMService
from medley_operator.api.v1alpha1.status import Condition
from medley_operator.domain.questions import QuestionAnswer
from medley_operator.pages.document import Live, document, paragraph, section, table
from medley_operator.pages.figures import bar, facts, what_if
from medley_planner.units import per_hour

MOST_SERVICES = 100
"""Services with a section of their own; the table above has them all."""


@dataclass(frozen=True, slots=True)
class WhatIfAnswers:
    """Answers to questions on one plan of the fleet. `why`: there are none, and why."""

    answers: tuple[QuestionAnswer, ...] = ()
    cost_per_hour: float = 0.0
    simulated: bool = False
    why: str = ""


def fleet_page(
    services: Sequence[LLMService], pools: Sequence[GPUPool], what_changes: WhatIfAnswers, *, at: str, live: Live
) -> str:
    """`at`: when the fleet was like this, in UTC."""
    parts = [_summary(services, at)]
    if services:
        parts.append(_services(services))
    parts += map(_service, services[:MOST_SERVICES])
    if pools:
        parts.append(_pools(pools))
    if what_changes.why:
        parts.append(section("What would change if", paragraph(what_changes.why)))
    else:
        parts.append(
            what_if(what_changes.answers, cost_per_hour=what_changes.cost_per_hour, simulated=what_changes.simulated)
        )
    return document("Medley fleet", parts, live=live)


def _summary(services: Sequence[LLMService], at: str) -> str:
    running = sum(each.status.cost_per_hour_usd for each in services)
    planned = [each.status.plan for each in services if each.status.plan is not None]
    compared = [plan for plan in planned if plan.best_single is not None]
    singles = sum(plan.best_single.cost_per_hour_usd for plan in compared if plan.best_single is not None)
    own = sum(plan.cost_per_hour_usd for plan in compared)
    return facts(
        [
            ("services", str(len(services))),
            ("cost of what runs", per_hour(running)),
            ("cost of the plans", per_hour(sum(plan.cost_per_hour_usd for plan in planned))),
            ("best single type each", f"{per_hour(singles)}, plans for the same {per_hour(own)}" if compared else ""),
            ("as of", at),
        ]
    )


def _services(services: Sequence[LLMService]) -> str:
    most = max((_planned_cost(each) for each in services), default=0.0)
    rows = [
        (
            _name(each),
            each.status.mix or "none",
            f"{each.status.ready_replicas} of {each.status.desired_replicas}",
            bar(_planned_cost(each), most),
            f"${each.status.plan.cost_per_hour}" if each.status.plan is not None else "",
            _saved(each),
            each.status.problem or "",
        )
        for each in services
    ]
    headings = ("service", "mix", "ready", "bar", "plan, per hour", "saved", "problem")
    return section("Services", table(headings, rows, texts=("mix", "bar", "problem")))


def _service(service: LLMService) -> str:
    status, plan, load = service.status, service.status.plan, service.status.load
    pairs = [
        ("mode", service.spec.scaling.mode.value),
        ("targets", f"TTFT {service.spec.slo.ttft}, TPOT {service.spec.slo.tpot} at p{service.spec.slo.percentile}"),
        ("cost of what runs", _dollars(status.cost_per_hour)),
    ]
    if load is not None:
        sizes = f"{load.prompt_tokens} + {load.generation_tokens} tokens ({load.size_source or load.source})"
        pairs.append(("load", f"{load.requests_per_second} req/s of {sizes}"))
    if plan is not None:
        attained = plan.predicted_attainment_percent
        pairs += [
            ("plan", f"{plan.id}, {plan.state}"),
            ("cost of the plan", f"{_dollars(plan.cost_per_hour)}, at least {_dollars(plan.lower_bound_per_hour)}"),
            ("saving against the best single type", _saved(service)),
            ("planned within the targets", "" if attained is None else f"{attained} %"),
        ]
    pairs += [("attained", _met(service))]
    parts = [facts(pairs)]
    if status.variants:
        rows = [
            (each.name, each.pool, f"{each.gpus_per_replica} x {each.gpu}", str(each.desired), str(each.ready),
             _dollars(each.cost_per_hour), each.provenance)
            for each in status.variants
        ]  # fmt: skip
        headings = ("variant", "pool", "GPUs", "desired", "ready", "cost", "capacity is")
        parts.append(table(headings, rows, texts=("pool", "GPUs", "capacity is")))
    parts += _limits(service)
    parts += [paragraph(f"{each.type} is {each.status}, {each.reason}: {each.message}") for each in _wrong(service)]
    return section(_name(service), *parts)


def _met(service: LLMService) -> str:
    found = next((each for each in service.status.conditions if each.type == "SLOMet"), None)
    return "" if found is None else f"{found.message or found.reason}"


def _wrong(service: LLMService) -> list[Condition]:
    named = set((service.status.problem or "").replace(",", " ").split())
    return [each for each in service.status.conditions if each.reason in named]


def _limits(service: LLMService) -> list[str]:
    plan = service.status.plan
    if plan is None or not plan.limits:
        return []
    rows = [
        (each.kind, each.name, f"{each.used} of {each.limit}", _dollars(each.saves_per_hour or ""))
        for each in plan.limits
    ]
    return [table(("limit that binds", "of", "used", "one more saves"), rows, texts=("of",))]


def _pools(pools: Sequence[GPUPool]) -> str:
    rows = [
        (
            each.metadata.name,
            each.spec.gpu,
            _dollars(each.status.price.per_hour) if each.status.price is not None else "",
            each.status.price.source if each.status.price is not None else "not known",
            _or_endless(each.status.stock_gpus),
            _or_endless(each.status.free_gpus),
            str(each.status.planned_gpus),
        )
        for each in pools
    ]
    headings = ("pool", "GPU", "a GPU costs", "says", "GPUs", "free", "planned")
    return section("Pools", table(headings, rows, texts=("GPU", "says")))


def _or_endless(gpus: int | None) -> str:
    return "no limit" if gpus is None else str(gpus)


def _planned_cost(service: LLMService) -> float:
    return service.status.plan.cost_per_hour_usd if service.status.plan is not None else 0.0


def _saved(service: LLMService) -> str:
    plan = service.status.plan
    return f"{plan.savings_percent} %" if plan is not None and plan.savings_percent is not None else ""


def _dollars(figure: str) -> str:
    return f"${figure}/h" if figure else ""


def _name(service: LLMService) -> str:
    return f"{service.metadata.namespace}/{service.metadata.name}"
