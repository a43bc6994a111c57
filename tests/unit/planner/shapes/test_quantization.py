"""quantization_config: bytes, arithmetic and what is left out, by format."""

from __future__ import annotations

from typing import Any

import pytest

from medley_planner.shapes import BadConfig, ModelShape, Precision, shape_from_config

LLAMA_70B: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 28672,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
LINEAR = 80 * (8192 * 128 * (2 * 64 + 2 * 8) + 3 * 8192 * 28672)
REST = 2 * (2 * 128256 * 8192 + 8192 * 161)
MIXTURE = {**LLAMA_70B, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}


def of(quantization: object, config: dict[str, Any] = LLAMA_70B) -> ModelShape:
    return shape_from_config({**config, "quantization_config": quantization}, name="m")


def group(bits: int, kind: str, *, size: int | None = None, targets: tuple[str, ...] = ("Linear",)) -> dict[str, Any]:
    return {"weights": {"num_bits": bits, "type": kind, "group_size": size}, "targets": list(targets)}


@pytest.mark.parametrize(
    ("quantization", "precision", "width"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, Precision.FP8, 1 + 4 / 128**2),
        ({"quant_method": "fp8", "activation_scheme": "static"}, Precision.FP8, 1.0),
        ({"quant_method": "fbgemm_fp8"}, Precision.FP8, 1.0),
        ({"quant_method": "compressed-tensors", "config_groups": {"0": group(8, "float")}}, Precision.FP8, 1.0),
        ({"quant_method": "compressed-tensors", "config_groups": {"0": group(8, "int")}}, Precision.INT8, 1.0),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"0": group(4, "int", size=128)}},
            Precision.INT4,
            0.5 + 2 / 128,
        ),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"0": group(4, "float", size=16)}},
            Precision.FP4,
            0.5625,
        ),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, Precision.FP4, 0.5625),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, Precision.FP8, 1.0),
        ({"quant_algo": "FP8"}, Precision.FP8, 1.0),
        ({"quant_method": "mxfp8"}, Precision.FP8, 1 + 1 / 32),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, Precision.INT4, 0.5 + 2.5 / 128),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, Precision.INT8, 1 + 3 / 128),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, Precision.INT4, 0.5),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, Precision.INT4, 0.5 + 1 / 64 + 1 / 4096),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, Precision.INT8, 1.0),
    ],
)
def test_formats_and_their_widths(quantization: dict[str, Any], precision: Precision, width: float) -> None:
    shape = of(quantization)
    assert shape.precision is precision
    assert shape.weight_bytes(precision) == pytest.approx(LINEAR * width + REST, rel=1e-9)


def test_what_is_left_out_keeps_its_own_width() -> None:
    left = [f"model.layers.{index}.self_attn.{name}_proj" for index in range(80) for name in "qkvo"]
    shape = of({"quant_method": "fp8", "modules_to_not_convert": [*left, "lm_head"]})
    attention = 80 * 8192 * 128 * (2 * 64 + 2 * 8)
    assert shape.weight_bytes(Precision.FP8) == pytest.approx(LINEAR + attention + REST)
    assert shape.checkpoint is not None
    assert shape.checkpoint.splits == (("mlp.gate_proj", 28672), ("mlp.up_proj", 28672), ("mlp.down_proj", 28672))
    assert of({"quant_method": "fp8", "ignored_layers": ["self_attn", "mlp"]}).checkpoint is None


def test_mxfp4_is_of_experts_alone() -> None:
    shape = of({"quant_method": "mxfp4"}, MIXTURE)
    assert (shape.precision, shape.dense_precision(Precision.FP4)) == (Precision.FP4, Precision.BF16)
    assert shape.expert_weight_bytes(Precision.FP4) == 0.5 + 1 / 32
    assert of({"quant_method": "mxfp4"}).checkpoint is None


def test_routers_are_never_quantized() -> None:
    shape = of({"quant_method": "fp8"}, MIXTURE)
    router = 80 * 8192 * 8
    assert shape.dense_parameters() * shape.dense_weight_bytes(Precision.FP8) == pytest.approx(
        shape.dense_parameters() + router
    )


def test_groups_that_name_modules_go_first() -> None:
    groups = {"a": group(8, "float"), "b": group(4, "float", size=16, targets=("re:.*experts.*",))}
    shape = of({"quant_method": "compressed-tensors", "config_groups": groups}, MIXTURE)
    assert (shape.precision, shape.dense_precision(Precision.FP4)) == (Precision.FP4, Precision.FP8)
    assert shape.expert_weight_bytes(Precision.FP4) == 0.5625
    layered = {f"model.layers.{i}.block_sparse_moe.experts.0.w1": {"quant_algo": "NVFP4"} for i in range(80)}
    mixed = of({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layered}, MIXTURE)
    assert (mixed.precision, mixed.dense_precision(Precision.FP4)) == (Precision.FP4, Precision.BF16)


def test_another_format_than_the_checkpoint_s_is_that_of_a_sibling() -> None:
    shape = of({"quant_method": "awq", "bits": 4, "group_size": 128})
    assert shape.weight_bytes(Precision.BF16) == 2 * shape.parameters()
    assert shape.weight_bytes(Precision.FP8) == pytest.approx(LINEAR + REST)


@pytest.mark.parametrize(
    ("quantization", "field"),
    [
        ({"quant_method": "quark"}, "quantization_config.quant_method"),
        ({"bits": 4}, "quantization_config.quant_method"),
        ({"quant_method": "modelopt", "quant_algo": "W9"}, "quantization_config.quant_algo"),
        ({"quant_method": "compressed-tensors"}, "quantization_config.config_groups"),
        ({"quant_method": "fp8", "ignore": ["re:(a+)+"]}, "quantization_config.ignore"),
        ({"quant_method": "gptq"}, "bits"),
        ([1], "quantization_config"),
        ({"quant_method": "fp8", "weight_block_size": ["x"]}, "weight_block_size"),
    ],
)
def test_what_cannot_be_read_is_refused_by_key(quantization: object, field: str) -> None:
    with pytest.raises(BadConfig) as caught:
        of(quantization)
    assert caught.value.field == field


@pytest.mark.parametrize("quantization", [None, {}])
def test_without_a_format_the_weights_are_bf16(quantization: object) -> None:
    shape = of(quantization)
    assert (shape.precision, shape.checkpoint) == (Precision.BF16, None)
