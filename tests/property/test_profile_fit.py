"""Whatever is in a profile, the fit answers with a value: finite factors within their bounds, or why there are none."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medley_operator.api.v1alpha1 import GPUPool, LLMService, ModelProfile, RuntimeProfile
from medley_operator.domain.speed.profiles import judge_profiles
from medley_operator.domain.values.profile_judgement import Known
from medley_operator.domain.values.snapshot import Snapshot
from medley_planner.capacity.fit import LEAST_FACTOR, MOST_FACTOR, Fit, fit_points
from medley_planner.capacity.points import LoadPoint
from medley_planner.catalog import gpu, known_gpus
from medley_planner.layout import Layout
from medley_planner.shapes import Precision, bundled_models

figures = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, 1e-9, 1e9]), st.floats(1e-3, 1e4))
latencies = st.one_of(st.none(), st.floats(), st.floats(1e-4, 20.0))
points = st.builds(
    LoadPoint,
    prompt_tokens=figures,
    generation_tokens=figures,
    concurrency=st.one_of(st.none(), figures),
    rate_rps=st.one_of(st.none(), figures),
    ttft_seconds=latencies,
    tpot_seconds=latencies,
    requests=st.integers(-1, 1000),
)
sensible = st.builds(
    LoadPoint,
    prompt_tokens=st.floats(1, 30000),
    generation_tokens=st.floats(1, 3000),
    concurrency=st.floats(1, 3000),
    rate_rps=st.none(),
    ttft_seconds=st.floats(0.01, 900),
    tpot_seconds=st.floats(0.001, 9),
    requests=st.integers(1, 1000),
) | st.builds(
    LoadPoint,
    prompt_tokens=st.floats(1, 30000),
    generation_tokens=st.floats(1, 3000),
    concurrency=st.none(),
    rate_rps=st.floats(1e-6, 1000),
    ttft_seconds=st.floats(0.01, 900),
    tpot_seconds=st.none() | st.floats(0.001, 9),
    requests=st.integers(1, 1000),
)


@settings(max_examples=60, deadline=None)
@given(
    measured=st.lists(st.one_of(points, sensible), max_size=5),
    model=st.sampled_from(bundled_models()),
    card=st.sampled_from(known_gpus()),
    degree=st.integers(1, 9),
    precision=st.sampled_from(Precision),
    budget=st.integers(256, 20000),
    sequences=st.integers(1, 4096),
    kv_tokens=st.none() | st.integers(1, 10**9),
)
def test_the_fit_is_a_value_for_any_points(
    measured: list[LoadPoint],
    model: Any,
    card: str,
    degree: int,
    precision: Precision,
    budget: int,
    sequences: int,
    kv_tokens: int | None,
) -> None:
    found = fit_points(
        measured,
        shape=model.shape,
        layout=Layout(gpu(card), tensor_parallel=degree, precision=precision),
        token_budget=budget,
        max_sequences=sequences,
        kv_tokens=kv_tokens,
    )
    if not isinstance(found, Fit):
        assert found.reason
        return
    assert found.used + len(found.refused) == len(measured)
    for part in (found.factors.fixed, found.factors.compute, found.factors.sequence, found.factors.kv):
        assert LEAST_FACTOR * 0.999 <= part <= MOST_FACTOR * 1.001
    assert 0 <= found.error < float("inf")


decimals = st.one_of(
    st.integers(0, 99999).map(str),
    st.floats(0, 5000).map(lambda value: f"{value:.3f}"),
)
durations = st.tuples(decimals, st.sampled_from(["ms", "s", "m", "h"])).map("".join)
specs = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-32B", "openai/gpt-oss-120b", "a/b"]),
        "gpu": st.sampled_from(["H100", "L4", "b200", "H999"]),
        "engineVersion": st.sampled_from(["0.32.0", "0.31"]),
    },
    optional={
        "tensorParallel": st.integers(1, 64),
        "precision": st.sampled_from(["BF16", "FP8", "FP4", "INT4"]),
        "stepFactors": st.dictionaries(st.sampled_from(["fixed", "compute", "sequence", "kv"]), decimals),
        "points": st.lists(
            st.fixed_dictionaries(
                {"promptTokens": decimals, "generationTokens": decimals},
                optional={
                    "concurrency": decimals,
                    "requestsPerSecond": decimals,
                    "ttft": durations,
                    "tpot": durations,
                    "requests": st.integers(0, 1000),
                },
            ),
            max_size=4,
        ),
        "kvTokens": st.integers(1, 10**9),
        "tokenBudget": st.integers(256, 131072),
        "maxSequences": st.integers(1, 4096),
        "errorPercent": decimals,
        "measuredAt": st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]),
    },
)
SERVICE = LLMService.model_validate(
    {"metadata": {"name": "a", "namespace": "n"}, "spec": {"model": {"uri": "hf://meta-llama/Llama-3.1-8B-Instruct"}}}
)
POOL = GPUPool.model_validate(
    {
        "metadata": {"name": "h100"},
        "spec": {
            "gpu": "H100",
            "nodeSelector": {"a": "b"},
            "capacity": {"gpusPerNode": 8},
            "cost": {"perHour": "6.88"},
        },
    }
)
PROFILE = RuntimeProfile.model_validate({"metadata": {"name": "vllm"}, "spec": {"image": "a/b:c", "version": "0.32.0"}})


@settings(max_examples=100, deadline=None)
@given(written=st.lists(specs, max_size=4))
def test_any_profile_that_the_api_takes_gets_a_judgement(written: list[dict[str, Any]]) -> None:
    profiles = []
    for index, spec in enumerate(written):
        try:
            profiles.append(ModelProfile.model_validate({"metadata": {"name": f"p{index}"}, "spec": spec}))
        except ValidationError:
            continue
    snapshot = Snapshot(
        services=(SERVICE,),
        pools=(POOL,),
        profiles=(PROFILE,),
        rejected=(),
        children={},
        gateways=None,
        observations={},
        model_profiles=tuple(profiles),
    )
    found = judge_profiles(snapshot)
    assert len(found) == len(profiles)
    counting = [one.known.key for one in found if one.counts and isinstance(one.known, Known)]
    assert len(set(counting)) == len(counting)
    for one in found:
        assert one.accepted.message
        if isinstance(one.known, Known):
            assert 0.5 <= one.known.speed.derate <= 0.95
