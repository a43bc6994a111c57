"""Reports of others that were once taken without a word, and simulations that ended in a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medley_operator.cli.main import main

_CASES = Path(os.environ.get("MEDLEY_SHARED_CASES", Path(__file__).resolve().parents[2].parent / "shared" / "cases"))

pytestmark = pytest.mark.skipif(
    not (_CASES / "11-other-result-files").exists(), reason=f"{_CASES} is not there; set MEDLEY_SHARED_CASES to it"
)
ENGINE = ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--gpu", "H100", "--engine-version", "0.8.0"]


@pytest.mark.parametrize(
    ("case", "tool"),
    [("10-vllm-failed-requests/all-ok.json", "vllm-bench"), ("11-other-result-files/guidellm-0.5.json", "guidellm")],
)
def test_a_report_becomes_a_profile(case: str, tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "import", str(_CASES / case), "--from", tool, *ENGINE]) == 0
    assert "kind: ModelProfile" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("10-vllm-failed-requests/one-of-hundred.json", "99 of 100 requests failed"),
        ("10-vllm-failed-requests/three-quarters-failed.json", "384 of 512 requests failed"),
        ("11-other-result-files/aiperf.json", "aiperf"),
        ("11-other-result-files/guidellm-0.5.json", "--from guidellm"),
        ("11-other-result-files/inferencemax-agg.json", "InferenceMAX"),
        ("11-other-result-files/sglang.jsonl", "SGLang"),
    ],
)
def test_a_report_that_is_no_measurement_of_vllms_is_refused(
    case: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", "import", str(_CASES / case), "--from", "vllm-bench", *ENGINE]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("model", ["openai/gpt-oss-20b", "google/gemma-3-27b-it", "ibm-granite/granite-4.0-h-small"])
def test_models_with_windows_and_states_are_simulated(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    trace = _CASES / "21-simulate-crash-sliding" / "trace.csv"
    assert main(["simulate", "--model", model, "--fleet", "h100=1", "--trace", str(trace), "-o", "json"]) == 0
    assert '"ttft' in capsys.readouterr().out
