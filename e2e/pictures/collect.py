"""The answers of a Prometheus to every query of a dashboard, over a time, panel by panel."""

from __future__ import annotations

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.dashboard import filled_in

POINTS = 120


@dataclass(frozen=True, slots=True)
class Series:
    """`points`: (Unix time, value); a gap is left out."""

    legend: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Answered:
    """A panel as the dashboard's JSON has it, and the series of each of its queries."""

    panel: Mapping[str, Any]
    series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class Answers:
    """A dashboard from `start` to `end`, Unix times; `marks`: those of its annotations."""

    name: str
    title: str
    start: float
    end: float
    panels: Sequence[Answered]
    marks: Sequence[float] = field(default=())


def answers(board: Mapping[str, Any], prometheus_url: str, *, start: float, end: float) -> Answers:
    """Instant queries are asked at `end`."""
    found = []
    for panel in board["panels"]:
        series: list[Series] = []
        for target in panel.get("targets", []):
            begin = end if target["instant"] else start
            found_now = _asked(prometheus_url, filled_in(target["expr"]), start=begin, end=end)
            series += [_series(raw, target["legendFormat"]) for raw in found_now]
        found.append(Answered(panel, series))
    marks: set[float] = set()
    for annotation in board["annotations"]["list"]:
        for raw in _asked(prometheus_url, filled_in(annotation["target"]["expr"]), start=start, end=end):
            marks |= {value / 1000.0 for _, value in _series(raw, "").points}
    name = board["uid"].removeprefix("medley-")
    return Answers(name, board["title"], start, end, found, sorted(at for at in marks if start <= at <= end))


def _asked(url: str, expression: str, *, start: float, end: float) -> list[dict[str, Any]]:
    form = {"query": expression, "start": start, "end": end, "step": max((end - start) / POINTS, 1.0)}
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{urllib.parse.urlencode(form)}", timeout=30) as answer:
        result: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
    return result


def _series(raw: Mapping[str, Any], legend: str) -> Series:
    labels: dict[str, str] = raw["metric"]
    points = [(float(at), float(value)) for at, value in raw["values"]]
    if legend == "__auto":
        legend = ", ".join(labels.values())
    named = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)
    return Series(named.strip(), labels, [(at, value) for at, value in points if math.isfinite(value)])
