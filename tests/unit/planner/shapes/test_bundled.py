"""Bundled shapes agree with the weight files and are found by the names that users write."""

from __future__ import annotations

import pytest

from medley_planner.shapes import Precision, UnknownModel, bundled_models, bundled_shape
from medley_planner.shapes.bundled import BundledModel


@pytest.mark.parametrize("model", bundled_models(), ids=lambda model: model.model)
def test_bundled_parameters_are_those_of_the_weight_files(model: BundledModel) -> None:
    # Only biases (which gpt-oss has in each expert) and per-head norms are left out.
    assert model.shape.parameters() == pytest.approx(model.declared_parameters, rel=4e-4)
    assert model.shape.name == model.model
    assert model.shape.max_position is not None


def test_at_least_ten_models_are_bundled() -> None:
    assert len({model.declared_parameters for model in bundled_models()}) >= 10


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
