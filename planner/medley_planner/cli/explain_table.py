"""An explanation as tables for people, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from medley_planner.cli.explain_report import Savings
from medley_planner.explain import (
    ChangeKind,
    CostCause,
    Explanation,
    LimitExplanation,
    PlanChange,
    PriceComparison,
    RelaxationKind,
    RelaxationResult,
    ServiceExplanation,
    SingleFleet,
)
from medley_planner.fleet_plan import RoutingSaving

_WIDTH = 100
_NUMBERS = frozenset(
    {"replicas", "$/h", "to the plan", "used", "limit", "nodes", "idle $/h", "req/s", "before", "after"}
)
_WHOLE = ("variant", "limit of", "pool", "reason")
"""Short columns that are read as a whole; what is long beside them is folded."""


def print_explanation(explanation: Explanation, savings: Savings) -> None:
    """To standard output."""
    # Names are the user's own and may hold brackets, which must not be read as markup.
    console = Console(markup=False, highlight=False)
    if not console.is_terminal or console.width > _WIDTH:
        console = Console(markup=False, highlight=False, width=_WIDTH)
    switching = explanation.switching_cost_per_hour
    weighed = f", with ${switching:.2f}/h that starting replicas is weighed as" if switching > 0 else ""
    console.print(
        f"{explanation.status.value}: ${explanation.cost_per_hour:.2f}/h{weighed}; no plan costs less than "
        f"${explanation.lower_bound_per_hour:.2f}/h{' with it' if weighed else ''} (gap {explanation.gap:.2%})"
    )
    if explanation.nodes:
        rows = [
            (node.pool, str(node.nodes), f"{node.cost_per_hour:.2f}", f"{node.idle_cost_per_hour:.2f}")
            for node in explanation.nodes
        ]
        console.print(_table("Nodes", ("pool", "nodes", "$/h", "idle $/h"), rows))
    if explanation.limits:
        headings = ("limit of", "used", "limit", "binds", "what more of it would save")
        console.print(_table("Limits that are shared", headings, map(_limit_row, explanation.limits)))
    for service in explanation.services:
        _print_service(console, service, savings.get(service.service))
    if explanation.relaxations:
        _print_relaxations(console, explanation)
    if explanation.change is not None:
        _print_change(console, explanation.change)


def _print_service(console: Console, service: ServiceExplanation, saving: RoutingSaving | None) -> None:
    console.print()
    console.print(
        f"{service.service}: {service.status.value}, {service.served_rps:.4g} of {service.rate_rps:.4g} requests/s, "
        f"routing {service.routing.value}"
    )
    console.print(_cost(service))
    if service.switching_cost_per_hour > 0:
        console.print(f"starting new replicas is weighed as ${service.switching_cost_per_hour:.2f}/h more")
    for limit in service.own_limits:
        console.print(f"binds: {limit.field} {limit.limit:g}, the plan has {limit.used:.4g}")
    if saving is not None:
        console.print(_routing(saving))
    if service.singles:
        headings = ("variant", "replicas", "$/h", "to the plan", "why not")
        console.print(_table("One variant alone for the same demand", headings, map(_single_row, service.singles)))
    if service.unused:
        console.print(_table("Unused", ("variant", "reason", "why"), map(_unused_row, service.unused)))
    if service.excluded:
        rows = ((entry.variant, entry.reason, entry.message) for entry in service.excluded)
        console.print(_table("Ruled out before planning", ("variant", "reason", "why"), rows))
    if service.unmet:
        unmet = ((f"{entry.rate_rps:.4g}", entry.reason.value, ", ".join(entry.limits)) for entry in service.unmet)
        console.print(_table("Not served", ("req/s", "reason", "limits"), unmet))


def _cost(service: ServiceExplanation) -> str:
    cost = f"cost ${service.cost_per_hour:.2f}/h"
    prompt, generated = service.prompt_tokens_per_hour, service.generated_tokens_per_hour
    each, each_generated = service.cost_per_million_tokens, service.cost_per_million_generated_tokens
    if prompt is None or generated is None or each is None or each_generated is None:
        return f"{cost}; per token it is not known, as no token sizes are given or nothing is served"
    return (
        f"{cost}: ${each:.3f} per million tokens, ${each_generated:.3f} per million generated ones\n"
        f"planned {prompt / 1e6:.4g} million prompt and {generated / 1e6:.4g} million generated tokens per hour"
    )


def _routing(saving: RoutingSaving) -> str:
    routing = f"routing by {saving.next_mode.value}"
    if saving.more_served_rps > 0:
        return f"{routing} would serve {saving.more_served_rps:.4g} requests/s more"
    if saving.saving_per_hour == 0:
        return f"{routing} would save nothing"
    return f"{routing} would save ${saving.saving_per_hour:.2f}/h"


_UNITS = {"Stock": "GPU", "Slots": "place", "Power": "W"}


def _limit_row(limit: LimitExplanation) -> tuple[str, ...]:
    unit = f"{limit.size}-GPU place" if limit.kind.value == "Slots" else _UNITS[limit.kind.value]
    kind = f"{unit}s" if unit != "W" else unit
    return (
        f"{limit.name} ({kind})",
        f"{limit.used:g}",
        f"{limit.limit:g}",
        "yes" if limit.binding else "",
        _price(limit, unit),
    )


def _price(limit: LimitExplanation, unit: str) -> str:
    if limit.price_per_hour is not None:
        return f"${limit.price_per_hour:.4g}/h for one more {unit} (in the relaxation)" if limit.price_per_hour else ""
    step = f"{limit.step:g} more {unit}{'s' * (limit.step != 1 and unit != 'W')}"
    if limit.step_served_rps:
        return f"{step}: {limit.step_served_rps:.4g} requests/s more are served (planned again)"
    if limit.step_saving_per_hour is not None:
        saving = f"${limit.step_saving_per_hour:.2f}/h" if limit.step_saving_per_hour > 0 else "nothing"
        return f"{step}: {saving} (planned again)"
    return "not found out in the time given" if limit.binding else ""


def _single_row(single: SingleFleet) -> tuple[str, ...]:
    if single.replicas is None or single.cost_per_hour is None:
        return single.variant, "-", "-", "-", single.why
    ratio = f"{single.ratio:.2f} x" if single.ratio is not None else "-"
    return single.variant, str(single.replicas), f"{single.cost_per_hour:.2f}", ratio, ""


def _unused_row(variant: PriceComparison) -> tuple[str, ...]:
    words = [variant.omitted.message]
    ratio, level = variant.price_ratio, variant.enters_below_per_hour
    if ratio is not None and level is not None:
        if ratio > 1:
            words.append(
                f"per unit of work {_dearer(ratio)}: level at ${level:.2f}/h instead of ${variant.cost_per_hour:.2f}/h"
            )
        else:
            words.append(f"per unit of work {1 - ratio:.1%} cheaper, so its price is not the reason")
    if variant.dominated_by is not None:
        words.append(f"{variant.dominated_by} serves at least as much of every size for no more")
    return variant.omitted.variant, variant.omitted.reason, "; ".join(words)


_TIMES = 2.0
"""From this ratio on a factor is easier to read than a percentage."""


def _dearer(ratio: float) -> str:
    return f"{ratio:.3g} times as dear" if ratio >= _TIMES else f"{ratio - 1:.1%} dearer"


def _print_relaxations(console: Console, explanation: Explanation) -> None:
    console.print()
    verdicts = {
        RelaxationResult.SERVES_ALL: "serves all",
        RelaxationResult.NOT_ENOUGH: "not enough",
        RelaxationResult.NOT_TRIED: "not tried",
    }
    rows = []
    for entry in explanation.relaxations:
        verdict = "cannot be tried" if entry.kind is RelaxationKind.LATENCY_TARGET else verdicts[entry.outcome]
        named = entry.name in entry.message
        rows.append((verdict, entry.message if named else f"{entry.kind.value} of {entry.name}: {entry.message}"))
    console.print(_table("What to give way for the demand that is not served, each alone", ("", "what"), rows))


def _print_change(console: Console, change: PlanChange) -> None:
    console.print()
    before, after = change.cost_before_per_hour, change.cost_after_per_hour
    console.print(f"Against the last plan: ${before:.2f}/h -> ${after:.2f}/h ({after - before:+.2f})")
    if change.causes:
        console.print("of which " + ", ".join(map(_cause, change.causes)))
    if change.replicas:
        headings = ("service", "variant", "before", "after")
        rows = ((entry.service, entry.variant, str(entry.before), str(entry.after)) for entry in change.replicas)
        console.print(_table("Replicas", headings, rows))
    else:
        console.print("the replicas are the same")
    for entry in change.why:
        console.print(f"- {entry.message}")


def _cause(cause: CostCause) -> str:
    name = "the rest" if cause.kind is ChangeKind.REST else cause.kind.value.lower()
    return f"{name} {cause.difference_per_hour:+.2f}"


def _table(title: str, headings: Sequence[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(
            heading,
            overflow="fold",
            justify="right" if heading in _NUMBERS else "left",
            min_width=min(16, len(heading)) if heading in _WHOLE else None,
        )
    for row in rows:
        table.add_row(*row)
    return table
