"""A bar chart of shares as SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_ROW, _LABEL, _WIDTH, _TOP = 20, 330, 780, 34


def bars(title: str, rows: Sequence[tuple[str, float]], *, most: float, marks: Sequence[float]) -> str:
    """Horizontal bars, one for each (label, share); longer ones than `most` are cut. Lines at `marks`."""
    scale = (_WIDTH - _LABEL - 60) / most
    height = _TOP + _ROW * len(rows) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="8" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for mark in marks:
        x = _LABEL + mark * scale
        parts.append(f'<line x1="{x:.0f}" y1="{_TOP}" x2="{x:.0f}" y2="{height - 20}" stroke="#bbb"/>')
        parts.append(f'<text x="{x:.0f}" y="{height - 6}" text-anchor="middle" fill="#555">{mark:.0%}</text>')
    for index, (label, share) in enumerate(rows):
        y = _TOP + _ROW * index
        parts.append(f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>')
        width = min(share, most) * scale
        parts.append(f'<rect x="{_LABEL}" y="{y + 3}" width="{width:.0f}" height="{_ROW - 6}" fill="#4878a8"/>')
        parts.append(f'<text x="{_LABEL + width + 5:.0f}" y="{y + 14}">{share:.1%}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
