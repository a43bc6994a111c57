"""The manifest of a profile: that the API takes it, and that what it says is what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from medley_operator.api.v1alpha1 import MAX_POINTS, ModelProfile
from medley_operator.profile.manifest import model_profile_manifest, profile_name
from medley_planner.capacity import StepFactors
from medley_planner.capacity.fit import Fit
from medley_planner.capacity.points import LoadPoint
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import Precision

POINT = LoadPoint(
    prompt_tokens=1020.5,
    generation_tokens=256,
    concurrency=8,
    rate_rps=None,
    ttft_seconds=0.0951,
    tpot_seconds=0.0123456,
    requests=80,
)
BAD = replace(POINT, requests=0)
FIT = Fit(
    factors=StepFactors(fixed=1.23456, compute=0.5),
    error=0.0312,
    ttft_error=0.2,
    used=1,
    refused=((BAD, "requests is 0"),),
)


def manifest(*points: LoadPoint, fit: Fit = FIT, engine_version: str = "0.32.0") -> ModelProfile:
    made = model_profile_manifest(
        model="hf://meta-llama/Llama-3.1-8B-Instruct",
        layout=Layout(gpu("H100"), tensor_parallel=2, precision=Precision.FP8, engine_version=engine_version),
        fit=fit,
        points=points,
        tool="vllm-bench",
        note="driver 580",
        measured_at="2026-11-27T13:00:00Z",
        kv_tokens=500000,
        token_budget=4096,
        max_sequences=256,
    )
    assert (made["apiVersion"], made["kind"]) == ("medley.dev/v1alpha1", "ModelProfile")
    return ModelProfile.model_validate(made)


def test_points_are_written_as_they_were_measured_less_those_refused() -> None:
    by_rate = replace(POINT, concurrency=None, rate_rps=2.5, tpot_seconds=None)
    spec = manifest(POINT, BAD, by_rate).spec
    assert [point.requests for point in spec.points] == [80, 80]
    first, second = spec.points
    assert (first.prompt_tokens, first.generation_tokens, first.concurrency) == ("1020.5", "256", "8")
    assert (first.ttft, first.tpot, first.requests_per_second) == ("95.1ms", "12.346ms", None)
    assert (second.concurrency, second.requests_per_second, second.tpot) == (None, "2.5", None)
    assert spec.step_factors is None
    assert (spec.error_percent, spec.kv_tokens, spec.token_budget, spec.max_sequences) == ("3.1", 500000, 4096, 256)
    assert (spec.model, spec.source.tool) == ("meta-llama/Llama-3.1-8B-Instruct", "vllm-bench")


def test_more_points_than_an_object_holds_are_written_as_factors() -> None:
    spec = manifest(*[replace(POINT, requests=1 + i) for i in range(MAX_POINTS + 1)]).spec
    assert spec.points == []
    assert spec.step_factors is not None
    assert (spec.step_factors.fixed, spec.step_factors.compute, spec.step_factors.kv) == ("1.2346", "0.5", "1")


def test_a_value_that_the_api_refuses_is_an_error_here_already() -> None:
    with pytest.raises(ValidationError, match="engineVersion"):
        manifest(POINT, engine_version="nightly")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("org/_x_", "x"),
        ("a" * 100, "a" * 49),
    ],
)
def test_names_are_legal_and_tell_what_was_measured(model: str, name: str) -> None:
    made = profile_name(model, Layout(gpu("H100")))
    assert made == f"{name}-h100-tp1-bf16"
    assert len(made) <= 63
