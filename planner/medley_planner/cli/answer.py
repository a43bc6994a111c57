"""The short answer of `medley plan` and `medley explain`: a few lines for each service, one for the fleet. Pure texts.

Both commands word a plan here, so that they cannot say two things of one plan.
"""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medley_planner.omitted import OmittedReason
from medley_planner.units import per_hour, req_per_second

if TYPE_CHECKING:
    from medley_planner.explain import UnmetDemand
    from medley_planner.model import SingleType

_SHOWN_PERCENT = 0.05
"""Savings below it would print as 0.0 %."""


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """One planned service. `mix`: replicas by variant. `attainment` and `capacities` are "" where nothing is known."""

    service: str
    status: str
    mix: Mapping[str, int]
    cost_per_hour: float
    gap: float
    rate_rps: float
    load: str
    routing: str
    best_single: SingleType | None
    unmet: Sequence[UnmetDemand]
    omitted: Sequence[OmittedReason]
    attainment: str = ""
    capacities: str = ""


def service_lines(answer: ServiceAnswer, *, why: bool) -> list[str]:
    """Lines of the answer: first the plan and its cost, then its details. With `why` tables follow."""
    lines = [
        f"{answer.service}: {_mix(answer.mix)}, {per_hour(answer.cost_per_hour)}, gap {percent(answer.gap)} "
        f"({answer.status})",
        *([f"  NOT SERVED: {_unmet(answer)}"] if answer.unmet else []),
        f"  load: {answer.load}, routing {answer.routing}",
        f"  savings: {_savings(answer)}",
        *([f"  attainment: {answer.attainment}"] if answer.attainment else []),
        *([f"  capacities: {answer.capacities}"] if answer.capacities else []),
    ]
    if answer.omitted:
        lines.append(f"  not used: {_omitted(answer.omitted)}{'' if why else '; --why shows each'}")
    return lines


def proof(*, cost_per_hour: float, switching_cost_per_hour: float, lower_bound_per_hour: float, gap: float) -> str:
    """A plan's cost and how far it is proven. The bound is on cost and switching cost together, as a plan has it."""
    if switching_cost_per_hour <= 0:
        bound = f"; the proven bound is {per_hour(lower_bound_per_hour)}"
    else:
        bound = (
            f". Comparing plans also charges {per_hour(switching_cost_per_hour)} for new replicas (never billed); the "
            f"proven bound with it is {per_hour(lower_bound_per_hour)}"
        )
    return f"{per_hour(cost_per_hour)}{bound} (gap {percent(gap)})"


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def node_line(*, pool: str, nodes: int, cost_per_hour: float, idle_cost_per_hour: float) -> str:
    """Whole nodes are bought by the fleet; their idle part is the cost of no service."""
    return (
        f"pool {pool}: {nodes} whole node{'s' * (nodes != 1)}, {per_hour(cost_per_hour)}, of which "
        f"{per_hour(idle_cost_per_hour)} is idle"
    )


def wrapped(lines: Iterable[str], *, width: int) -> list[str]:
    """Lines that fit, what is over indented below; names stay whole."""
    result: list[str] = []
    for line in lines:
        margin = " " * (len(line) - len(line.lstrip()))
        wrapper = textwrap.TextWrapper(
            width=max(width, 20),
            initial_indent=margin,
            subsequent_indent=margin + "    ",
            break_on_hyphens=False,
            break_long_words=False,
        )
        # A figure and its percent sign stay together.
        kept = line.strip().replace(" %", "\N{NO-BREAK SPACE}%")
        result.extend(part.replace("\N{NO-BREAK SPACE}", " ") for part in wrapper.wrap(kept))
    return result


def _mix(mix: Mapping[str, int]) -> str:
    return " + ".join(f"{count} x {variant}" for variant, count in mix.items() if count > 0) or "no replicas"


def _unmet(answer: ServiceAnswer) -> str:
    """All sizes together, by reason."""
    rates: dict[str, list[float]] = {}
    limits: dict[str, dict[str, None]] = {}
    for part in answer.unmet:
        rates.setdefault(part.reason.value, []).append(part.rate_rps)
        limits.setdefault(part.reason.value, {}).update(dict.fromkeys(part.limits))
    each = [
        f"{math.fsum(parts):.4g} {reason}" + (f" of {', '.join(limits[reason])}" if limits[reason] else "")
        for reason, parts in rates.items()
    ]
    total = math.fsum(part.rate_rps for part in answer.unmet)
    return f"{total:.4g} of {req_per_second(answer.rate_rps)} ({'; '.join(each)})"


def _savings(answer: ServiceAnswer) -> str:
    single = answer.best_single
    if single is None:
        return "not known, as no single GPU type serves what the plan serves"
    alone = f"{single.replicas} x {single.variant} at {per_hour(single.cost_per_hour)}"
    saved = 100 * (1 - answer.cost_per_hour / single.cost_per_hour) if single.cost_per_hour > 0 else 0.0
    if saved >= _SHOWN_PERCENT:
        return f"{saved:.1f} % against the best single GPU type, {alone}"
    if {variant: count for variant, count in answer.mix.items() if count > 0} == {single.variant: single.replicas}:
        return "none: a single GPU type is the cheapest here"
    return f"none against the best single GPU type, {alone}"


def _omitted(reasons: Sequence[OmittedReason]) -> str:
    counts = Counter(reasons).most_common()
    number = len(reasons)
    each = ", ".join(reason.counted(count) for reason, count in counts)
    return f"{number} variant{'s' * (number != 1)} ({each})"
