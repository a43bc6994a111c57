"""A plan as a page: what runs and costs, what else would cost, the sizes it is for, and what would change it. Pure.

Apart: the command writes the file, and only it plans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medley_operator.domain.questions import QuestionAnswer
from medley_operator.pages.document import document, paragraph, section, table
from medley_operator.pages.figures import bar, facts, size_map, what_if
from medley_planner.explain import Explanation, LimitExplanation, ServiceExplanation
from medley_planner.model import Demand
from medley_planner.units import per_hour, req_per_second, unit_price

Report = Mapping[str, Any]


def plan_page(
    report: Report,
    explained: Explanation | None,
    answers: Sequence[QuestionAnswer],
    demands: Mapping[str, Demand],
    notes: Sequence[str] = (),
    *,
    simulated: bool = False,
) -> str:
    """`report` is that of `medley plan`; `explained` None: no service can be planned. `simulated`: capacities are."""
    parts = [_summary(report), *map(paragraph, notes)]
    known = {each.service: each for each in explained.services} if explained is not None else {}
    for service in report["services"]:
        name = service["service"]
        parts += _service(service, known[name], demands[name]) if name in known else [_refused(service)]
    if explained is not None:
        parts += [
            _limits(explained.limits),
            what_if(answers, cost_per_hour=explained.cost_per_hour, simulated=simulated),
        ]
    return document("Medley plan", parts)


def _summary(report: Report) -> str:
    bound = report["lower_bound"]
    return facts(
        [
            ("status", report["status"]),
            ("cost", per_hour(report["cost_per_hour"])),
            ("proven lower bound", "" if bound is None else per_hour(bound)),
            ("gap", f"{report['gap']:.2%}"),
            ("idle parts of nodes", _idle(report)),
        ]
    )


def _idle(report: Report) -> str:
    idle = sum(node["idle_cost_per_hour"] for node in report["nodes"])
    return per_hour(idle) if idle > 0 else ""


def _refused(service: Report) -> str:
    return section(service["service"], paragraph(f"Not planned, {service['reason']}: {service['message']}"))


def _service(service: Report, known: ServiceExplanation, demand: Demand) -> list[str]:
    load, tokens = service["load"], known.cost_per_million_tokens
    attained = service["predicted_attainment_percent"]
    head = facts(
        [
            ("status", service["status"]),
            ("routing", service["routing"]),
            ("load", f"{req_per_second(load['rate'])} of {load['prompt_tokens']} + {load['generation_tokens']} tokens"),
            ("cost", per_hour(service["cost_per_hour"])),
            ("cost of a million tokens", "" if tokens is None else f"${unit_price(tokens)}"),
            ("saving against the best single type", _saving(service)),
            ("within the targets, simulated", "" if attained is None else f"{attained:g} %"),
        ]
    )
    mix = [
        (row["variant"], f"{row['gpus_per_replica']} x {row['gpu']}", str(row["replicas"]), f"{row['share']:.1%}",
         f"{row['load']:.0%}", per_hour(row["cost_per_hour"]), row["provenance"])
        for row in service["mix"]
    ]  # fmt: skip
    headings = ("variant", "GPUs", "replicas", "share of requests", "load", "cost", "capacity is")
    parts = [section(service["service"], head, table(headings, mix, texts=("GPUs", "capacity is")))]
    if known.unmet:
        lost = [(each.reason.value, req_per_second(each.rate_rps), ", ".join(each.limits)) for each in known.unmet]
        parts.append(section("Not served", table(("reason", "requests", "limits"), lost, texts=("limits",))))
    return [*parts, _alternatives(known), section("Sizes of requests", size_map(demand))]


def _saving(service: Report) -> str:
    saved = service["savings_percent"]
    return "" if saved is None else f"{saved:g} %" if saved > 0 else "none"


def _alternatives(known: ServiceExplanation) -> str:
    """The plan beside each fleet of one variant for the same requests, the cheapest first."""
    priced = sorted(
        (each for each in known.singles if each.cost_per_hour is not None), key=lambda each: each.cost_per_hour or 0.0
    )
    plan = known.cost_per_hour
    most = max([plan, *(each.cost_per_hour or 0.0 for each in priced)])
    rows: list[tuple[str, ...]] = [("this plan", bar(plan, most, colour=2), per_hour(plan), "")]
    for each in priced:
        cost = each.cost_per_hour or 0.0
        rows.append((f"{each.replicas} x {each.variant}", bar(cost, most), per_hour(cost), ""))
    rows += [(each.variant, "", "", each.why) for each in known.singles if each.cost_per_hour is None]
    return section("Cost of alternatives", table(("fleet", "bar", "cost", "why not"), rows, texts=("bar", "why not")))


def _limits(limits: Sequence[LimitExplanation]) -> str:
    binding = [each for each in limits if each.binding]
    if not binding:
        return section(
            "Limits that bind", paragraph("None: no shared limit leaves too little room for one more replica.")
        )
    rows = [
        (each.kind.value, each.name, f"{each.used:g} of {each.limit:g}",
         "" if each.price_per_hour is None else per_hour(each.price_per_hour))
        for each in binding
    ]  # fmt: skip
    return section("Limits that bind", table(("limit", "of", "used", "one more saves"), rows, texts=("of",)))
