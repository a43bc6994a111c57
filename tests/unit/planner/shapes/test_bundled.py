"""Bundled shapes agree with the weight files and are found by the names that users write."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from medley_planner.shapes import Precision, UnknownModel, bundled, bundled_models, bundled_shape
from medley_planner.shapes.bundled import BundledModel

COUNTED_WITH_DRAFT = ("XiaomiMiMo/MiMo-7B-Base", "XiaomiMiMo/MiMo-7B-RL")
WEIGHT_FILES = "parameter count of the weight files"


@pytest.mark.parametrize("model", bundled_models(), ids=lambda model: model.model)
def test_bundled_parameters_are_the_published_ones(model: BundledModel) -> None:
    # Biases (which gpt-oss has in each expert) and per-head norms are left out; a model card rounds to its last digit.
    exact = model.source.startswith(WEIGHT_FILES)
    counted = model.shape.parameters() + (model.shape.draft_parameters if model.model in COUNTED_WITH_DRAFT else 0)
    assert counted == pytest.approx(model.declared_parameters, rel=6e-4 if exact else 0.01)
    assert model.shape.name == model.model
    assert model.shape.max_position is not None
    assert model.source


BYTES = {
    model: entry["bytes"]
    for entry in json.loads(files("medley_planner.shapes").joinpath("models.json").read_text())
    for model in entry["models"]
    if "bytes" in entry
}


@pytest.mark.parametrize("model", BYTES)
def test_bytes_of_a_quantized_checkpoint_are_those_of_its_files(model: str) -> None:
    shape = bundled_shape(model)
    assert shape.checkpoint is not None
    assert shape.weight_bytes(shape.precision) == pytest.approx(BYTES[model], rel=0.02)


def test_bytes_of_every_format_are_compared() -> None:
    methods = {form.method for model in BYTES if (form := bundled_shape(model).checkpoint) is not None}
    assert methods >= {"fp8", "fbgemm_fp8", "mxfp4", "awq", "compressed-tensors"}


def test_at_least_sixty_checkpoints_were_compared_with_copies_of_their_configs() -> None:
    compared = {(model.declared_parameters, model.shape.max_position) for model in bundled_models() if model.checked}
    assert len(compared) >= 60


# Bytes in BF16 that a token takes in layers that keep all tokens, and in all layers with that window.
KV_BYTES = {
    "meta-llama/Llama-2-70b-hf": (327_680, {}),
    "Qwen/Qwen3-Next-80B-A3B-Instruct": (24_576, {}),
    "Qwen/Qwen3.5-397B-A17B": (30_720, {}),
    "deepseek-ai/DeepSeek-V2-Lite": (31_104, {}),
    "deepseek-ai/DeepSeek-V3": (70_272, {}),
    # 61 layers of 576 numbers, and 128 FP8 ones with a scale of 4 bytes.
    "deepseek-ai/DeepSeek-V3.2": (61 * (1152 + 132), {}),
    "moonshotai/Kimi-Linear-48B-A3B-Instruct": (8_064, {}),
    "moonshotai/Kimi-K3": (24 * 1152, {}),
    "zai-org/GLM-4.5-Air": (46 * 4096, {}),
    "MiniMaxAI/MiniMax-M1-80k": (40_960, {}),
    "MiniMaxAI/MiniMax-M2.5": (253_952, {}),
    "openai/gpt-oss-120b": (36_864, {128: 36_864}),
    "google/gemma-2-27b-it": (23 * 8192, {4096: 23 * 8192}),
    "google/gemma-3-27b-it": (10 * 8192, {1024: 52 * 8192}),
    "google/gemma-4-31B": (81_920, {1024: 819_200}),
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": (12 * 4096, {8192: 36 * 4096}),
    "XiaomiMiMo/MiMo-V2-Flash": (23_040, {128: 39 * 8 * 320 * 2}),
    "CohereLabs/c4ai-command-r7b-12-2024": (8 * 4096, {4096: 24 * 4096}),
    "ibm-granite/granite-4.0-h-small": (16_384, {}),
    "ai21labs/AI21-Jamba-Mini-1.5": (16_384, {}),
    "LiquidAI/LFM2-8B-A1B": (12_288, {}),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": (6 * 1024, {}),
    "tiiuae/Falcon-H1-34B-Instruct": (72 * 2048, {}),
    "baidu/ERNIE-4.5-21B-A3B-PT": (57_344, {}),
}


@pytest.mark.parametrize("model", KV_BYTES)
def test_kv_bytes_per_token_follow_the_kind_of_each_layer(model: str) -> None:
    shape = bundled_shape(model)
    windows = {window: shape.window_bytes_per_token(window) for window in shape.windows()}
    assert (shape.kv_bytes_per_token(), windows) == KV_BYTES[model]


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", 12.9),
        ("qwen/qwen3-30b-a3b", 3.3),
        ("deepseek-ai/DeepSeek-V3", 37.6),
        ("moonshotai/Kimi-K2.5", 32.9),
        ("openai/gpt-oss-120b", 5.7),
    ],
)
def test_active_parameters_of_mixtures(model: str, billions: float) -> None:
    assert bundled_shape(model).active_parameters() / 1e9 == pytest.approx(billions, rel=0.02)


def test_sizes_of_a_known_model() -> None:
    shape = bundled_shape("hf://META-LLAMA/llama-3.1-8b-instruct")
    assert shape.kv_bytes_per_token() == 131072
    assert shape.kv_bytes_per_token(16) == 2 * 131072, "beyond 8 KV heads each GPU keeps a copy"
    assert shape.weight_bytes(Precision.BF16) == 2 * 8_030_261_248
    head_and_embedding = 2 * 128256 * 4096
    fp8 = shape.weight_bytes(Precision.FP8)
    assert fp8 == pytest.approx(8_030_261_248 + head_and_embedding, rel=1e-4)


def test_unknown_model_suggests_and_names_the_way_out() -> None:
    with pytest.raises(UnknownModel, match=r"spec\.model\.configJson") as caught:
        bundled_shape("hf://Qwen/Qwen3-8")
    assert "Qwen/Qwen3-8B" in caught.value.close
    with pytest.raises(UnknownModel) as far:
        bundled_shape("hf://acme/zzz")
    assert far.value.close == ()


def test_no_model_is_made_but_the_one_that_is_asked_for() -> None:
    """All of them take longer than a small plan."""
    bundled._bundled.cache_clear()
    bundled_shape("openai/gpt-oss-20b")
    assert bundled._bundled.cache_info().currsize == 1
