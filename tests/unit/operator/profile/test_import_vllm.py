"""Runs of vLLM's own benchmark: which become points, which are skipped, and which contradict themselves."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.profile.import_vllm import vllm_run
from medley_operator.profile.report import BadReport


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
        (vllm(completed="many"), 'completed is "many"'),
        ({key: value for key, value in vllm().items() if key != "duration"}, "duration is missing"),
        (vllm(request_throughput="x"), 'request_throughput is "x"'),
        (vllm(completed=float("nan")), "completed is NaN: it is not a count"),
        (vllm(completed=float("inf")), "completed is Infinity: it is not a count"),
        (vllm(completed=10**400), "completed is 1000.*too large"),
        (vllm(duration=0), "duration is 0: it is not a time"),
        (vllm(duration=float("nan")), "duration is NaN"),
        (vllm(request_rate=-1), "request_rate is -1: it is not above 0"),
        ({"some": "json"}, "is not a result of vllm bench serve"),
        ([], "is not a result of vllm bench serve"),
    ],
)
def test_a_vllm_run_that_contradicts_itself_is_an_error_that_names_the_keys(run: Any, words: str) -> None:
    with pytest.raises(BadReport, match=words):
        vllm_run(run, where="r.json")


def test_a_vllm_run_without_requests_is_a_point_that_the_fit_refuses() -> None:
    (point,) = vllm_run(vllm(completed=0, num_prompts=0, total_input_tokens=0, total_output_tokens=0), where="r").points
    assert point.requests == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"failed": 40, "completed": 280}, "failed"),
        ({"completed": 280}, "failed"),
        ({"backend": "sglang"}, "backend"),
        ({"backend": "tensorrt-llm"}, "backend"),
    ],
)
def test_a_run_that_says_too_little_of_this_engine_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadReport) as refused:
        vllm_run(vllm(**changes), where="r")
    assert refused.value.field == field


@pytest.mark.parametrize("backend", ["vllm", "openai-chat", None])
def test_a_tenth_may_fail_and_protocols_are_no_servers(backend: str | None) -> None:
    assert vllm_run(vllm(failed=32, completed=288, backend=backend), where="r").points


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ([vllm()], "vllm bench sweep"),
        ({"tput_per_gpu": 1.0, "mean_tpot": 0.01}, "InferenceMAX"),
        ({"time_to_first_token": {"avg": 3.0}}, "aiperf or genai-perf"),
        (vllm(total_output_tokens_retokenized=5), "SGLang"),
        ({"benchmarks": []}, "--from guidellm"),
    ],
)
def test_files_of_other_tools_are_refused_by_their_name(report: Any, told: str) -> None:
    with pytest.raises(BadReport, match=told):
        vllm_run(report, where="r")
