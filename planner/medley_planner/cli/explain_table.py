"""An explanation for people, at most 100 columns wide: the short answer, and the tables behind it on request."""

from __future__ import annotations

from rich.console import Console

from medley_planner.cli.answer import wrapped
from medley_planner.cli.console import omitted_table, report_console, titled_table
from medley_planner.cli.explain_answer import (
    ServiceNotes,
    answer_lines,
    limit_name,
    limit_price,
    relaxation_words,
)
from medley_planner.cli.explain_report import Savings
from medley_planner.explain import Explanation, LimitExplanation, PriceComparison, ServiceExplanation, SingleFleet
from medley_planner.model import Plan
from medley_planner.omitted import OmittedReason
from medley_planner.units import per_hour


def print_explanation(
    explanation: Explanation, planned: Plan, savings: Savings, *, notes: ServiceNotes, why: bool
) -> None:
    """To standard output. With `why` the tables follow the answer."""
    console = report_console()
    for line in wrapped(answer_lines(explanation, planned, savings, notes, why=why), width=console.width):
        console.print(line, soft_wrap=True)
    if why:
        _print_tables(console, explanation)


def _print_tables(console: Console, explanation: Explanation) -> None:
    if explanation.nodes:
        rows = [
            (node.pool, str(node.nodes), f"{node.cost_per_hour:.2f}", f"{node.idle_cost_per_hour:.2f}")
            for node in explanation.nodes
        ]
        console.print(titled_table("Nodes", ("pool", "nodes", "$/h", "idle $/h"), rows))
    if explanation.limits:
        headings = ("limit of", "used", "limit", "binds", "what more of it would save")
        console.print(titled_table("Shared limits", headings, map(_limit_row, explanation.limits)))
    for service in explanation.services:
        _print_service(console, service)
    if explanation.relaxations:
        title = "Changes that would let unserved demand be served, each alone"
        console.print(titled_table(title, ("", "what"), map(relaxation_words, explanation.relaxations)))


def _print_service(console: Console, service: ServiceExplanation) -> None:
    console.print()
    console.print(f"{service.service}:")
    prompt, generated = service.prompt_tokens_per_hour, service.generated_tokens_per_hour
    if prompt is None or generated is None:
        console.print("the cost per token is not known, because there are no token sizes or nothing is served")
    else:
        console.print(
            f"planned {prompt / 1e6:.4g} million prompt and {generated / 1e6:.4g} million generated tokens per hour"
        )
    if service.singles:
        headings = ("variant", "replicas", "$/h", "to the plan", "why not")
        rows = map(_single_row, service.singles)
        console.print(titled_table("One variant alone for the same demand", headings, rows))
    if service.unused or service.excluded:
        planned_with = ((one.omitted, _compared(one)) for one in service.unused)
        console.print(omitted_table([*planned_with, *((one, "") for one in service.excluded)]))
    if service.unmet:
        unmet = ((f"{entry.rate_rps:.4g}", entry.reason.value, ", ".join(entry.limits)) for entry in service.unmet)
        console.print(titled_table("Not served", ("req/s", "reason", "limits"), unmet))


def _limit_row(limit: LimitExplanation) -> tuple[str, ...]:
    binds = "yes" if limit.binding else ""
    return limit_name(limit), f"{limit.used:g}", f"{limit.limit:g}", binds, limit_price(limit)


def _single_row(single: SingleFleet) -> tuple[str, ...]:
    if single.replicas is None or single.cost_per_hour is None:
        return single.variant, "-", "-", "-", single.why
    ratio = f"{single.ratio:.2f} x" if single.ratio is not None else "-"
    return single.variant, str(single.replicas), f"{single.cost_per_hour:.2f}", ratio, ""


def _compared(variant: PriceComparison) -> str:
    """The figures beside the plan's own reason."""
    words = []
    ratio, level = variant.price_ratio, variant.enters_below_per_hour
    # A message of TooLarge holds the figure.
    if ratio is not None and level is not None and variant.omitted.reason is not OmittedReason.TOO_LARGE:
        if ratio > 1:
            instead = f"level at {per_hour(level)} instead of {per_hour(variant.cost_per_hour)}"
            words.append(f"per unit of work {_price_words(ratio)}: {instead}")
        else:
            words.append(f"per request {100 * (1 - ratio):.1f} % cheaper at a higher load")
    if variant.dominated_by is not None:
        words.append(f"{variant.dominated_by} serves at least as much of every size at no higher price")
    return "; ".join(words)


_TIMES = 2.0
"""From this ratio on a factor is easier to read than a percentage."""


def _price_words(ratio: float) -> str:
    return f"{ratio:.3g} times as expensive" if ratio >= _TIMES else f"{100 * (ratio - 1):.1f} % more expensive"
