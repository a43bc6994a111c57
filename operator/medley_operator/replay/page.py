"""A replay as one page of HTML without anything from elsewhere: the table, and charts over one time axis. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medley_operator.pages.charts import MOST_POINTS, Chart, ChartLine, legend, svg
from medley_operator.pages.document import document, paragraph, section, table
from medley_operator.replay.report import cells, energy_cells, over_clairvoyant, targets_text, with_ratio

_HEADINGS = (
    "policy",
    "cost",
    "over clairvoyant",
    "attained",
    "worst hour",
    "mean replicas",
    "changes",
    "not served",
    "energy, kWh",
    "kWh per million tokens",
    "note",
)


def page(report: dict[str, Any]) -> str:
    """The page of a report as `report.summarise` makes it."""
    end = max((point["seconds"] for point in report["timeline"]), default=0.0)
    head = f"{report['requests']:,} requests in {report['seconds'] / 3600:.2f} h, seed {report['seed']}"
    targets = "; ".join(map(targets_text, report["services"]))
    rows = [_row(policy) for policy in report["policies"]]
    drawn = [
        section(f"{chart.title}, {chart.unit}", legend(chart), svg(chart, end_seconds=end)) for chart in _charts(report)
    ]
    left_out = [paragraph(f"{each['name']} is left out: {each['why']}") for each in report["left_out"]]
    return document(
        "Medley replay",
        [paragraph(f"{head}. {targets}."), table(_HEADINGS, rows, texts=("note",)), *left_out, *drawn],
    )


def _row(policy: dict[str, Any]) -> tuple[str, ...]:
    *figures, note = with_ratio(cells(policy), over_clairvoyant(policy))
    return (*figures, *energy_cells(policy), note)


def _charts(report: dict[str, Any]) -> list[Chart]:
    """Load, the mix of each policy that has more than one variant or changes it, cost, attainment and queue."""
    by_policy: dict[str, list[dict[str, Any]]] = {}
    for point in report["timeline"]:
        by_policy.setdefault(point["policy"], []).append(point)
    thinned = {name: points[:: max(len(points) // MOST_POINTS, 1)] for name, points in by_policy.items()}
    if not thinned:
        return []
    first = next(iter(thinned.values()))
    # A minute that begins when the load ends has no arrivals, and would draw a fall that there was not.
    rates = tuple(point["arrivals_rps"] if point["seconds"] < report["seconds"] else None for point in first)
    load = Chart("Load", "requests per second", _times(first), (ChartLine("arrivals", rates),))
    mixes = [_mix(name, points) for name, points in thinned.items()]
    shared = [
        _of_all("Cost", "US dollars per hour", thinned, "cost_per_hour"),
        _of_all("Attainment by minute", "percent", thinned, "attainment_percent", highest=100.0),
        _of_all("Requests that wait or run", "requests", thinned, "unfinished"),
    ]
    return [load, *mixes, *shared]


def _mix(name: str, points: Sequence[dict[str, Any]]) -> Chart:
    variants = sorted({variant for point in points for variant in point["replicas"]})
    lines = tuple(
        ChartLine(variant, tuple(float(point["replicas"].get(variant, 0)) for point in points)) for variant in variants
    )
    return Chart(f"Mix of {name}", "replicas", _times(points), lines, stacked=True)


def _of_all(
    title: str,
    unit: str,
    points: dict[str, list[dict[str, Any]]],
    field: str,
    *,
    highest: float | None = None,
) -> Chart:
    """One line for each policy; those that ended sooner have nothing at the end."""
    longest = max(points.values(), key=len)
    times = _times(longest)
    lines = []
    for name, each in points.items():
        known = {point["seconds"]: point[field] for point in each}
        lines.append(ChartLine(name, tuple(known.get(time) for time in times)))
    return Chart(title, unit, times, tuple(lines), highest=highest)


def _times(points: Sequence[dict[str, Any]]) -> tuple[float, ...]:
    return tuple(point["seconds"] for point in points)
