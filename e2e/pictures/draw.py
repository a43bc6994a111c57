"""A dashboard as one SVG: panels where its JSON puts them, each drawn as its type says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib.metadata import version as distribution_version
from typing import Any

from e2e.pictures.collect import Answered, Answers, Series
from e2e.pictures.plots import Area, heat_map, lines, matrix, stat, table

COLUMN, ROW, GAP = 54, 34, 8
WIDTH = 24 * COLUMN
TOP = 46
BOLD = 7.7
"""Pixels of a letter of a title."""
_DRAWN: Mapping[str, Callable[[Answered, Answers, Area], str]] = {
    "stat": stat,
    "timeseries": lines,
    "heatmap": heat_map,
}


def picture(board: Answers) -> tuple[str, int]:
    """One SVG, and its height in pixels."""
    rows = max(panel.panel["gridPos"]["y"] + panel.panel["gridPos"]["h"] for panel in board.panels)
    height = TOP + rows * ROW + GAP
    parts = [_text(12, 29, board.title, "title"), _text(WIDTH - 12, 29, _span(board), "note end")]
    parts += [_panel(panel, board) for panel in board.panels]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}"><desc>{described()}</desc><style>{_STYLE}</style>'
        f'<rect width="{WIDTH}" height="{height}" fill="#f4f5f5"/>{"".join(parts)}</svg>\n'
    )
    return svg, height


def described() -> str:
    """The version that a picture is of."""
    return f"Medley {distribution_version('medley-operator')}"


def _span(board: Answers) -> str:
    shown = [time.strftime("%H:%M", time.gmtime(at)) for at in (board.start, board.end)]
    return f"{shown[0]} to {shown[1]} UTC"


def _panel(answered: Answered, board: Answers) -> str:
    panel, place = answered.panel, answered.panel["gridPos"]
    x, y = place["x"] * COLUMN + GAP / 2, TOP + place["y"] * ROW + GAP / 2
    width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
    if panel["type"] == "row":
        return _text(x + 6, y + 19, panel["title"], "row")
    frame = f'<rect class="panel" x="{x}" y="{y}" width="{width}" height="{height}" rx="3"/>'
    area = Area(x + 10, y + 30, width - 20, height - 38)
    return frame + _title(x + 10, y + 17, panel["title"], width - 16) + _content(answered, board, area)


def _title(x: float, y: float, text: str, width: float) -> str:
    """Narrower letters where it would leave its panel."""
    fitted = f' textLength="{width:.0f}" lengthAdjust="spacingAndGlyphs"' if len(text) * BOLD > width else ""
    return f'<text class="name" x="{x:.1f}" y="{y:.1f}"{fitted}>{escape(text)}</text>'


def _content(answered: Answered, board: Answers, area: Area) -> str:
    if not _shown(answered.series):
        return _text(area.x + area.width / 2, area.y + area.height / 2, "No data", "note middle")
    if answered.panel["type"] == "table":
        drawn = matrix if _is_matrix(answered.panel) else table
        return drawn(answered, board, area)
    return _DRAWN[answered.panel["type"]](answered, board, area)


def _shown(series: Sequence[Series]) -> bool:
    return any(each.points for each in series)


def _is_matrix(panel: Mapping[str, Any]) -> bool:
    return any(change["id"] == "groupingToMatrix" for change in panel["transformations"])


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


_STYLE = """
text { font: 12px "DejaVu Sans", "Liberation Sans", sans-serif; fill: #24292e; }
.title { font-size: 18px; } .row { font-size: 14px; font-weight: bold; } .name { font-weight: bold; }
.note { fill: #6b7178; font-size: 11px; } .end { text-anchor: end; } .middle { text-anchor: middle; }
.number { font-size: 26px; } .panel { fill: #fff; stroke: #d9dbdf; } .grid { stroke: #e8e9eb; }
.mark { stroke: #d9822b; stroke-dasharray: 3 3; } .cell { stroke: #fff; }
"""
