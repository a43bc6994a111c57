"""Pictures of dashboards: every panel is drawn, from the dashboards' own JSON, as sound SVG."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from e2e.pictures.collect import Answered, Answers, Series
from e2e.pictures.draw import described, picture
from e2e.pictures.plots import _ticks
from e2e.pictures.units import written
from medley_operator.dashboards import BOARDS
from medley_operator.dashboards.grafana import dashboard
from medley_operator.dashboards.panels import Dashboard, Unit

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = Path(__file__).parents[3] / "docs" / "dashboards"
START, END = 1_000_000.0, 1_000_600.0
EDGES = {"100": 2.0, "500": 5.0, "+Inf": 5.0}


def points(value: float) -> list[tuple[float, float]]:
    return [(START + at, value) for at in range(0, 600, 60)]


def made_up(panel: dict[str, Any], value: float) -> Answered:
    """A series or a few for each query, with all labels that it is grouped by."""
    series: list[Series] = []
    for target in panel.get("targets", []):
        grouped = re.search(r"by \(([^)]*)\)", target["expr"])
        names = [name.strip() for name in grouped[1].split(",")] if grouped else []
        if panel["type"] == "heatmap":
            series += [Series("", {"le": edge}, points(count)) for edge, count in EDGES.items()]
        else:
            labels = {name: "256" if name.endswith("_le") else f"<{name}>" for name in names}
            series.append(Series(target["legendFormat"], labels, points(value)))
    return Answered(panel, series)


def drawn(board: Dashboard, value: float) -> list[str]:
    """All texts of the picture."""
    panels = [made_up(panel, value) for panel in dashboard(board)["panels"]]
    svg, height = picture(Answers(board.name, board.title, START, END, panels, marks=[START + 300]))
    assert f'height="{height}"' in svg
    return texts_of(svg)


def texts_of(svg: str) -> list[str]:
    """What it is of, and all texts in it."""
    nodes = ElementTree.fromstring(svg).iter()  # noqa: S314
    return ["".join(node.itertext()) for node in nodes if node.tag in (f"{SVG}desc", f"{SVG}text")]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
@pytest.mark.parametrize("value", [0.0, 0.123, 1234.5])
def test_every_panel_is_drawn(board: Dashboard, value: float) -> None:
    texts = drawn(board, value)
    assert {panel.title for panel in board.panels} <= set(texts)
    assert {section.title for section in board.sections} <= set(texts)
    assert "No data" not in texts


def test_a_panel_without_data_says_so() -> None:
    panels = [Answered(panel, []) for panel in dashboard(BOARDS[0])["panels"]]
    svg, _ = picture(Answers("fleet", "Medley fleet", START, END, panels))
    assert svg.count("No data") == len(BOARDS[0].panels)


@pytest.mark.parametrize("picture_file", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.stem)
def test_a_picture_in_the_docs_is_of_this_version(picture_file: Path) -> None:
    (board,) = (board for board in BOARDS if board.name == picture_file.stem)
    texts = texts_of(picture_file.read_text())
    assert {panel.title for panel in board.panels} <= set(texts)
    assert texts[0] == described()


def test_the_docs_show_every_picture() -> None:
    page = (PICTURES.parent / "dashboards.md").read_text() + (PICTURES.parent / "operator.md").read_text()
    shown = set(re.findall(r"!\[[^]]{20,}\]\(dashboards/([^)]+)\)", page))
    assert shown == {path.name for path in PICTURES.iterdir()}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0525, Unit.SECONDS, "52.5 ms"),
        (90.0, Unit.SECONDS, "1.5 min"),
        (0.0, Unit.SECONDS, "0 s"),
        (0.955, Unit.SHARE, "95.5 %"),
        (12.345, Unit.DOLLARS, "$12.3"),
        (9600.0, Unit.WATTS, "9.6 kW"),
        (300.0, Unit.WATTS, "300 W"),
        (1500.0, Unit.COUNT, "1.5k"),
    ],
)
def test_numbers_have_three_digits_and_their_unit(value: float, unit: Unit, text: str) -> None:
    assert written(value, unit) == text


@pytest.mark.parametrize(
    ("least", "most", "ticks"),
    [
        (0.0, 0.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (3.0, 52.0, [0, 20, 40, 60]),
        (0.0, 12.4, [0, 2.5, 5, 7.5, 10, 12.5]),
        (-0.067, 0.087, [-0.1, -0.05, 0, 0.05, 0.1]),
        (-3.0, -1e-12, [-3, -2, -1, 0]),
    ],
)
def test_lines_of_a_grid_are_at_round_values(least: float, most: float, ticks: list[float]) -> None:
    assert _ticks(least, most) == pytest.approx(ticks)
