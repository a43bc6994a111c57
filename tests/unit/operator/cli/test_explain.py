"""`medley explain -f`: the plan of `medley plan` explained, what preparing ruled out, and messages for bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_operator.cli.main import main

FLEET = Path(__file__).parents[4] / "examples" / "plan" / "fleet.yaml"
INSTANCE = {"gpu": {"A10G": {"cost": 1.0, "tputs": [[1.0]]}}, "dist": [[1.0]], "rate": 2.0}


def _by_pod(folder: Path, *, name: str = "objects.yaml", rate: float = 25.0, nodes: int | None = None) -> str:
    """The example fleet, routed by a Service; `nodes` of one GPU in each pool."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(FLEET.read_text()))
    for document in documents:
        spec = document["spec"]
        if document["kind"] == "LLMService":
            del spec["routing"]
            spec["workload"]["static"]["requestsPerSecond"] = f"{rate:g}"
        elif document["kind"] == "GPUPool" and nodes is not None:
            spec["capacity"] = {"type": "Fixed", "nodes": nodes, "gpusPerNode": 1}
    file = folder / name
    file.write_text(yaml.safe_dump_all(documents))
    return str(file)


def test_manifests_are_planned_as_medley_plan_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _by_pod(tmp_path)
    assert main(["plan", "-f", path, "-o", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert main(["explain", "-f", path, "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (planned,), (service,) = plan["services"], told["services"]
    assert told["cost_per_hour"] == planned["cost_per_hour"] == service["cost_per_hour"]
    assert service["service"] == "demo/chat"
    # 25 requests/s of 600 + 180 tokens: 70.2 million tokens an hour.
    assert service["cost_per_million_tokens"] == pytest.approx(planned["cost_per_hour"] / 70.2, rel=0.02)
    best = min(fleet["cost_per_hour"] for fleet in service["singles"] if fleet["cost_per_hour"] is not None)
    assert best == pytest.approx(planned["best_single"]["cost_per_hour"])
    named = [entry["variant"] for entry in (*service["unused"], *service["excluded"])]
    assert named == [entry["variant"] for entry in planned["unused"]]
    assert service["routing_saving"]["next_mode"] == "HTTPRoute"
    assert service["routing_saving"]["saving_per_hour"] >= 0


def test_the_answer_comes_first_and_no_reason_contradicts_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(FLEET.parents[1] / "quickstart")
    assert main(["explain", "-f", folder]) == 0
    short = capsys.readouterr()
    assert len(short.out.splitlines()) + len(short.err.splitlines()) <= 24
    assert short.out.startswith("demo/llama: 1 x ")
    assert main(["explain", "-f", folder, "--why"]) == 0
    wide = capsys.readouterr().out
    assert "One variant alone for the same demand" in wide
    assert "its price is not the reason" not in wide
    assert main(["explain", "-f", folder, "-o", "json"]) == 0
    (service,) = json.loads(capsys.readouterr().out)["services"]
    compared = [one for one in service["unused"] if one["price_ratio"] is not None]
    assert {"TooLarge"} <= {one["reason"] for one in compared}
    for one in compared:
        assert one["reason"] != "Dearer" or one["price_ratio"] > 1
        assert one["reason"] != "TooLarge" or one["price_ratio"] <= 1


def test_what_changed_since_an_earlier_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last, now = _by_pod(tmp_path, name="last.yaml"), _by_pod(tmp_path, rate=50.0)
    assert main(["explain", "-f", now, "--last", last]) == 0
    table = capsys.readouterr().out
    assert "Against the last plan:" in table
    assert "the demand of service demo/chat went from 25 to 50 req/s (+100.0%)" in table
    assert max(map(len, table.splitlines())) <= 100


def test_unmet_demand_ends_with_3_and_what_to_give_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "-f", _by_pod(tmp_path, rate=4000.0, nodes=1), "-o", "json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "Partial"
    assert told["services"][0]["unmet"]
    assert told["relaxations"]


def test_an_instance_goes_to_the_planners_own_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(INSTANCE))
    assert main(["explain", str(path), "-o", "json", "--last", str(path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["cost_per_hour"], told["change"]["replicas"]) == (2.0, [])


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = _by_pod(tmp_path)
    cases = {
        ("explain",): "give either one INSTANCE.json or manifests with -f",
        ("explain", fleet, "-f", fleet): "give either one INSTANCE.json or manifests with -f",
        ("explain", fleet, "--last", fleet, fleet): "--last has 2 files",
        ("explain", "-f", str(tmp_path / "none.yaml")): "none.yaml",
        ("explain", "-f", fleet, "--last", str(tmp_path / "none.yaml")): "none.yaml",
    }
    for arguments, words in cases.items():
        assert main(list(arguments)) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("medley explain: ")
        assert words in captured.err


def test_a_service_that_cannot_be_planned_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(_by_pod(tmp_path))
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(file.read_text()))
    service = next(document for document in documents if document["kind"] == "LLMService")
    service["spec"]["runtime"] = {"profileRef": "absent"}
    file.write_text(yaml.safe_dump_all(documents))
    assert main(["explain", "-f", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "demo/chat is not planned: ProfileNotFound" in captured.err
