"""Kimi Linear and Kimi K3: Kimi Delta Attention with latent attention in every fourth layer.

Apart: a family's own keys, as all modules here.
"""

from __future__ import annotations

from medley_planner.shapes.families.deepseek import latent_mixer
from medley_planner.shapes.families.mixture import routed, shared_size
from medley_planner.shapes.families.row import Architecture, gated_dense, moe_flags, stack
from medley_planner.shapes.layer import ModelLayer
from medley_planner.shapes.mixers import kimi_delta
from medley_planner.shapes.reader import Reader
from medley_planner.shapes.towers import tower


def _layers(reader: Reader) -> list[ModelLayer]:
    count = reader.layers
    linear = reader.inner("linear_attn_config")
    if linear is None:
        raise reader.bad("linear_attn_config", "missing", "add it as the model's own config.json has it")
    full = {number - 1 for number in linear.numbers("full_attn_layers") or range(4, count + 1, 4)}
    delta = kimi_delta(
        hidden=reader.hidden,
        heads=linear.size("num_heads"),
        size=linear.size("head_dim"),
        kernel=linear.size("short_conv_kernel_size"),
        full_gate=linear.flag("use_full_rank_gate", default=False),
    )
    attention = latent_mixer(reader, gated=reader.flag("mla_use_output_gate", default=False))
    experts = routed(reader, shared=shared_size(reader), latent=reader.size("routed_expert_hidden_size", default=0))
    dense = gated_dense(reader)
    mixers = [attention if index in full else delta for index in range(count)]
    return stack(mixers, [experts if flag else dense for flag in moe_flags(reader)])


ROWS: tuple[Architecture, ...] = (
    Architecture(
        ("kimi_linear", "kimi_k3"),
        "keys: config.json of Kimi-Linear-48B and Kimi-K3; formulas: transformers 5.24, kimi_linear",
        _layers,
        classes=("KimiLinearForCausalLM",),
        tower=tower,
    ),
)
