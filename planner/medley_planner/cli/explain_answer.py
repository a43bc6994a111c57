"""An explanation in short: the answer, what binds and what more of it would save, what to give way, what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from medley_planner.cli.answer import ServiceAnswer, node_line, proof, service_lines
from medley_planner.cli.explain_report import Savings
from medley_planner.explain import (
    ChangeKind,
    CostCause,
    Explanation,
    LimitExplanation,
    PlanChange,
    Relaxation,
    RelaxationKind,
    RelaxationResult,
    ServiceExplanation,
)
from medley_planner.fleet_plan import RoutingSaving
from medley_planner.model import LimitKind, Plan, PriorityShortage, ServicePlan
from medley_planner.omitted import Omitted
from medley_planner.units import money, per_hour, req_per_second

_PROVEN = 1e-4
"""Relative distance to the least below which a plan leaves out the least."""
_MOST_LIMITS = 4
_MOST_RELAXATIONS = 3
_MOST_CHANGES = 8
"""So many are printed in short; --why shows the others."""


@dataclass(frozen=True, slots=True)
class ServiceNotes:
    """Facts about services, by name, that a caller knows beside the problem and the plan; nothing of a bare instance.

    `excluded` were left out before planning. `loads`, `attainments` and `capacities` are phrases for the answer.
    """

    excluded: Mapping[str, Sequence[Omitted]] = field(default_factory=dict)
    loads: Mapping[str, str] = field(default_factory=dict)
    attainments: Mapping[str, str] = field(default_factory=dict)
    capacities: Mapping[str, str] = field(default_factory=dict)


def answer_lines(
    explanation: Explanation, planned: Plan, savings: Savings, notes: ServiceNotes, *, why: bool
) -> list[str]:
    """Lines may be longer than a terminal. With `why` tables follow, and all changes are listed here."""
    plans = {plan.service: plan for plan in planned.services}
    lines: list[str] = []
    for service in explanation.services:
        saving = savings.get(service.service)
        lines.extend(service_lines(_answer(service, plans[service.service], planned.gap, saving, notes), why=why))
        lines.extend(_figures(service))
        lines.extend(_staying(plans[service.service]))
    words = proof(
        cost_per_hour=explanation.cost_per_hour,
        switching_cost_per_hour=explanation.switching_cost_per_hour,
        lower_bound_per_hour=explanation.lower_bound_per_hour,
        gap=explanation.gap,
    )
    lines.append(f"{explanation.status.value}: {words}")
    lines.extend(
        node_line(
            pool=node.pool,
            nodes=node.nodes,
            cost_per_hour=node.cost_per_hour,
            idle_cost_per_hour=node.idle_cost_per_hour,
        )
        for node in explanation.nodes
        if node.nodes > 0
    )
    lines.extend(_shortages(explanation.shortages))
    lines.extend(_binding(explanation.limits))
    if not why:
        lines.extend(_relaxations(explanation.relaxations))
    if explanation.change is not None:
        lines.extend(_changes(explanation.change, most=None if why else _MOST_CHANGES))
    return lines


def _shortages(shortages: Sequence[PriorityShortage]) -> Iterator[str]:
    """Those of which less might have been left out."""
    for one in shortages:
        if one.unserved_rps - one.least_rps > _PROVEN * one.unserved_rps:
            yield (
                f"not served of priority {one.priority.value}: {req_per_second(one.unserved_rps)}; no plan that serves "
                f"as much of higher ones leaves out less than {req_per_second(one.least_rps)}"
            )


def _answer(
    service: ServiceExplanation, plan: ServicePlan, gap: float, saving: RoutingSaving | None, notes: ServiceNotes
) -> ServiceAnswer:
    name = service.service
    return ServiceAnswer(
        service=name,
        status=service.status.value,
        mix=plan.replicas(),
        cost_per_hour=service.cost_per_hour,
        gap=gap,
        rate_rps=service.rate_rps,
        load=notes.loads.get(name, f"{req_per_second(service.rate_rps)}"),
        routing=service.routing.value + (f" ({_routing(saving)})" if saving is not None else ""),
        best_single=plan.best_single,
        unmet=service.unmet,
        omitted=[*(one.omitted.reason for one in service.unused), *(one.reason for one in service.excluded)],
        attainment=notes.attainments.get(name, ""),
        capacities=notes.capacities.get(name, ""),
    )


def _staying(plan: ServicePlan) -> Iterator[str]:
    if plan.cheaper is not None:
        names = [part.variant for part in plan.variants]
        fleet = ", ".join(f"{name} {count}" for name, count in zip(names, plan.cheaper.replicas, strict=True) if count)
        yield (
            f"  stays: {fleet} would save {per_hour(plan.cheaper.saving_per_hour)}, and leaving for it costs "
            f"${money(plan.cheaper.leaving_cost)}; it is left at the latest when staying has cost as much"
        )


def _figures(service: ServiceExplanation) -> Iterator[str]:
    each, generated = service.cost_per_million_tokens, service.cost_per_million_generated_tokens
    if each is not None and generated is not None:
        yield f"  tokens: ${each:.3f} per million, ${generated:.3f} per million generated ones"
    if service.own_limits:
        own = "; ".join(
            f"{limit.field} {limit.limit:g} (the plan has {limit.used:.4g})" for limit in service.own_limits
        )
        yield f"  binds: {own}"


def _routing(saving: RoutingSaving) -> str:
    """The gain of the next better mode."""
    if saving.more_served_rps > 0:
        return f"{saving.next_mode.value} would serve {req_per_second(saving.more_served_rps)} more"
    if saving.saving_per_hour == 0:
        return f"{saving.next_mode.value} would save nothing"
    return f"{saving.next_mode.value} would save {per_hour(saving.saving_per_hour)}"


def _binding(limits: Sequence[LimitExplanation]) -> Iterator[str]:
    """The limits of which more would serve or save most come first."""
    if not limits:
        return
    binding = [limit for limit in limits if limit.binding]
    if not binding:
        yield "no shared limit binds"
    # Places on a pool's nodes mostly end with its GPUs: said once.
    first = {limit.name: limit for limit in reversed(binding) if limit.kind is not LimitKind.POWER}
    said = [limit for limit in binding if limit.kind is LimitKind.POWER or limit is first[limit.name]]
    said.sort(key=lambda limit: (-(limit.step_served_rps or 0.0), -_step_saving(limit)))
    for limit in said[:_MOST_LIMITS]:
        price = limit_price(limit)
        yield f"binds: {limit_name(limit)}, {limit.used:g} of {limit.limit:g}" + (f"; {price}" if price else "")
    if len(said) > _MOST_LIMITS:
        yield f"{len(said) - _MOST_LIMITS} more limits bind; --why shows them"


def _step_saving(limit: LimitExplanation) -> float:
    if limit.step_saving_per_hour is not None:
        return limit.step_saving_per_hour
    return (limit.price_per_hour or 0.0) * limit.step


_UNITS = {"Stock": "GPU", "Slots": "place", "Power": "W", "QuotaGpus": "quota GPU", "QuotaCost": "$/h"}
_AS_THEY_ARE = ("W", "$/h")
"""Units without a plural."""


def _unit(limit: LimitExplanation) -> str:
    return f"{limit.size}-GPU place" if limit.kind.value == "Slots" else _UNITS[limit.kind.value]


def limit_name(limit: LimitExplanation) -> str:
    unit = _unit(limit)
    return f"{limit.name} ({unit if unit in _AS_THEY_ARE else f'{unit}s'})"


def limit_price(limit: LimitExplanation) -> str:
    """The saving, or the demand served, of more of a limit; "" where nothing."""
    unit = _unit(limit)
    if limit.price_per_hour is not None:
        return f"${limit.price_per_hour:.4g}/h for one more {unit} (in the relaxation)" if limit.price_per_hour else ""
    step = f"{limit.step:g} more {unit}{'s' * (limit.step != 1 and unit not in _AS_THEY_ARE)}"
    if limit.step_served_rps:
        return f"{step}: {req_per_second(limit.step_served_rps)} more are served (planned again)"
    if limit.step_saving_per_hour is not None:
        saving = f"{per_hour(limit.step_saving_per_hour)}" if limit.step_saving_per_hour > 0 else "nothing"
        return f"{step}: {saving} (planned again)"
    return "not determined within the time limit" if limit.binding else ""


_VERDICTS = {
    RelaxationResult.SERVES_ALL: "serves all",
    RelaxationResult.NOT_ENOUGH: "not enough",
    RelaxationResult.NOT_TRIED: "not tried",
}


def relaxation_words(entry: Relaxation) -> tuple[str, str]:
    """Whether giving way would do, and what to give way."""
    verdict = "cannot be tried" if entry.kind is RelaxationKind.LATENCY_TARGET else _VERDICTS[entry.outcome]
    named = entry.name in entry.message
    return verdict, entry.message if named else f"{entry.kind.value} of {entry.name}: {entry.message}"


def _relaxations(relaxations: Sequence[Relaxation]) -> Iterator[str]:
    """The best come first."""
    for entry in relaxations[:_MOST_RELAXATIONS]:
        verdict, words = relaxation_words(entry)
        yield f"to serve all: {words}" if verdict == "serves all" else f"to serve more ({verdict}): {words}"
    more = len(relaxations) - _MOST_RELAXATIONS
    if more > 0:
        yield f"{more} more limits could be relaxed; --why shows them"


def _changes(change: PlanChange, *, most: int | None) -> Iterator[str]:
    """At most `most` of the differences; None: all of them."""
    before, after = change.cost_before_per_hour, change.cost_after_per_hour
    causes = f": {', '.join(map(_cause, change.causes))}" if change.causes else ""
    yield f"Against the last plan: {per_hour(before)} -> {per_hour(after)} ({after - before:+.2f}){causes}"
    services: dict[str, list[str]] = {}
    for entry in change.replicas:
        services.setdefault(entry.service, []).append(f"{entry.variant} {entry.before} -> {entry.after}")
    for service, replicas in services.items():
        yield f"  {service}: {', '.join(replicas)}"
    if not services:
        yield "  the replicas are the same"
    for difference in change.why[:most]:
        yield f"  - {difference.message}"
    if most is not None and len(change.why) > most:
        yield f"  - and {len(change.why) - most} more; --why shows them"


def _cause(cause: CostCause) -> str:
    name = "the rest" if cause.kind is ChangeKind.REST else cause.kind.value.lower()
    return f"{name} {cause.difference_per_hour:+.2f}"
