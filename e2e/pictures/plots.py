"""Plots of one panel each, as SVG within a given area."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from e2e.pictures.collect import Answered, Answers, Series
from e2e.pictures.units import written

COLOURS = ("#2458a6", "#c4442f", "#2f8a4c", "#8a5ab5", "#b07c16", "#1c8c99", "#7a5c4f", "#666666", "#d1659f", "#7f9c1f")
NAMED = {"green": "#2f8a4c", "orange": "#d9822b", "red": "#c4442f"}
BLUE, WHITE = (36, 88, 166), "rgb(255,255,255)"
AXIS, BASE, LEGEND_LINE, CHARACTER = 58, 18, 15, 6.4
MOST_LEGENDS = 8
MOST_STEPS = 5
"""From the lowest to the highest line of a grid."""
WIDE = 400
"""A plot of more pixels has five times below it, others three."""
LEAST = 1e-9
"""Smaller values are errors of floating-point sums. They get no axis."""


@dataclass(frozen=True, slots=True)
class Area:
    x: float
    y: float
    width: float
    height: float


def stat(answered: Answered, board: Answers, area: Area) -> str:
    """The last value in the colour of its threshold, over its course."""
    series = next(each for each in answered.series if each.points)
    defaults = answered.panel["fieldConfig"]["defaults"]
    value = series.points[-1][1]
    colour = NAMED["green"]
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = NAMED[step["color"]]
    low = min(point[1] for point in series.points)
    high = max(point[1] for point in series.points)
    scale = _Scale(board, Area(area.x, area.y + area.height * 0.6, area.width, area.height * 0.4), low, high)
    course = f'<path d="{scale.path(series.points)}" fill="none" stroke="{colour}" opacity="0.5"/>'
    middle, base = area.x + area.width / 2, area.y + area.height * 0.45
    number = f'<text class="number middle" x="{middle:.1f}" y="{base:.1f}" style="fill:{colour}">'
    return f"{course}{number}{escape(written(value, defaults['unit']))}</text>"


def lines(answered: Answered, board: Answers, area: Area) -> str:
    defaults = answered.panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    stacked, steps = custom["stacking"]["mode"] == "normal", custom["lineInterpolation"] == "stepAfter"
    series = sorted((each for each in answered.series if each.points), key=lambda each: each.legend)
    legends, used = _legends(series, area)
    shown = _piled(series) if stacked else series
    values = [value for each in shown for _, value in each.points]
    ticks = _ticks(min(values), max(values))
    plot = Area(area.x + AXIS, area.y, area.width - AXIS - 6, area.height - used - BASE)
    scale = _Scale(board, plot, ticks[0], ticks[-1], steps=steps)
    parts = [scale.grid(ticks, defaults["unit"])]
    for at in reversed(range(len(shown))):
        colour = COLOURS[at % len(COLOURS)]
        path = scale.path(shown[at].points)
        if stacked:
            lower = shown[at - 1].points if at else [(when, 0.0) for when, _ in shown[at].points]
            parts.append(f'<path d="{scale.area(shown[at].points, lower)}" fill="{colour}" opacity="0.35"/>')
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for mark in board.marks:
        x = scale.x(mark)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{plot.y}" y2="{plot.y + plot.height:.1f}"/>')
    return "".join([*parts, legends])


def heat_map(answered: Answered, board: Answers, area: Area) -> str:
    """Requests between each edge and the one before, darker where there are more."""
    unit = answered.panel["options"]["yAxis"]["unit"]
    cumulative = sorted(answered.series, key=lambda each: float(each.labels["le"]))
    at = {each.labels["le"]: dict(each.points) for each in cumulative}
    edges = [each.labels["le"] for each in cumulative]
    times = sorted({when for each in cumulative for when, _ in each.points})
    cells: dict[tuple[int, float], float] = {}
    for row, edge in enumerate(edges):
        for when in times:
            below = at[edges[row - 1]].get(when, 0.0) if row else 0.0
            cells[row, when] = max(at[edge].get(when, 0.0) - below, 0.0)
    most = max(cells.values(), default=0.0) or 1.0
    used = sorted({row for (row, _), value in cells.items() if value > most * 1e-3})
    rows = range(max(used[0] - 1, 0), min(used[-1] + 2, len(edges)))
    plot = Area(area.x + AXIS, area.y, area.width - AXIS - 6, area.height - BASE)
    scale = _Scale(board, plot, 0.0, 1.0)
    high = plot.height / len(rows)
    wide = scale.x(times[1]) - scale.x(times[0]) if len(times) > 1 else plot.width
    parts = [scale.times()]
    for line, row in enumerate(rows):
        y = plot.y + plot.height - (line + 1) * high
        name = "+Inf" if edges[row] == "+Inf" else written(float(edges[row]), unit)
        parts.append(f'<text class="note end" x="{plot.x - 6:.1f}" y="{y + 4:.1f}">{name}</text>')
        shades = [_shade(round((cells[row, when] / most) ** 0.5, 1)) for when in times]
        for begin, length, shade in _runs(shades):
            if shade != WHITE:
                x = scale.x(times[begin])
                place = f'x="{x:.1f}" y="{y:.1f}" width="{wide * length + 0.3:.1f}" height="{high:.1f}"'
                parts.append(f'<rect {place} fill="{shade}"/>')
    return "".join(parts)


def matrix(answered: Answered, board: Answers, area: Area) -> str:
    """Cells of a table by two labels."""
    grouping = answered.panel["transformations"][0]["options"]
    row_name, column_name = grouping["rowField"], grouping["columnField"]
    unit = answered.panel["fieldConfig"]["defaults"]["unit"]
    values = {(each.labels[row_name], each.labels[column_name]): each.points[-1][1] for each in answered.series}
    rows = sorted({row for row, _ in values}, key=float)
    columns = sorted({column for _, column in values}, key=float)
    most = max(values.values()) or 1.0
    wide, high = area.width / (len(columns) + 1), min(area.height / (len(rows) + 1), 40)
    parts = [_cell(area.x, area.y, wide, high, rf"{row_name} \ {column_name}", "note middle")]
    for at, column in enumerate(columns):
        parts.append(_cell(area.x + (at + 1) * wide, area.y, wide, high, column, "name middle"))
    for line, row in enumerate(rows):
        y = area.y + (line + 1) * high
        parts.append(_cell(area.x, y, wide, high, row, "name middle"))
        for at, column in enumerate(columns):
            value = values.get((row, column))
            if value is not None:
                x = area.x + (at + 1) * wide
                fill = _shade(0.7 * value / most)
                parts.append(f'<rect class="cell" x="{x}" y="{y}" width="{wide}" height="{high}" fill="{fill}"/>')
                parts.append(_cell(x, y, wide, high, written(value, unit), "middle"))
    return "".join(parts)


def table(answered: Answered, board: Answers, area: Area) -> str:
    names: list[str] = answered.panel["transformations"][-1]["options"]["include"]["names"]
    wide = area.width / len(names)
    rows: list[Sequence[str]] = [names, *([each.labels.get(name, "") for name in names] for each in answered.series)]
    return "".join(
        _cell(area.x + at * wide, area.y + line * 22, wide, 22, text, "name middle" if line == 0 else "middle")
        for line, row in enumerate(rows)
        for at, text in enumerate(row)
    )


class _Scale:
    def __init__(self, board: Answers, area: Area, low: float, high: float, *, steps: bool = False) -> None:
        self._board, self._area, self._low, self._steps = board, area, low, steps
        self._span = max(high - low, 1e-12)

    def x(self, when: float) -> float:
        share = (when - self._board.start) / max(self._board.end - self._board.start, 1e-9)
        return self._area.x + self._area.width * share

    def y(self, value: float) -> float:
        return self._area.y + self._area.height * (1 - (value - self._low) / self._span)

    def path(self, points: Sequence[tuple[float, float]], *, begin: str = "M") -> str:
        parts: list[str] = []
        for at, (when, value) in enumerate(points):
            if at and self._steps:
                parts.append(f"H{self.x(when):.1f}")
            parts.append(f"{'L' if at else begin}{self.x(when):.1f} {self.y(value):.1f}")
        return "".join(parts)

    def area(self, upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
        back = "".join(f"L{self.x(when):.1f} {self.y(value):.1f}" for when, value in reversed(lower))
        return f"{self.path(upper)}{back}Z"

    def times(self) -> str:
        base = self._area.y + self._area.height
        last = 4 if self._area.width > WIDE else 2
        parts = []
        for at in range(last + 1):
            when = self._board.start + (self._board.end - self._board.start) * at / last
            label = time.strftime("%H:%M:%S", time.gmtime(when))
            end = "end" if at == last else "middle" if at else ""
            parts.append(f'<text class="note {end}" x="{self.x(when):.1f}" y="{base + 14:.1f}">{label}</text>')
        return "".join(parts)

    def grid(self, ticks: Sequence[float], unit: str) -> str:
        parts = [self.times()]
        for value in ticks:
            y = self.y(value)
            right = self._area.x + self._area.width
            parts.append(f'<line class="grid" x1="{self._area.x}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
            label = escape(written(value, unit))
            parts.append(f'<text class="note end" x="{self._area.x - 6:.1f}" y="{y + 4:.1f}">{label}</text>')
        return "".join(parts)


def _piled(series: Sequence[Series]) -> list[Series]:
    """Each on top of those before it, at the times of any."""
    times = sorted({when for each in series for when, _ in each.points})
    total = dict.fromkeys(times, 0.0)
    piled = []
    for each in series:
        values = dict(each.points)
        total = {when: total[when] + values.get(when, 0.0) for when in times}
        piled.append(Series(each.legend, each.labels, sorted(total.items())))
    return piled


def _legends(series: Sequence[Series], area: Area) -> tuple[str, float]:
    """The names of lines at the bottom, and the height that they take."""
    parts: list[str] = []
    x, line = area.x, 0
    placed: list[tuple[float, int, str, str]] = []
    for at, each in enumerate(series[:MOST_LEGENDS]):
        more = (
            f" and {len(series) - MOST_LEGENDS} more" if at == MOST_LEGENDS - 1 and len(series) > MOST_LEGENDS else ""
        )
        name = each.legend + more
        wide = 24 + len(name) * CHARACTER
        if x > area.x and x + wide > area.x + area.width:
            x, line = area.x, line + 1
        placed.append((x, line, name, COLOURS[at % len(COLOURS)]))
        x += wide
    used = (line + 1) * LEGEND_LINE
    for left, row, name, colour in placed:
        y = area.y + area.height - used + (row + 1) * LEGEND_LINE - 4
        parts.append(f'<rect x="{left:.1f}" y="{y - 6:.1f}" width="10" height="4" fill="{colour}"/>')
        parts.append(f'<text class="note" x="{left + 14:.1f}" y="{y:.1f}">{escape(name)}</text>')
    return "".join(parts), used + 6


def _cell(x: float, y: float, wide: float, high: float, text: str, kind: str) -> str:
    at = f'x="{x + wide / 2:.1f}" y="{y + high / 2 + 4:.1f}"'
    return f'<text class="{kind}" {at}>{escape(text)}</text>'


def _runs(values: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """(place of the first, number, value) of equal neighbours."""
    place = 0
    for value, equal in groupby(values):
        length = len(list(equal))
        yield place, length, value
        place += length


def _shade(share: float) -> str:
    parts = (round(255 - (255 - full) * min(share, 1.0)) for full in BLUE)
    return f"rgb({','.join(map(str, parts))})"


def _ticks(least: float, most: float) -> list[float]:
    """Round values at equal distances, from 0 or less to what is shown or more."""
    least, most = (0.0 if abs(value) <= LEAST else value for value in (min(least, 0.0), max(most, 0.0)))
    most = 1.0 if most == least else most
    span = most - least
    size: float = 10.0 ** math.floor(math.log10(span / MOST_STEPS))
    step = next(step * size for step in (1, 2, 2.5, 5, 10) if step * size * MOST_STEPS >= span * 0.999)
    first, last = math.floor(least / step + 1e-3), math.ceil(most / step - 1e-3)
    return [number * step for number in range(first, last + 1)]
