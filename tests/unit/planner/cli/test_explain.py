"""`medley explain INSTANCE.json`: what it prints, its exit status, and one clear line for each kind of bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_planner.__main__ import main
from medley_planner.cli.explain_answer import ServiceNotes, answer_lines
from medley_planner.explain import explain
from medley_planner.model import Pool, Problem, RoutingMode, Service
from medley_planner.optimize import plan
from tests.steps_of_load import demand, variant

_GOOD: dict[str, Any] = {
    "gpu": {
        "A10G": {"cost": 1.0, "tputs": [[1.0, 1.0]]},
        "[b]A100": {"cost": 3.0, "tputs": [[2.0, 2.0]]},
    },
    "dist": [[0.5, 0.5]],
    "rate": 6.0,
    "ins": [100],
    "outs": [50, 150],
}


def _write(folder: Path, document: object, name: str = "instance.json") -> str:
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_json_tells_all_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", _write(tmp_path, _GOOD | {"stock": {"A10G": 4}}), "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["cost_per_hour"], told["gap"]) == ("Optimal", 7.0, 0.0)
    (limit,) = told["limits"]
    # Planned again: five A10G and one A100 cost $8, so one more would not change it, and six A10G cost $6.
    assert limit == {
        "kind": "Stock",
        "name": "A10G",
        "size": 1,
        "used": 4.0,
        "limit": 4.0,
        "binding": True,
        "step": 2.0,
        "source": "NewPlan",
        "price_per_hour": None,
        "step_saving_per_hour": 1.0,
        "step_served_rps": 0.0,
    }
    (service,) = told["services"]
    # 6 requests/s of 100 + 100 tokens on average: 4.32 million tokens an hour for $7.
    assert service["cost_per_million_tokens"] == pytest.approx(7 / 4.32)
    assert service["cost_per_million_generated_tokens"] == pytest.approx(7 / 2.16)
    assert [fleet["replicas"] for fleet in service["singles"]] == [None, 3]
    assert service["routing_saving"] is None
    assert (told["relaxations"], told["change"]) == ([], None)


def test_yaml_says_the_same_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, _GOOD)
    assert main(["explain", path, "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["explain", path, "-o", "yaml", "--explain-seconds", "5", "--deadline", "5"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == told


def test_the_table_fits_and_takes_names_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = _write(tmp_path, _GOOD | {"rate": 3.0}, "last.json")
    now = _write(tmp_path, _GOOD | {"stock": {"A10G": 4, "[b]A100": 0}, "routing": "Service"})
    assert main(["explain", now, "--last", last]) == 3
    table = capsys.readouterr().out
    for words in (
        "Partial: $4.00/h",
        "A10G (GPUs)",
        "1 more GPU: 1 req/s more are served (planned again)",
        "[b]A100",
        "raise the stock of pool A10G from 4 to 6 GPUs: all is served for $6.00/h",
        "raise the stock of pool [b]A100 from 0 to ",
        "routing Service (HTTPRoute would save nothing)",
        "Against the last plan: $3.00/h -> $4.00/h (+1.00)",
        "the demand of service instance went from 3 to 6 req/s (+100.0%)",
        "routing of service instance went from PerBucket to Service",
    ):
        assert words in " ".join(table.split()) or words in table
    assert max(map(len, table.splitlines())) <= 100


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = _write(tmp_path, _GOOD)
    bad = _write(tmp_path, _GOOD | {"rate": -1}, "bad.json")
    for arguments in (["explain", bad], ["explain", good, "--last", bad], ["explain", str(tmp_path / "none.json")]):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("medley explain: ")
        assert captured.err.count("\n") == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon", "inf"])
def test_seconds_that_are_none(seconds: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["explain", _write(tmp_path, _GOOD), "--explain-seconds", seconds])
    assert stopped.value.code == 2
    assert "is not a number of seconds" in capsys.readouterr().err


def test_a_cheaper_fleet_that_is_left_aside_is_named() -> None:
    variants = (
        variant("L40S", (1.0, 1.0), startup_seconds=120.0, running=8),
        variant("H100", (4.0, 4.0), startup_seconds=120.0),
    )
    service = Service("s", demand(11.9), variants, RoutingMode.HTTP_ROUTE, stay_seconds=360.0)
    problem = Problem((service,), (Pool("L40S"), Pool("H100")))
    planned = plan(problem)
    lines = answer_lines(explain(problem, planned, seconds=0.0), planned, {}, ServiceNotes(), why=False)
    assert [line.strip() for line in lines if "stays" in line] == [
        "stays: H100 3 would save $1.13/h, and leaving for it costs $0.69; it is left at the latest when staying has "
        "cost as much"
    ]
