"""Rules that decide whether an engine starts, asked by memory fit and so by plan, estimate and rendering alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.capacity import memory_fit
from medley_planner.capacity.engine_rules import ENGINE_RULES, engine_refusal, precision_refusal, version_of
from medley_planner.catalog import gpu
from medley_planner.layout import KvFormat, Layout
from medley_planner.shapes import Precision, bundled_shape


def refusal(model: str, card: str, degree: int, *, version: str = "0.32.0", kv: KvFormat = KvFormat.BF16) -> str:
    shape = bundled_shape(model)
    layout = Layout(gpu(card), tensor_parallel=degree, precision=shape.precision, kv_format=kv, engine_version=version)
    return engine_refusal(shape, layout)


@pytest.mark.parametrize(
    ("model", "degree", "words"),
    [
        # vllm-project/vllm#17569: 1536 / 8 = 192.
        ("Qwen/Qwen3-235B-A22B-FP8", 8, "cuts mlp.experts of Qwen/Qwen3-235B-A22B-FP8 to 192 of 1536"),
        ("Qwen/Qwen3-235B-A22B-FP8", 4, ""),
        ("Qwen/Qwen3-30B-A3B-FP8", 4, "to 192 of 768"),
        ("Qwen/Qwen3-30B-A3B-FP8", 2, ""),
        ("deepseek-ai/DeepSeek-R1", 8, ""),
        ("deepseek-ai/DeepSeek-R1", 16, ""),
        ("deepseek-ai/DeepSeek-R1", 32, "to 576 of 18432"),
        # Groups of 128 in a row of 29568.
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", 1, ""),
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", 2, "cuts mlp.down_proj"),
        ("Qwen/Qwen2.5-32B-Instruct-AWQ", 4, ""),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", 8, ""),
        ("openai/gpt-oss-120b", 8, ""),
        ("Qwen/Qwen3-8B", 3, "does not divide the 32 attention heads and 8 KV heads"),
    ],
)
def test_shards_hold_whole_blocks_and_heads(model: str, degree: int, words: str) -> None:
    said = refusal(model, "H200", degree)
    assert (words in said) if words else said == ""
    if words:
        layout = Layout(gpu("H200"), tensor_parallel=degree, precision=bundled_shape(model).precision)
        assert memory_fit(bundled_shape(model), layout, max_model_len=2048).reason == said


def test_experts_that_are_spread_are_not_cut() -> None:
    shape = bundled_shape("Qwen/Qwen3-235B-A22B-FP8")
    layout = Layout(gpu("H200"), tensor_parallel=8, precision=Precision.FP8)
    assert engine_refusal(shape, layout)
    assert engine_refusal(shape, layout, spread_experts=True) == ""
    assert engine_refusal(shape, replace(layout, attention_data_parallel=2)) == ""


def test_fp8_made_at_load_has_no_blocks() -> None:
    layout = Layout(gpu("H200"), tensor_parallel=8, precision=Precision.FP8)
    assert engine_refusal(bundled_shape("Qwen/Qwen3-235B-A22B"), layout) == ""


@pytest.mark.parametrize(
    ("capability", "precision", "version", "runs"),
    [
        (7.0, Precision.FP8, "0.32.0", False),
        (7.5, Precision.FP8, "0.32.0", True),
        (7.5, Precision.FP8, "0.10.2", False),
        (8.0, Precision.FP8, "0.10.2", True),
        (7.5, Precision.FP4, "0.32.0", False),
        (8.0, Precision.FP4, "0.32.0", True),
        (7.5, Precision.INT4, "", True),
        (7.5, Precision.BF16, "0.8.5", False),
        (7.5, Precision.BF16, "", True),
        (7.0, Precision.BF16, "0.10.2", True),
        (7.0, Precision.BF16, "0.32.0", False),
        (None, Precision.INT4, "", True),
    ],
)
def test_weights_run_weight_only_from_a_compute_capability_on(
    capability: float | None, precision: Precision, version: str, runs: bool
) -> None:
    card = replace(gpu("A100-80"), compute_capability=capability)
    assert (precision_refusal(card, precision, version) == "") is runs


def test_other_vendors_run_fp8_where_the_gpu_has_its_arithmetic() -> None:
    assert precision_refusal(gpu("MI300X"), Precision.FP8, "") == ""
    assert "MI250X has no FP8" in precision_refusal(gpu("MI250X"), Precision.FP8, "")
    assert precision_refusal(gpu("MI250X"), Precision.BF16, "") == ""


def test_an_fp8_cache_needs_kernels_that_read_it() -> None:
    shape = bundled_shape("Qwen/Qwen2.5-7B-Instruct-AWQ")
    turing = replace(gpu("L4"), name="Turing", compute_capability=7.5)
    layout = Layout(turing, precision=Precision.INT4, kv_format=KvFormat.FP8)
    assert "remove --kv-cache-dtype" in engine_refusal(shape, layout)
    assert engine_refusal(shape, replace(layout, kv_format=KvFormat.BF16)) == ""
    assert refusal("Qwen/Qwen3-8B", "L4", 1, kv=KvFormat.FP8) == ""


@pytest.mark.parametrize(
    ("text", "version"),
    [("0.32.0", (0, 32, 0)), ("v0.9", (0, 9)), ("0.15.0rc1+cu129", (0, 15, 0)), ("", (998,)), ("nightly", (998,))],
)
def test_versions_are_read(text: str, version: tuple[int, ...]) -> None:
    assert version_of(text) == version


def test_each_rule_has_a_name_of_its_own_and_says_what_it_is_for() -> None:
    assert len({rule.name for rule in ENGINE_RULES}) == len(ENGINE_RULES)
    assert all(rule.check.__doc__ for rule in ENGINE_RULES)
