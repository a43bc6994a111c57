"""Bytes of quantized checkpoints against the sizes of their published files, by format and group size.

Each config is that of the checkpoint, cut to what sizes follow from. Sizes of single files are exact (LFS pointers);
those of several are sums of what Hugging Face's file list shows, rounded to three digits each. Files hold also biases,
index lists of groups and headers, together below 0.5 %.
"""

from __future__ import annotations

from typing import Any

import pytest

from medley_planner.shapes import shape_from_config

LLAMA_30B = {"hidden": 6656, "layers": 60, "heads": 52, "kv": 52, "inner": 17920, "vocab": 32000}
LLAMA2_7B = {"hidden": 4096, "layers": 32, "heads": 32, "kv": 32, "inner": 11008, "vocab": 32008}
LLAMA2_70B = {"hidden": 8192, "layers": 80, "heads": 64, "kv": 8, "inner": 28672, "vocab": 32000}
LLAMA3_8B = {"hidden": 4096, "layers": 32, "heads": 32, "kv": 8, "inner": 14336, "vocab": 128256}
LLAMA3_70B = {**LLAMA2_70B, "vocab": 128256}
QWEN25_7B = {"hidden": 3584, "layers": 28, "heads": 28, "kv": 4, "inner": 18944, "vocab": 152064, "type": "qwen2"}
QWEN25_32B = {"hidden": 5120, "layers": 64, "heads": 40, "kv": 8, "inner": 27648, "vocab": 152064, "type": "qwen2"}
GEMMA_7B = {"hidden": 3072, "layers": 28, "heads": 16, "kv": 16, "inner": 24576, "vocab": 256000, "type": "gemma"}

WIZARD = "CesarChaMal/Wizard-Vicuna-30B-Uncensored-GPTQ: "
GENZ = "itdevwu/Genz-70b-GPTQ: README.md"


def gptq(bits: int, group: int) -> dict[str, Any]:
    return {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": True, "sym": True}


NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
NF4_TWICE = {**NF4, "bnb_4bit_use_double_quant": True}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}
MODELOPT_FP8 = {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["lm_head"]}
W4A16 = {
    "quant_method": "compressed-tensors",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 4, "type": "int", "group_size": 128, "symmetric": True, "strategy": "group"},
        }
    },
    "ignore": ["lm_head"],
}

# Sizes, format, bytes of the files, where they are published.
PUBLISHED: tuple[tuple[dict[str, Any], dict[str, Any], float, str], ...] = (
    (LLAMA_30B, gptq(3, 128), 13_509_984_992, WIZARD + "gptq_model-3bit-128g.safetensors"),
    (LLAMA_30B, gptq(4, 128), 17_554_104_608, WIZARD + "gptq_model-4bit-128g.safetensors"),
    (LLAMA_30B, gptq(4, 64), 18_181_100_544, WIZARD + "gptq_model-4bit-64g.safetensors"),
    (LLAMA_30B, gptq(4, 32), 19_435_090_976, WIZARD + "gptq_model-4bit-32g.safetensors"),
    (LLAMA_30B, gptq(8, 128), 33_730_582_288, WIZARD + "gptq_model-8bit-128g.safetensors"),
    (LLAMA_30B, gptq(8, -1), 32_990_628_688, WIZARD + "gptq_model-8bit--1g.safetensors"),
    (LLAMA2_70B, gptq(4, 128), 36_652_345_792, "itdevwu/Genz-70b-GPTQ: model.safetensors"),
    (LLAMA2_70B, gptq(4, 32), 40.66e9, GENZ),
    (LLAMA2_70B, gptq(3, -1), 26.77e9, GENZ),
    (LLAMA2_70B, gptq(3, 128), 28.03e9, GENZ),
    (QWEN25_32B, gptq(4, 128), 19.34e9, "huggingface.co/Qwen/Qwen2.5-32B-Instruct-GPTQ-Int4"),
    (LLAMA3_70B, gptq(4, 128), 39.81e9, "huggingface.co/shuyuej/Llama-3.3-70B-Instruct-GPTQ"),
    (QWEN25_7B, AWQ, 5.57e9, "huggingface.co/graelo/Qwen2.5-7B-Instruct-1M-AWQ"),
    (QWEN25_32B, W4A16, 19.22e9, "huggingface.co/xiaoxixiaoxi/Qwen2.5-32B-Instruct-quantized_w4a16_wy"),
    (LLAMA3_8B, MODELOPT_FP8, 9.08e9, "huggingface.co/nvidia/Llama-3.1-8B-Instruct-FP8"),
    (LLAMA2_7B, NF4_TWICE, 3.87e9, "huggingface.co/sroecker/granite-7b-lab-bnb-4bit"),
    (GEMMA_7B, NF4_TWICE, 5.573e9, "huggingface.co/SalimBou5/unsloth-gemma-7b-bnb-4bit-reference_model"),
)


@pytest.mark.parametrize(("sizes", "quantization", "published", "source"), PUBLISHED, ids=lambda each: str(each)[-60:])
def test_bytes_are_those_of_the_published_files(
    sizes: dict[str, Any], quantization: dict[str, Any], published: float, source: str
) -> None:
    shape = shape_from_config(
        {
            "model_type": sizes.get("type", "llama"),
            "hidden_size": sizes["hidden"],
            "num_hidden_layers": sizes["layers"],
            "num_attention_heads": sizes["heads"],
            "num_key_value_heads": sizes["kv"],
            "head_dim": 256 if sizes.get("type") == "gemma" else sizes["hidden"] // sizes["heads"],
            "intermediate_size": sizes["inner"],
            "vocab_size": sizes["vocab"],
            "max_position_embeddings": 4096,
            "tie_word_embeddings": sizes.get("type") == "gemma",
            "quantization_config": quantization,
        },
        name=source,
    )
    assert shape.weight_bytes(shape.precision) == pytest.approx(published, rel=0.005)
