"""Charts as SVG over one time axis: lines, steps and stacked areas from points that are already there. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 1000, 150
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 22
MOST_POINTS = 600
COLOURS = ("#2458a6", "#c4442f", "#2f8a4c", "#8a5ab5", "#b07c16", "#1c8c99", "#7a5c4f", "#666666")
_MOST_MARKS = 5
_STEPS_SECONDS = (60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)


@dataclass(frozen=True, slots=True)
class ChartLine:
    """`values` by point of the chart's times; None: there is nothing to show."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """`stacked`: lines are areas on top of each other. `lowest` and `highest` None: from the values, and from 0."""

    title: str
    unit: str
    times: tuple[float, ...]
    lines: tuple[ChartLine, ...]
    stacked: bool = False
    lowest: float = 0.0
    highest: float | None = None


def svg(chart: Chart, *, end_seconds: float) -> str:
    """The chart from 0 to `end_seconds`, which all charts of a page have alike."""
    drawn = _stacked(chart.lines) if chart.stacked else chart.lines
    shown = [value for line in drawn for value in line.values if value is not None]
    step, high = _scale(chart.lowest, chart.highest if chart.highest is not None else max(shown, default=1.0))
    frame = _Frame(max(end_seconds, 1.0), chart.lowest, high, step)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(chart.title)}">',
        *frame.grid(),
    ]
    for at in reversed(range(len(drawn))) if chart.stacked else range(len(drawn)):
        colour = COLOURS[at % len(COLOURS)]
        parts.append(
            frame.area(chart.times, drawn[at], colour) if chart.stacked else frame.line(chart.times, drawn[at], colour)
        )
    return "".join([*parts, "</svg>"])


def legend(chart: Chart) -> str:
    marks = (
        f'<span><i class="c{at % len(COLOURS)}"></i>{escape(line.name)}</span>' for at, line in enumerate(chart.lines)
    )
    return f'<p class="legend">{"".join(marks)}</p>'


@dataclass(frozen=True, slots=True)
class _Frame:
    end: float
    low: float
    high: float
    step: float

    def x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(seconds / self.end, 1.0)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def grid(self) -> list[str]:
        parts = []
        for tick in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + self.step * tick
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
        step = next((step for step in _STEPS_SECONDS if self.end / step <= 12), _STEPS_SECONDS[-1])
        for at in range(int(self.end // step) + 1):
            label = _time_text(at * step)
            parts.append(f'<text x="{self.x(at * step):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{label}</text>')
        return parts

    def line(self, times: Sequence[float], line: ChartLine, colour: str) -> str:
        runs: list[list[str]] = [[]]
        for time, value in zip(times, line.values, strict=True):
            if value is None:
                runs.append([])
            else:
                runs[-1].append(f"{self.x(time):.1f},{self.y(value):.1f}")
        return "".join(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{" ".join(run)}"/>'
            for run in runs
            if run
        )

    def area(self, times: Sequence[float], line: ChartLine, colour: str) -> str:
        """Down to the axis; what is stacked below is drawn over it."""
        corners = [f"{self.x(times[0]):.1f},{self.y(self.low):.1f}"] if times else []
        last = self.low
        for time, value in zip(times, line.values, strict=True):
            corners += [f"{self.x(time):.1f},{self.y(last):.1f}", f"{self.x(time):.1f},{self.y(value or 0.0):.1f}"]
            last = value or 0.0
        corners += [f"{self.x(self.end):.1f},{self.y(last):.1f}", f"{self.x(self.end):.1f},{self.y(self.low):.1f}"]
        return f'<polygon fill="{colour}" points="{" ".join(corners)}"/>'


def _stacked(lines: Sequence[ChartLine]) -> tuple[ChartLine, ...]:
    """Each line on top of those before it."""
    found: list[ChartLine] = []
    below = [0.0] * (len(lines[0].values) if lines else 0)
    for line in lines:
        below = [under + (value or 0.0) for under, value in zip(below, line.values, strict=True)]
        found.append(ChartLine(line.name, tuple(below)))
    return tuple(found)


def _scale(low: float, most: float) -> tuple[float, float]:
    """The distance of the axis' marks, 1, 2 or 5 times a power of ten, and its end: the first mark from `most` on."""
    rise = max(most - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(rise / _MOST_MARKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if rise <= power * factor * _MOST_MARKS * (1 + 1e-9))
    return step, low + step * math.ceil(rise / step - 1e-9)


def _time_text(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}"
