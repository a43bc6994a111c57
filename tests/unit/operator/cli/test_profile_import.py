"""`medley profile import`: reports of other load testers become a profile, or one clear line says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from medley_operator.api.v1alpha1 import ModelProfile
from medley_operator.cli.main import main
from tests.unit.operator.profile.test_import_vllm import vllm

ENGINE = ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--gpu", "H100", "--engine-version", "0.32.0"]


def test_import_writes_a_profile_that_the_api_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(json.dumps(vllm()))
    # two runs in one file, as --append-result writes them, the second without a steady state
    slow = vllm(max_concurrency=1, num_prompts=20, completed=20, duration=36.0, request_throughput=0.55)
    slow |= {"total_input_tokens": 20000, "total_output_tokens": 4000, "mean_ttft_ms": 40.0, "mean_tpot_ms": 8.5}
    two.write_text(f"{json.dumps(slow)}\n{json.dumps(vllm(max_concurrency=None))}\n")
    assert main(["profile", "import", str(one), str(two), "--from", "vllm-bench", *ENGINE]) == 0
    shown = capsys.readouterr()
    profile = ModelProfile.model_validate(yaml.safe_load(shown.out))
    assert profile.metadata.name == "llama-3.1-8b-instruct-h100-tp1-bf16"
    assert [point.concurrency for point in profile.spec.points] == ["32", "1"]
    assert profile.spec.measured_at == "2026-11-27T13:00:00Z"
    assert "two.json: run 2" in shown.err
    assert "2 points, mean TPOT error" in shown.err


def test_import_leaves_out_what_was_served_from_a_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "r.json"
    cached = vllm(total_input_tokens=32000000, total_output_tokens=64000)
    file.write_text(f"{json.dumps(vllm())}{json.dumps(cached)}")
    assert main(["profile", "import", str(file), "--from", "vllm-bench", *ENGINE, "-o", "json"]) == 0
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)["spec"]["points"]) == 1
    assert "prefix cache" in shown.err


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("{", [], "is not JSON"),
        ('{"completed": 1, "completed": 2}', [], '"completed" twice in one object; keep one of them'),
        ("", [], "is empty"),
        (json.dumps(vllm(completed=0)), [], "failed is 320"),
        (json.dumps(vllm(max_concurrency=None)), [], "no points"),
        (json.dumps(vllm()), ["--gpu", "H999"], "H999"),
        (json.dumps(vllm()), ["--model", "no/such"], "give --config"),
        (json.dumps(vllm()), ["--tp", "7"], "does not divide"),
        (json.dumps(vllm()), ["--engine-version", "nightly"], 'engineVersion is "nightly"'),
        (json.dumps(vllm()), ["--measured-at", "today"], 'measuredAt is "today"'),
        (json.dumps(vllm()), ["--name", "A b"], 'metadata.name is "A b"'),
    ],
)
def test_import_says_what_is_wrong(
    text: str, arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "r.json"
    file.write_text(text)
    assert main(["profile", "import", str(file), "--from", "vllm-bench", *ENGINE, *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err


def test_reports_of_different_models_are_no_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, model in zip(files, ("acme/a", "acme/b"), strict=True):
        file.write_text(json.dumps(vllm(model_id=model)))
    assert main(["profile", "import", *map(str, files), "--from", "vllm-bench", *ENGINE]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert 'model_id is ["acme/a", "acme/b"]: the reports are of different models' in shown.err


@pytest.mark.parametrize("option", ["--tp", "--kv-tokens", "--token-budget", "--max-sequences"])
def test_a_count_that_is_none_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["profile", "import", "r.json", "--from", "vllm-bench", *ENGINE, option, "0"])
    assert f"argument {option}: '0' is not a whole number of at least 1" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "import", "/no/such.json", "--from", "guidellm", *ENGINE]) == 2
    assert "/no/such.json: cannot be read" in capsys.readouterr().err


def test_the_version_that_a_report_says_must_be_the_one_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(vllm(vllm_version="v0.32.0+cu130")))
    assert main(["profile", "import", str(file), "--from", "vllm-bench", *ENGINE]) == 0
    capsys.readouterr()
    file.write_text(json.dumps(vllm(engine_version="0.31.1")))
    assert main(["profile", "import", str(file), "--from", "vllm-bench", *ENGINE]) == 2
    assert '--engine-version is "0.32.0": the reports were measured with 0.31.1' in capsys.readouterr().err
    file.write_text(json.dumps(vllm(vllm_version="0.32.0")) + json.dumps(vllm(vllm_version="0.31.1")))
    assert main(["profile", "import", str(file), "--from", "vllm-bench", *ENGINE]) == 2
    assert 'engine_version is ["0.31.1", "0.32.0"]: the reports are of different versions' in capsys.readouterr().err
