"""Qwen3-Next, Qwen3.5 and Qwen3.6: three of four layers are Gated DeltaNet, the fourth is gated attention."""

from __future__ import annotations

from collections.abc import Sequence

from medley_planner.shapes.families.mixture import EXPERTS, qwen_parts
from medley_planner.shapes.families.row import (
    FULL,
    Architecture,
    every,
    gated_dense,
    layer_kinds,
    plain_attention,
    stack,
)
from medley_planner.shapes.layer import ModelLayer
from medley_planner.shapes.mixers import gated_delta
from medley_planner.shapes.reader import Reader
from medley_planner.shapes.towers import tower

_FP32 = 4.0


def _layers(reader: Reader) -> list[ModelLayer]:
    interval = reader.size("full_attention_interval", default=4)
    kinds = layer_kinds(reader, lambda index: every(index, interval))
    full = plain_attention(reader, gated=reader.flag("attn_output_gate", default=True))
    delta = gated_delta(
        hidden=reader.hidden,
        key_heads=reader.size("linear_num_key_heads"),
        value_heads=reader.size("linear_num_value_heads"),
        key_size=reader.size("linear_key_head_dim"),
        value_size=reader.size("linear_value_head_dim"),
        kernel=reader.size("linear_conv_kernel_dim"),
        state_element_bytes=state_bytes(reader, "mamba_ssm_dtype"),
    )
    has_experts = any(reader.has(key) for key in EXPERTS)
    parts = qwen_parts(reader) if has_experts else [gated_dense(reader)] * reader.layers
    return stack([full if kind == FULL else delta for kind in kinds], parts)


def state_bytes(reader: Reader, key: str) -> float:
    """vLLM keeps the state in the model's own format unless the config asks for FP32."""
    return _FP32 if reader.text(key) == "float32" else 2.0


def _draft(reader: Reader, layers: Sequence[ModelLayer]) -> int:
    count = reader.size("mtp_num_hidden_layers", default=0)
    return count * (layers[-1].every_token + layers[-1].in_experts) + (2 * reader.hidden**2 if count else 0)


_SOURCE = "keys and formulas: transformers 5.24, modelling code of"

ROWS: tuple[Architecture, ...] = (
    Architecture(("qwen3_next",), f"{_SOURCE} qwen3_next", _layers, classes=("Qwen3NextForCausalLM",)),
    Architecture(
        ("qwen3_5", "qwen3_5_moe", "qwen3_5_text", "qwen3_5_moe_text"),
        f"{_SOURCE} qwen3_5, qwen3_5_moe",
        _layers,
        tower=tower,
        draft=_draft,
    ),
)
