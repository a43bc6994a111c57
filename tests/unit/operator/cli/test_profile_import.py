"""Reports of other load testers: which become points, which are skipped, and which contradict themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from medley_operator.api.v1alpha1 import ModelProfile
from medley_operator.cli.main import main
from medley_operator.profile.import_guidellm import guidellm_report
from medley_operator.profile.import_vllm import vllm_run
from medley_operator.profile.report import UnusableReport

ENGINE = ["--model", "meta-llama/Llama-3.1-8B-Instruct", "--gpu", "H100", "--engine-version", "0.32.0"]


def vllm(**changes: Any) -> dict[str, Any]:
    """32 clients, 1000 prompt and 200 generated tokens: a request of 0.15 + 199 x 0.012 s."""
    return {
        "date": "20261127-130000",
        "backend": "openai",
        "num_prompts": 320,
        "request_rate": "inf",
        "burstiness": 1.0,
        "max_concurrency": 32,
        "duration": 26.0,
        "completed": 320,
        "total_input_tokens": 320000,
        "total_output_tokens": 64000,
        "request_throughput": 12.3,
        "mean_ttft_ms": 150.0,
        "mean_tpot_ms": 12.0,
        "mean_itl_ms": 12.0,
        **changes,
    }


def summary(mean: float) -> dict[str, Any]:
    return {"successful": {"mean": mean, "median": mean}, "errored": {"mean": 0.0}}


def guidellm(strategy: dict[str, Any], **metrics: float) -> dict[str, Any]:
    figures = {
        "requests_per_second": 3.9,
        "request_latency": 2.54,
        "prompt_token_count": 1000.0,
        "output_token_count": 200.0,
        "time_to_first_token_ms": 150.0,
        "time_per_output_token_ms": 12.7,
        "inter_token_latency_ms": 12.0,
        **metrics,
    }
    totals = {"request_totals": {"successful": 117, "errored": 0, "incomplete": 3, "total": 120}}
    return {
        "config": {"strategy": strategy},
        "start_time": 1795784400.0,
        "metrics": {name: summary(value) for name, value in figures.items()} | totals,
    }


def completed(count: object) -> dict[str, Any]:
    run = guidellm({"type_": "synchronous"})
    run["metrics"]["request_totals"]["successful"] = count
    return run


def test_vllm_clients_become_a_point_in_seconds_and_means() -> None:
    found = vllm_run(vllm(), where="r")
    (point,) = found.points
    assert (point.prompt_tokens, point.generation_tokens, point.requests) == (1000, 200, 320)
    assert (point.concurrency, point.rate_rps) == (32, None)
    assert (point.ttft_seconds, point.tpot_seconds) == (0.15, 0.012)
    assert found.measured_at == "2026-11-27T13:00:00Z"


@pytest.mark.parametrize(
    ("changes", "load"),
    [
        ({"request_rate": 14.0, "max_concurrency": None}, (None, 14.0)),
        # 31 under way on average: the 32 clients hold requests back
        ({"request_rate": 50.0}, (32, None)),
        ({"request_rate": 12.5, "max_concurrency": 256}, (None, 12.5)),
        # fewer requests than clients
        ({"max_concurrency": 64, "num_prompts": 40}, (40, None)),
    ],
)
def test_the_load_of_a_vllm_run_is_what_held_it(changes: dict[str, Any], load: tuple[float | None, float]) -> None:
    (point,) = vllm_run(vllm(**changes), where="r").points
    assert (point.concurrency, point.rate_rps) == load


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_concurrency": None}, "all requests came at once"),
        ({"request_rate": 30.0, "max_concurrency": None}, "did not keep up"),
        ({"request_rate": 12.0, "ramp_up_strategy": "linear"}, "ramp_up_strategy"),
    ],
)
def test_a_vllm_run_without_a_steady_state_is_skipped(changes: dict[str, Any], words: str) -> None:
    found = vllm_run(vllm(**changes), where="r.json")
    assert found.points == ()
    assert words in found.skipped[0]
    assert "r.json" in found.skipped[0]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (vllm(mean_ttft_ms=0.15, mean_tpot_ms=0.012), "contradict each other"),
        (vllm(mean_tpot_ms=12000.0, mean_ttft_ms=150000.0), "contradict each other"),
        (vllm(mean_tpot_ms=12000.0, request_rate=12.0, max_concurrency=None), "longer than the whole run"),
        (vllm(request_throughput=12300.0), "request_throughput contradict"),
        (vllm(completed="many"), "completed is 'many'"),
        ({key: value for key, value in vllm().items() if key != "duration"}, "duration is missing"),
        (vllm(request_throughput="x"), "request_throughput is 'x'"),
        (vllm(completed=float("nan")), "completed is nan, which is no count"),
        (vllm(completed=float("inf")), "completed is inf, which is no count"),
        (vllm(completed=10**400), "completed is 1000.*too large"),
        (vllm(duration=0), "duration is 0, no time"),
        (vllm(duration=float("nan")), "duration is nan"),
        (vllm(request_rate=-1), "request_rate is -1, no rate"),
        ({"some": "json"}, "no result of vllm bench serve"),
        ([], "no result of vllm bench serve"),
    ],
)
def test_a_vllm_run_that_contradicts_itself_is_an_error_that_names_the_keys(run: Any, words: str) -> None:
    with pytest.raises(UnusableReport, match=words):
        vllm_run(run, where="r.json")


def test_a_vllm_run_without_requests_is_a_point_that_the_fit_refuses() -> None:
    (point,) = vllm_run(vllm(completed=0, request_throughput=0.0, total_output_tokens=0), where="r").points
    assert point.requests == 0


@pytest.mark.parametrize(
    ("strategy", "load"),
    [
        ({"type_": "synchronous"}, (1.0, None)),
        ({"type_": "concurrent", "streams": 10}, (10, None)),
        ({"type_": "poisson", "rate": 4.0}, (None, 4.0)),
        ({"type_": "constant", "rate": 4.0}, (None, 4.0)),
    ],
)
def test_each_guidellm_benchmark_is_a_point(strategy: dict[str, Any], load: tuple[float | None, float | None]) -> None:
    old = guidellm(strategy)
    old["args"] = old.pop("config")
    old["total_count"] = {"successful": 117}
    del old["metrics"]["request_totals"]
    for run in (guidellm(strategy), old):
        found = guidellm_report({"benchmarks": [run, run]}, where="g")
        assert len(found.points) == 2
        point = found.points[0]
        assert (point.concurrency, point.rate_rps) == load
        assert (point.prompt_tokens, point.generation_tokens, point.requests) == (1000, 200, 117)
        assert (point.ttft_seconds, point.tpot_seconds) == (0.15, 0.012)
        assert found.measured_at == "2026-11-27T13:00:00Z"


def test_guidellm_benchmarks_without_a_steady_load_are_skipped_one_by_one() -> None:
    runs = [
        guidellm({"type_": "throughput"}),
        guidellm({"type_": "constant", "rate": 40.0}),
        guidellm({"type_": "constant", "rate": 4.0}),
    ]
    found = guidellm_report({"benchmarks": runs}, where="g.json")
    assert len(found.points) == 1
    assert ["benchmarks[0]" in found.skipped[0], "benchmarks[1]" in found.skipped[1]] == [True, True]


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"benchmarks": [guidellm({"type_": "synchronous"}, request_latency=2540.0)]}, "request_latency"),
        ({"benchmarks": [guidellm({"type_": "concurrent"})]}, "streams is missing"),
        ({"benchmarks": [guidellm({"type_": "synchronous"}, request_latency=10**400)]}, "too large"),
        ({"benchmarks": [completed("many")]}, "request_totals.successful is 'many'"),
        ({"benchmarks": [completed(float("nan"))]}, "request_totals.successful is nan"),
        ({"benchmarks": []}, "no guidellm report"),
        ({"benchmarks": [{}]}, "has no metrics"),
        ([], "no guidellm report"),
    ],
)
def test_a_guidellm_report_that_contradicts_itself_is_an_error(report: Any, words: str) -> None:
    with pytest.raises(UnusableReport, match=words):
        guidellm_report(report, where="g.json")


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
        ("{", [], "is no JSON"),
        ("", [], "is empty"),
        (json.dumps(vllm(completed=0)), [], "requests is 0"),
        (json.dumps(vllm(max_concurrency=None)), [], "no points"),
        (json.dumps(vllm()), ["--gpu", "H999"], "H999"),
        (json.dumps(vllm()), ["--model", "no/such"], "give --config"),
        (json.dumps(vllm()), ["--tp", "7"], "does not divide"),
        (json.dumps(vllm()), ["--engine-version", "nightly"], "engineVersion is 'nightly'"),
        (json.dumps(vllm()), ["--measured-at", "today"], "measuredAt is 'today'"),
        (json.dumps(vllm()), ["--name", "A b"], "metadata.name is 'A b'"),
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
    assert "different models: model_id is 'acme/a' and 'acme/b'" in shown.err


@pytest.mark.parametrize("option", ["--tp", "--kv-tokens", "--token-budget", "--max-sequences"])
def test_a_count_that_is_none_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["profile", "import", "r.json", "--from", "vllm-bench", *ENGINE, option, "0"])
    assert f"argument {option}: '0' is no whole number of at least 1" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "import", "/no/such.json", "--from", "guidellm", *ENGINE]) == 2
    assert "/no/such.json: cannot be read" in capsys.readouterr().err
