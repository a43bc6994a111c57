"""Reports of guidellm: which benchmarks become points, which are skipped, and which contradict themselves."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.profile.import_guidellm import guidellm_report
from medley_operator.profile.report import BadReport


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
        ({"benchmarks": [completed("many")]}, 'request_totals.successful is "many"'),
        ({"benchmarks": [completed(float("nan"))]}, "request_totals.successful is NaN"),
        ({"benchmarks": []}, "is not a guidellm report"),
        ({"benchmarks": [{}]}, "has no metrics"),
        ([], "is not a guidellm report"),
    ],
)
def test_a_guidellm_report_that_contradicts_itself_is_an_error(report: Any, words: str) -> None:
    with pytest.raises(BadReport, match=words):
        guidellm_report(report, where="g.json")


def test_a_benchmark_with_failures_or_a_rising_load_makes_no_point() -> None:
    run = guidellm({"type_": "concurrent", "streams": 10})
    run["metrics"]["request_totals"]["errored"] = 14
    with pytest.raises(BadReport) as refused:
        guidellm_report({"benchmarks": [run]}, where="g")
    assert refused.value.field == "metrics.request_totals.errored"
    rising = guidellm({"type_": "concurrent", "streams": 10, "rampup_duration": 5.0})
    found = guidellm_report({"benchmarks": [rising]}, where="g")
    assert found.points == ()
    assert "rampup_duration" in found.skipped[0]
