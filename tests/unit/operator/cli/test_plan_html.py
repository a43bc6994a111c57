"""`medley plan --html`: the page has the plan's own figures, and what it says of other inputs is what they are planned
as."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_operator.cli.main import main
from medley_planner.units import per_hour
from tests.browser.chromium import Chromium

EXAMPLES = Path(__file__).parents[4] / "examples"
FLEET = EXAMPLES / "plan" / "fleet.yaml"
Documents = list[dict[str, Any]]


def doubled_rate(documents: Documents) -> None:
    for each in documents:
        if each["kind"] == "LLMService":
            static = each["spec"]["workload"]["static"]
            static["requestsPerSecond"] = str(2 * float(static["requestsPerSecond"]))


def doubled_price(documents: Documents) -> None:
    for each in documents:
        if each["kind"] == "GPUPool" and each["metadata"]["name"] == "mi300x":
            each["spec"]["cost"]["perHour"] = str(2 * float(each["spec"]["cost"]["perHour"]))


def halved_targets(documents: Documents) -> None:
    for each in documents:
        if each["kind"] == "LLMService":
            slo = each["spec"]["slo"]
            each["spec"]["slo"] = slo | {
                name: f"{float(slo[name].removesuffix('ms').removesuffix('s')) / 2:g}"
                f"{'ms' if slo[name].endswith('ms') else 's'}"
                for name in ("ttft", "tpot")
            }


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "plan.html"
    assert main(["plan", "-f", str(FLEET), "--html", str(file), "-o", "json"]) == 0
    return file


def test_a_browser_shows_it_without_a_complaint(page: Path, chromium: Chromium) -> None:
    with chromium.visit(page.as_uri()) as visit:
        visit.assert_sound()
        assert "unsafe-inline" not in visit.policy()
        assert visit.texts("h2") == [
            "demo/chat", "Cost of alternatives", "Sizes of requests", "Limits that bind", "What would change if",
        ]  # fmt: skip
        (sizes,) = visit.drawn("svg.map")
        assert sizes["width"] > 300
        assert len(visit.drawn("svg.bar")) > 20


def test_it_has_the_figures_of_the_plan(page: Path, chromium: Chromium, capsys: pytest.CaptureFixture[str]) -> None:
    report = planned(FLEET, capsys)
    (service,) = report["services"]
    with chromium.visit(page.as_uri()) as visit:
        assert per_hour(report["cost_per_hour"]) in visit.texts("dd")
        rows = visit.texts("section:nth-of-type(1) tbody tr")
        assert [row.split("\t")[0] for row in rows] == [row["variant"] for row in service["mix"]]
        cheapest = visit.texts("section:nth-of-type(2) tbody tr")[1].split("\t")
        single = service["best_single"]
        assert cheapest[0] == f"{single['replicas']} x {single['variant']}"
        assert cheapest[2] == per_hour(single["cost_per_hour"])


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("requests x 2", doubled_rate),
        ("price of mi300x x 2", doubled_price),
        ("latency targets x 0.5", halved_targets),
    ],
)
def test_what_would_change_is_what_the_changed_input_is_planned_as(
    page: Path,
    chromium: Chromium,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: str,
    change: Callable[[Documents], None],
) -> None:
    documents = list(yaml.safe_load_all(FLEET.read_text()))
    change(documents)
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump_all(documents))
    report = planned(changed, capsys)
    mix = {row["variant"]: row["replicas"] for row in report["services"][0]["mix"]}
    with chromium.visit(page.as_uri()) as visit:
        rows = {row.split("\t")[0]: row.split("\t") for row in visit.texts("section:last-of-type tbody tr")}
        assert rows[words][2] == per_hour(report["cost_per_hour"])
        assert rows[words][4] == " + ".join(f"{count} x {variant}" for variant, count in mix.items())
        assert rows[words][2] != rows["as it is"][2]


def test_a_service_that_is_not_planned_is_named(tmp_path: Path, chromium: Chromium) -> None:
    documents = list(yaml.safe_load_all(FLEET.read_text()))
    service = next(each for each in documents if each["kind"] == "LLMService")
    service["spec"]["slo"] = {"ttft": "1ms", "tpot": "1ms"}
    file, html = tmp_path / "fleet.yaml", tmp_path / "plan.html"
    file.write_text(yaml.safe_dump_all(documents))
    assert main(["plan", "-f", str(file), "--html", str(html)]) == 3
    with chromium.visit(html.as_uri()) as visit:
        visit.assert_sound()
        assert visit.texts("section p")[0].startswith("Not planned, TargetImpossible")


@pytest.mark.parametrize("options", [["--html", "/nowhere/plan.html"], ["--html", "p.html", "--objective", "watts"]])
def test_what_cannot_be_written_is_said(
    options: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "-f", str(FLEET), *options]) == 2
    shown = capsys.readouterr()
    assert "--html" in shown.err
    assert shown.out == ""


def planned(file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["plan", "-f", str(file), "-o", "json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report
