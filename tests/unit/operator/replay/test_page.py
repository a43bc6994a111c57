"""The page of a replay: well formed, with nothing from elsewhere, and charts that show what is in the report."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from medley_operator.replay.page import page
from medley_operator.replay.policies import POLICIES, Replay
from medley_operator.replay.report import summarise
from tests.browser.chromium import Chromium
from tests.unit.operator.replay.worlds import scenario

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    world = scenario("steps:3x10m,9x10m")
    return summarise(world, [POLICIES[name](Replay(world, {})) for name in ("medley", "static")])


@pytest.fixture(scope="module")
def root(report: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(page(report).removeprefix("<!DOCTYPE html>\n"))  # noqa: S314 - our own text


def test_it_needs_nothing_from_elsewhere(report: dict[str, Any]) -> None:
    text = page(report).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|src=|href=|@import|url\(|<script", text)


def test_it_has_a_row_for_each_policy(report: dict[str, Any], root: ElementTree.Element) -> None:
    rows = [[cell.text or "" for cell in row] for row in root.iter("tr")][1:]
    assert [row[0] for row in rows] == ["medley", "static"]
    assert rows[0][1] == f"${report['policies'][0]['cost']:.2f}"


def test_it_has_load_mix_cost_attainment_and_queue_over_one_axis(root: ElementTree.Element) -> None:
    titles = [title.text for title in root.iter("h2")]
    assert titles == [
        "Load, requests per second",
        "Mix of medley, replicas",
        "Mix of static, replicas",
        "Cost, US dollars per hour",
        "Attainment by minute, percent",
        "Requests that wait or run, requests",
    ]
    axes = set()
    for chart in root.iter(f"{SVG}svg"):
        labels = [text for text in chart.iter(f"{SVG}text") if text.get("text-anchor") == "middle"]
        axes.add(tuple((text.text, text.get("x")) for text in labels))
    assert len(axes) == 1


def test_lines_show_the_figures(report: dict[str, Any], root: ElementTree.Element) -> None:
    load = next(root.iter(f"{SVG}svg"))
    line = next(load.iter(f"{SVG}polyline"))
    points = [tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()]
    minutes = [point for point in report["timeline"] if point["policy"] == "medley"]
    assert len(points) == sum(point["seconds"] < report["seconds"] for point in minutes)
    # Three times the load is higher up, and later is further right.
    assert points[15][1] < points[5][1]
    assert points[15][0] > points[5][0]


def test_a_load_ends_where_it_ends_and_does_not_fall_to_nothing(root: ElementTree.Element) -> None:
    line = next(next(root.iter(f"{SVG}svg")).iter(f"{SVG}polyline"))
    heights = [float(point.split(",")[1]) for point in (line.get("points") or "").split()]
    assert max(heights[11:]) < min(heights[:10])


def test_marks_of_replicas_are_whole(root: ElementTree.Element) -> None:
    mix = list(root.iter(f"{SVG}svg"))[1]
    marks = [text.text or "" for text in mix.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
    assert len(marks) > 2
    assert all(mark.isdecimal() for mark in marks)


def test_a_browser_shows_it_without_a_complaint(report: dict[str, Any], chromium: Chromium) -> None:
    with chromium.visit_html(page(report)) as visit:
        visit.assert_sound()
        assert "unsafe-inline" not in visit.policy()
        assert "default-src 'none'" in visit.policy()
        assert len(visit.texts("h2")) == len(visit.drawn("main svg")) == 6
        assert all(box["width"] > 600 and box["height"] > 60 for box in visit.drawn("main svg"))
        assert all(box["width"] > 300 for box in visit.drawn("main svg polyline, main svg polygon"))


def test_names_are_text(report: dict[str, Any]) -> None:
    strange = {**report, "policies": [{**report["policies"][0], "note": "<b>&"}]}
    assert "&lt;b&gt;&amp;" in page(strange)


def test_a_replay_without_points_has_its_table(report: dict[str, Any]) -> None:
    text = page({**report, "timeline": []})
    assert "<svg" not in text
    assert "<table>" in text
