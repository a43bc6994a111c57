"""Alerts and recording rules of the chart, and the page of each alert in docs/runbooks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.exported_metrics import asked, exported, groups

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
ALERTS: dict[str, dict[str, Any]] = {str(rule["alert"]): rule for rules in groups("alerts").values() for rule in rules}
PAGES = {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md") if path.stem != "README"}
SECTIONS = ["## What it means", "## What users see", "## How to find the cause", "## What to do"]


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    assert set(PAGES) == set(ALERTS)
    assert sum(map(len, groups("alerts").values())) == len(ALERTS), "an alert's name is there twice"


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_its_page(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md"
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["labels"]["severity"] in ("info", "warning", "critical")


@pytest.mark.parametrize("alert", ALERTS)
def test_a_page_answers_all_questions(alert: str) -> None:
    page = PAGES[alert]
    assert page.startswith(f"# {alert}\n")
    assert re.findall(r"^## .*$", page, re.MULTILINE) == SECTIONS
    _, _, cause = page.partition(SECTIONS[2])
    assert re.search(r"^ {4}(kubectl|medley) ", cause, re.MULTILINE), "no command"
    assert f"severity {ALERTS[alert]['labels']['severity']}" in page


def test_the_list_of_pages_has_each() -> None:
    listed = re.findall(r"\]\((\w+)\.md\)", (RUNBOOKS / "README.md").read_text())
    assert sorted(listed) == sorted(ALERTS)


def test_rules_ask_only_for_metrics_that_are_exported() -> None:
    known = exported()
    for name, rule in ALERTS.items():
        assert asked(rule["expr"]), name
        assert asked(rule["expr"]) <= known, name


def test_recorded_names_say_what_they_are() -> None:
    for rules in groups("rules").values():
        for rule in rules:
            assert re.fullmatch(r"medley:\w+:rate5m", str(rule["record"]))
            assert "[5m]" in str(rule["expr"])
