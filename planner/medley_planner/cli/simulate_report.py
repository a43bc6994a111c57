"""The results of `medley simulate` as plain values and as tables: by GPU type and over all requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from medley_planner.capacity import LatencyTargets
from medley_planner.engine import Percentiles, Routing, SimulationResult
from medley_planner.model import RoutingMode
from medley_planner.units import req_per_second

if TYPE_CHECKING:
    from medley_planner.cli.simulate_fleet import Group


@dataclass(frozen=True, slots=True)
class ServedTrace:
    """A trace that was served. `prices`: US dollars per GPU-hour by group."""

    groups: Sequence[Group]
    mode: RoutingMode
    routing: Routing
    targets: LatencyTargets
    outcome: SimulationResult
    prices: Mapping[str, float]


def summarise(served: ServedTrace) -> dict[str, Any]:
    """The object that `-o json` prints: seconds, requests per second, US dollars per hour; null where there is none.

    `utilisation`: share of the time, from first arrival to last token, in which a replica had a step under way.
    """
    outcome, targets = served.outcome, served.targets
    arrivals = outcome.trace.arrival_seconds
    span = float(arrivals[-1] - arrivals[0])
    costs = [_cost(served, group) for group in served.groups]
    cost = sum(each for each in costs if each is not None) if None not in costs else None
    tokens = int(outcome.trace.prompt_tokens.sum() + outcome.trace.generation_tokens.sum())
    hours = outcome.span_seconds / 3600.0
    return {
        "model": served.groups[0].replica.shape.name,
        "precision": served.groups[0].replica.layout.precision.value,
        "max_model_len": served.groups[0].replica.max_model_len,
        "routing": served.mode.value,
        "balance": served.routing.balance.value,
        "router": _router(served),
        "targets": {
            "ttft_seconds": targets.ttft_seconds,
            "tpot_seconds": targets.tpot_seconds,
            "percentile": targets.percentile,
        },
        "requests": len(outcome.trace),
        "rate_rps": len(outcome.trace) / span if span > 0 else None,
        "attainment_percent": _percent(_attainment(outcome, targets)),
        "attained": _attainment(outcome, targets) >= targets.share,
        **_latencies(outcome),
        "groups": [_group(served, index, each) for index, each in enumerate(costs)],
        "cost_per_hour": cost,
        "cost_per_million_tokens": cost * hours / tokens * 1e6 if cost is not None else None,
        "provenance": "estimated",
    }


def _group(served: ServedTrace, index: int, cost: float | None) -> dict[str, Any]:
    group = served.groups[index]
    mine = served.outcome.only(served.outcome.group == index)
    usage = [each for each in served.outcome.usage if each.group == index]
    span = served.outcome.span_seconds
    busy = [each.busy_seconds / span if span > 0 else 0.0 for each in usage]
    return {
        "name": group.name,
        "gpu": group.replica.layout.gpu.name,
        "gpus": group.replica.layout.gpus,
        "tensor_parallel": group.replica.layout.tensor_parallel,
        "replicas": group.count,
        "requests": len(mine.trace),
        "share": len(mine.trace) / len(served.outcome.trace),
        "attainment_percent": _percent(_attainment(mine, served.targets)),
        **_latencies(mine),
        "utilisation": sum(busy) / len(busy),
        "preemptions": sum(each.preemptions for each in usage),
        "cost_per_hour": cost,
    }


def _router(served: ServedTrace) -> list[dict[str, Any]]:
    """Shares of 1 by prompt length; nothing where any replica is a candidate for any request."""
    return [
        {
            "up_to_prompt_tokens": _plain(each.up_to_tokens),
            "shares": {
                group.name: round(weight / sum(each.weights), 4)
                for group, weight in zip(served.groups, each.weights, strict=True)
            },
        }
        for each in served.routing.ranges
    ]


def _cost(served: ServedTrace, group: Group) -> float | None:
    price = served.prices.get(group.name)
    return price * group.count * group.replica.layout.gpus if price is not None else None


def _attainment(outcome: SimulationResult, targets: LatencyTargets) -> float:
    return outcome.attainment(ttft_seconds=targets.ttft_seconds, tpot_seconds=targets.tpot_seconds)


def _latencies(outcome: SimulationResult) -> dict[str, Any]:
    found = {"ttft_seconds": outcome.ttft(), "tpot_seconds": outcome.tpot(), "e2e_seconds": outcome.e2e()}
    return {name: _percentiles(each) for name, each in found.items()}


def _percentiles(values: Percentiles) -> dict[str, float | None]:
    return {part.name: _plain(getattr(values, part.name)) for part in fields(values)}


def _percent(share: float) -> float | None:
    """Downwards to hundredths, so that no miss reads as a hit."""
    return None if math.isnan(share) else math.floor(share * 1e4 + 1e-9) / 100.0


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def print_table(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)  # names are the user's own and may hold brackets
    targets = report["targets"]
    rate = f", {req_per_second(report['rate_rps'])}" if report["rate_rps"] is not None else ""
    title = (
        f"{report['model']} in {report['precision']}: {report['requests']} requests{rate}, routing {report['routing']} "
        f"({report['balance']})"
    )
    table = Table(title=title, title_justify="left")
    for heading in ("", "replicas", "requests", "within %", "utilised", "preempted", "$/h"):
        table.add_column(heading, justify="left" if not heading else "right")
    times = Table(title="p50 / p95 / p99", title_justify="left")
    for heading in ("", "TTFT s", "TPOT ms", "E2E s"):
        times.add_column(heading, justify="left" if not heading else "right")
    for group in report["groups"]:
        gpus = group["gpus"]
        name = group["gpu"] if gpus == 1 else f"{gpus} x {group['gpu']}"
        utilised, preempted = f"{group['utilisation']:.0%}", str(group["preemptions"])
        table.add_row(name, str(group["replicas"]), *_cells(group, utilised, preempted))
        times.add_row(name, *_times(group))
    table.add_section()
    times.add_section()
    table.add_row("all", str(sum(group["replicas"] for group in report["groups"])), *_cells(report, "", ""))
    times.add_row("all", *_times(report))
    console.print(table)
    console.print(times)
    met = "met" if report["attained"] else "MISSED"
    console.print(
        f"targets: TTFT {targets['ttft_seconds']:g} s, TPOT {1e3 * targets['tpot_seconds']:g} ms for "
        f"{targets['percentile']:g} % of requests: {met} with {report['attainment_percent']:.2f} %",
        soft_wrap=True,
    )
    for line in _routes(report):
        console.print(line, soft_wrap=True)
    for group in report["groups"]:
        if group["requests"] == 0:
            console.print(
                f"{group['name']} gets no requests: it cannot serve every size that it would receive within the "
                "targets, or its weight is 0",
                soft_wrap=True,
            )
    if report["cost_per_million_tokens"] is not None:
        console.print(f"${report['cost_per_million_tokens']:.4f} per million tokens, prompt and generated")
    console.print("engines run at data-sheet speed; `medley estimate` shows the usual error", soft_wrap=True)


def _routes(report: dict[str, Any]) -> list[str]:
    """One line for each row of prompt ranges that are routed alike."""
    lines: list[str] = []
    ranges = report["router"]
    for index, each in enumerate(ranges):
        if index + 1 < len(ranges) and ranges[index + 1]["shares"] == each["shares"]:
            continue
        shares = ", ".join(f"{name} {share:.1%}" for name, share in each["shares"].items())
        bound = each["up_to_prompt_tokens"]
        lines.append(f"routed{'' if bound is None else f' up to {bound:g} prompt tokens'}: {shares}")
    return lines


def _cells(part: dict[str, Any], utilised: str, preempted: str) -> list[str]:
    within, cost = part["attainment_percent"], part["cost_per_hour"]
    return [
        str(part["requests"]),
        "-" if within is None else f"{within:.2f}",
        utilised,
        preempted,
        "-" if cost is None else f"{cost:.2f}",
    ]


def _times(part: dict[str, Any]) -> list[str]:
    scales = {"ttft_seconds": (1.0, ".2f"), "tpot_seconds": (1e3, ".1f"), "e2e_seconds": (1.0, ".1f")}
    return [
        " / ".join("-" if part[name][p] is None else f"{scale * part[name][p]:{form}}" for p in ("p50", "p95", "p99"))
        for name, (scale, form) in scales.items()
    ]
