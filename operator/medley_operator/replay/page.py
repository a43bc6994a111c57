"""A replay as one page of HTML without anything from elsewhere: the table, and charts over one time axis. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from medley_operator.replay.charts import MOST_POINTS, Chart, ChartLine, legend, svg
from medley_operator.replay.report import cells, over_clairvoyant, targets_text, with_ratio

_STYLE = """\
body{font:14px/1.5 system-ui,sans-serif;margin:24px auto;max-width:1040px;padding:0 16px;color:#222;background:#fff}
h1{font-size:20px}h2{font-size:15px;margin:18px 0 0}
table{border-collapse:collapse;margin:12px 0}th,td{padding:3px 10px;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child,td:last-child,th:last-child{text-align:left}
svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:#555}.grid{stroke:#e4e4e4}
.legend{margin:2px 0 0 64px;font-size:12px}.legend span{margin-right:14px}
.legend i{display:inline-block;width:10px;height:10px;margin-right:5px}
"""
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
    charts = _charts(report)
    targets = "; ".join(map(targets_text, report["services"]))
    drawn = "".join(
        f"<section><h2>{escape(chart.title)}, {escape(chart.unit)}</h2>{legend(chart)}{svg(chart, end_seconds=end)}"
        "</section>"
        for chart in charts
    )
    head = f"{report['requests']:,} requests in {report['seconds'] / 3600:.2f} h, seed {report['seed']}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>Medley replay</title>'
        f"<style>{_STYLE}</style></head><body><h1>Medley replay</h1><p>{escape(head)}. {escape(targets)}.</p>"
        f"{_table(report['policies'])}{_left_out(report)}{drawn}</body></html>\n"
    )


def _left_out(report: dict[str, Any]) -> str:
    return "".join(f"<p>{escape(each['name'])} is left out: {escape(each['why'])}</p>" for each in report["left_out"])


def _table(policies: Sequence[dict[str, Any]]) -> str:
    filled = (with_ratio(cells(policy), over_clairvoyant(policy)) for policy in policies)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in filled)
    heads = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _charts(report: dict[str, Any]) -> list[Chart]:
    """Load, the mix of each policy that has more than one variant or changes it, cost, attainment and queue."""
    by_policy: dict[str, list[dict[str, Any]]] = {}
    for point in report["timeline"]:
        by_policy.setdefault(point["policy"], []).append(point)
    thinned = {name: points[:: max(len(points) // MOST_POINTS, 1)] for name, points in by_policy.items()}
    if not thinned:
        return []
    first = next(iter(thinned.values()))
    load = Chart("Load", "requests per second", _times(first), (_line("arrivals", first, "arrivals_rps"),))
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


def _line(name: str, points: Sequence[dict[str, Any]], field: str) -> ChartLine:
    return ChartLine(name, tuple(point[field] for point in points))


def _times(points: Sequence[dict[str, Any]]) -> tuple[float, ...]:
    return tuple(point["seconds"] for point in points)
