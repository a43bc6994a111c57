"""`medley estimate --profile`: measured factors and their band, and one clear line for each kind of bad profile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_planner.__main__ import main

EXAMPLE = Path(__file__).parents[4] / "examples" / "modelprofile.yaml"
LOAD = ["--input", "1024", "--output", "256", "--concurrency", "16"]
MODEL = ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--gpu", "H100"]


def written(folder: Path, **changes: Any) -> str:
    """The example with fields of its spec replaced; None takes one away."""
    document = yaml.safe_load(EXAMPLE.read_text())
    document["spec"] = {name: value for name, value in (document["spec"] | changes).items() if value is not None}
    file = folder / "profile.yaml"
    file.write_text(yaml.safe_dump(document))
    return str(file)


def report(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["estimate", *words, *LOAD, "-o", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_points_bring_the_estimate_to_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "--profile", str(EXAMPLE))
    assert found["tpot_seconds"]["mean"] == pytest.approx(0.0103, rel=0.05)
    assert (found["provenance"], found["gpu"], found["precision"]) == ("measured", "H100", "BF16")
    assert found["error_band"]["tpot"] == pytest.approx(0.05)
    assert "3 points of modelprofile.yaml, vLLM 0.32.0" in found["error_band"]["reason"]
    assert found["model"] == "meta-llama/Llama-3.1-8B-Instruct"


def test_factors_scale_the_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = dict.fromkeys(("fixed", "compute", "sequence", "kv"), "2")
    profile = written(tmp_path, points=None, stepFactors=twice, errorPercent="8", kvTokens=123456)
    found, plain = report(capsys, "--profile", profile, *MODEL), report(capsys, *MODEL)
    # ten milliseconds of each first token are the API server's, so only TPOT doubles
    assert found["tpot_seconds"]["mean"] == pytest.approx(2 * plain["tpot_seconds"]["mean"], rel=0.05)
    assert found["error_band"]["tpot"] == pytest.approx(0.08)
    assert found["memory"]["kv_capacity_tokens"] == 123456
    assert (plain["provenance"], plain["error_band"]["tpot"]) == ("estimated", 0.15)


def test_the_simulated_rate_is_of_the_measured_engine_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slow = written(tmp_path, points=None, stepFactors=dict.fromkeys(("fixed", "compute", "sequence", "kv"), "2"))
    asked = ["--slo-tpot", "50ms", "--simulate", "--cache-dir", str(tmp_path / "cache")]
    found, plain = report(capsys, "--profile", slow, *asked), report(capsys, *MODEL, *asked)
    assert found["simulated_max_rate_rps"] < 0.7 * plain["simulated_max_rate_rps"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gpu", "L4"], '--gpu is "L4": --profile'),
        (["--tp", "2"], "--tp is 2: --profile"),
        (["--precision", "fp8"], '--precision is "FP8": --profile'),
        (["--model", "Qwen/Qwen3-32B"], '--model is "qwen/qwen3-32b": --profile'),
    ],
)
def test_a_profile_of_another_engine_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", "--profile", str(EXAMPLE), *words, *LOAD]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"points": None}, "either spec.stepFactors or spec.points"),
        ({"stepFactors": {}}, "either spec.stepFactors or spec.points"),
        ({"points": [{"promptTokens": "many"}]}, 'spec.points[0].promptTokens is "many"'),
        ({"points": [{"promptTokens": "9", "generationTokens": "9", "tpot": "9"}]}, "spec.points[0].tpot"),
        ({"points": ["x"]}, 'spec.points[0] is "x"'),
        (
            {"points": [{"promptTokens": "9", "generationTokens": "9", "concurrency": "1", "tpot": "12s"}]},
            "milliseconds",
        ),
        ({"points": None, "stepFactors": {"kv": "-1"}}, 'spec.stepFactors.kv is "-1"'),
        ({"points": None, "stepFactors": {"kv": 10**400}}, "spec.stepFactors.kv is 1000"),
        ({"points": None, "stepFactors": {"kv": "1e300"}}, "spec.stepFactors.kv is 1e+300: give"),
        ({"points": None, "stepFactors": 3}, "spec.stepFactors is 3"),
        ({"errorPercent": "nan"}, "spec.errorPercent"),
        ({"gpu": "H999"}, "H999"),
        ({"precision": "FP7"}, 'spec.precision is "FP7"'),
        ({"tensorParallel": 10**400}, "spec.tensorParallel is 1000"),
        ({"tokenBudget": 10**400}, "spec.tokenBudget is 1000"),
        ({"kvTokens": 10**400}, "spec.kvTokens is 1000"),
        ({"tensorParallel": 0}, "spec.tensorParallel is 0"),
        ({"kvTokens": "lots"}, 'spec.kvTokens is "lots"'),
        ({"model": None}, "spec.model is missing"),
        ({"model": "no/such"}, "no/such"),
        ({"model": "x" * 400}, "is not known"),
    ],
)
def test_a_bad_profile_is_one_clear_line(
    changes: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", "--profile", written(tmp_path, **changes), *LOAD]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        (
            "kind: ModelProfile\nspec: {tensorParallel: 1, tensorParallel: 2}",
            '"tensorParallel" twice in one object (line 2)',
        ),
        ("kind: Pod", "holds 0 ModelProfiles"),
        ("kind: ModelProfile", "spec is missing"),
        ("kind: 2026-99-99", "is not YAML: month must be"),
        ("kind: " + "9" * 5000, "is not YAML: Exceeds the limit"),
        ("[" * 20_000, "is not YAML"),
    ],
)
def test_a_file_that_is_no_profile(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    assert main(["estimate", "--profile", str(file), *LOAD]) == 2
    assert said in capsys.readouterr().err
    assert main(["estimate", "--profile", str(tmp_path / "none.yaml"), *LOAD]) == 2
    assert "cannot be read" in capsys.readouterr().err
