"""`medley solve`: output, exit status, and one clear line for each kind of bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_planner.__main__ import main

_GOOD: dict[str, Any] = {
    "gpu": {
        "A10G": {"cost": 1.01, "tputs": [[2, 1], [5, 2]]},
        "A100": {"cost": 3.67, "tputs": [[20, 20], [40, 20]]},
        "[b]X": {"cost": 99.0, "tputs": [[1, 1], [1, 1]]},
    },
    "dist": [[0.2, 0.1], [0.5, 0.2]],
    "rate": 30.0,
}


def _write(folder: Path, document: object) -> str:
    path = folder / "instance.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return str(path)


def test_json_is_the_whole_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", _write(tmp_path, _GOOD), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "status": "Optimal",
        "cost_per_hour": 4.68,
        "lower_bound": 4.68,
        "gap": 0.0,
        "replicas": {"A10G": 1, "A100": 1, "[b]X": 0},
        "best_single": {"type": "A100", "cost_per_hour": 7.34},
        "unserved": [],
    }


def test_yaml_and_table_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path, _GOOD)
    assert main(["solve", path, "--output", "yaml", "--deadline", "5"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["replicas"] == {"A10G": 1, "A100": 1, "[b]X": 0}
    assert main(["solve", path]) == 0
    table = capsys.readouterr().out
    for words in ("Optimal: $4.68/h", "[b]X", "the proven bound is $4.68/h", "best single type: A100 at $7.34/h"):
        assert words in table


def test_routing_and_stock_are_honoured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", _write(tmp_path, _GOOD | {"routing": "Service"}), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["cost_per_hour"] == 7.34
    assert main(["solve", _write(tmp_path, _GOOD | {"stock": {"A100": 0, "[b]X": 0}}), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["replicas"] == {"A10G": 12, "A100": 0, "[b]X": 0}


def test_what_cannot_be_served_is_listed_with_its_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instance = {
        "ins": [100],
        "outs": [50, 5000],
        "gpu": {"A": {"cost": 1.0, "tputs": [[10.0, 0.0]]}},
        "dist": [[0.8333, 0.1666]],
        "rate": 6.0,
    }
    path = _write(tmp_path, instance)
    assert main(["solve", path, "-o", "json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == "Partial"
    (unserved,) = report["unserved"]
    assert unserved.pop("rate") == pytest.approx(6.0 * 0.1666 / 0.9999)
    assert unserved == {
        "bucket": [0, 1],
        "prompt_tokens": 100,
        "generation_tokens": 5000,
        "reason": "NoVariantMeetsTarget",
    }
    assert main(["solve", path]) == 3
    assert "5000" in capsys.readouterr().out


def test_no_type_alone_is_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpu = {"A": {"cost": 1.0, "tputs": [[1, 0]]}, "B": {"cost": 1.0, "tputs": [[0, 1]]}}
    path = _write(tmp_path, {"gpu": gpu, "dist": [[0.5, 0.5]], "rate": 1, "stock": {"A": 0, "B": 0}})
    assert main(["solve", path, "-o", "json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["status"], report["best_single"], len(report["unserved"])) == ("Infeasible", None, 2)
    assert main(["solve", path]) == 3
    assert "no type serves this demand alone" in capsys.readouterr().out


def _with(**changes: object) -> dict[str, object]:
    return _GOOD | changes


def _gpu(**changes: object) -> dict[str, object]:
    return _GOOD | {"gpu": {"A": {"cost": 1.0, "tputs": [[1, 1], [1, 1]]} | changes}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (
            '{"gpu": {"A": {"cost": 1, "cost": 2, "tputs": [[1]]}}, "dist": [[1]], "rate": 1}',
            '"cost" twice in one object',
        ),
        ([], "holds a list"),
        (_with(stocks={"A10G": 1}), 'stocks is {"A10G": 1}: there is no such field'),
        (_gpu(watts=300), "gpu.A.watts is 300: there is no such field"),
        (_with(services=[]), "holds services of a fleet and gpu of a bare instance"),
        (_with(pools=[{"name": "a"}]), "holds pools of a fleet and gpu of a bare instance"),
        (_with(gpu={"A\x1b[2J": _GOOD["gpu"]["A100"]}), 'gpu["A\\u001b[2J"] is "A\\u001b[2J": write a name whose char'),
        (_with(gpu={"A\ud800": _GOOD["gpu"]["A100"]}), 'is "A\\ud800": write text whose characters can all be printed'),
        (_with(gpu={"": _GOOD["gpu"]["A100"]}), 'gpu[""] is "": give at least 1 character'),
        ({"instances": [_GOOD]}, "several instances"),
        ({"dist": [[1]], "rate": 1}, "gpu is missing"),
        (_with(gpu={}), "gpu is {}"),
        (_with(gpu={"A": 3}), "gpu.A is 3"),
        (_with(gpu={"A": {"cost": 1}}), "gpu.A.tputs is missing"),
        (_gpu(cost=0), "gpu.A.cost is 0"),
        (_gpu(cost="1"), 'gpu.A.cost is "1"'),
        (_gpu(tputs=[[1, 1]]), "gpu.A.tputs is [[1.0, 1.0]]: it has 1 rows; give 2 rows of 2"),
        (_gpu(tputs=[[1, 1], [1]]), "gpu.A.tputs[1] is [1.0]: it has 1 entries"),
        (_gpu(tputs=[[1, -1], [1, 1]]), "gpu.A.tputs[0][1] is -1"),
        (_gpu(tputs=[[1, float("nan")], [1, 1]]), "gpu.A.tputs[0][1] is NaN"),
        (_gpu(tputs=[[1, True], [1, 1]]), "gpu.A.tputs[0][1] is true"),
        (_with(dist=[]), "dist is []"),
        (_with(dist=[[0.2, 0.1], [0.5, 0.1]]), "sum of dist is 0.9"),
        (_with(dist=[[0, 0], [0, 0]]), "sum of dist is 0: give"),
        (_with(rate=-1), "rate is -1"),
        (_with(rate=float("inf")), "rate is Infinity"),
        (_with(rate=10**400), "rate is 1000"),
        (_with(rate=None), "rate is null"),
        (_with(ins=[1]), "ins is [1.0]: it has 1 entries; give 2"),
        (_with(outs="x"), 'outs is "x"'),
        (_with(stock={"Z": 1}), "gpu has no such type; it has A10G"),
        (_with(stock={"A10G": 1.5}), "stock.A10G is 1.5"),
        (_with(stock=[1]), "stock is [1]"),
        (_with(routing="Random"), 'routing is "Random": give one of Service, HTTPRoute, InferencePool, PerBucket'),
    ],
)
def test_bad_input_is_named_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: object, words: str
) -> None:
    path = _write(tmp_path, document)
    assert main(["solve", path, "-o", "json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert path in said.err
    assert said.err.count("\n") == 1


def test_a_byte_order_mark_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "marked.json"
    path.write_text(json.dumps(_GOOD), encoding="utf-8-sig")
    assert main(["solve", str(path), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["cost_per_hour"] == 4.68


def test_a_name_that_the_terminal_has_no_letters_for_is_escaped(tmp_path: Path) -> None:
    path = _write(tmp_path, _GOOD | {"gpu": {"Σ": _GOOD["gpu"]["A100"]}})
    said = subprocess.run(
        [sys.executable, "-m", "medley_planner", "solve", path],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert rb"\u03a3" in said.stdout


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", str(tmp_path / "none.json")]) == 2
    assert "none.json: cannot be read" in capsys.readouterr().err
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    assert main(["solve", str(binary)]) == 2
    assert "is not UTF-8 text" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_deadline_must_be_seconds(capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["solve", "x.json", f"--deadline={seconds}"])
    assert left.value.code == 2
    assert "is not a number of seconds above 0" in capsys.readouterr().err
