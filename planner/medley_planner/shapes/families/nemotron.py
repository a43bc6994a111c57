"""NVIDIA's own: Nemotron-H and 3 (each layer is one of mixer, dense part or experts) and Nemotron NAS (each layer has
sizes of its own, or none)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medley_planner.shapes.families.qwen import state_bytes
from medley_planner.shapes.families.row import Architecture, gated_dense, plain_attention
from medley_planner.shapes.feed_forwards import dense, mixture
from medley_planner.shapes.layer import FeedForward, Mixer, ModelLayer
from medley_planner.shapes.mixers import mamba2
from medley_planner.shapes.reader import Reader

_LETTERS: Mapping[str, str] = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
_PLAIN_MATRICES = 2
_ROUND_TO = 256


def _hybrid(reader: Reader) -> list[ModelLayer]:
    kinds = [str(kind) for kind in reader.items("layers_block_type") or ()]
    kinds = kinds or [_LETTERS.get(letter, letter) for letter in reader.text("hybrid_override_pattern")]
    makers: Mapping[str, Any] = {"mamba": _mamba, "attention": plain_attention, "mlp": _dense, "moe": _experts}
    unknown = sorted(set(kinds) - set(makers))
    if unknown or not kinds:
        raise reader.bad("layers_block_type", unknown or "missing", f"give the kind of each layer: {', '.join(makers)}")
    made = {kind: makers[kind](reader) for kind in set(kinds)}
    return [_layer(made[kind]) for kind in kinds]


def _layer(part: Mixer | FeedForward) -> ModelLayer:
    return ModelLayer(part, None) if isinstance(part, Mixer) else ModelLayer(None, part)


def _mamba(reader: Reader) -> Mixer:
    return mamba2(
        hidden=reader.hidden,
        heads=reader.size("mamba_num_heads"),
        head_size=reader.size("mamba_head_dim"),
        state=reader.size("ssm_state_size"),
        groups=reader.size("n_groups"),
        kernel=reader.size("conv_kernel"),
        state_element_bytes=state_bytes(reader, "mamba_ssm_cache_dtype"),
        name="mixer",
    )


def _dense(reader: Reader) -> FeedForward:
    size = reader.size("intermediate_size")
    return dense(hidden=reader.hidden, size=size, matrices=_PLAIN_MATRICES, name="mixer")


def _experts(reader: Reader) -> FeedForward:
    experts = reader.size("n_routed_experts")
    return mixture(
        hidden=reader.hidden,
        experts=experts,
        per_token=reader.size("num_experts_per_tok", most=experts),
        size=reader.size("moe_intermediate_size"),
        shared=reader.size("n_shared_experts", default=0)
        * reader.size("moe_shared_expert_intermediate_size", "moe_intermediate_size"),
        matrices=_PLAIN_MATRICES,
        latent=reader.size("moe_latent_size", default=0),
        name="mixer",
    )


def _searched(reader: Reader) -> list[ModelLayer]:
    """`block_configs`: heads per group of each layer's attention and the factor of its feed-forward part, each of which
    may be absent."""
    blocks = reader.items("block_configs", count=reader.layers) or ()
    for block in blocks:
        if not isinstance(block, Mapping):
            raise reader.bad("block_configs", block, "give an object for each layer")
    return [_block(reader, Reader(reader.label, block)) for block in blocks]


def _block(reader: Reader, block: Reader) -> ModelLayer:
    attention, part = block.inner("attention"), block.inner("ffn")
    mixer = feed_forward = None
    if attention is not None and attention.has("n_heads_in_group"):
        heads = reader.heads
        mixer = plain_attention(reader, kv_heads=max(heads // attention.size("n_heads_in_group"), 1))
    if part is not None and not part.flag("no_op", default=False):
        feed_forward = gated_dense(reader, size=_inner(reader, part))
    return ModelLayer(mixer, feed_forward)


def _inner(reader: Reader, part: Reader) -> int:
    """Two thirds of `ffn_mult` times the hidden size, rounded up."""
    if part.has("intermediate_size"):
        return part.size("intermediate_size")
    factor = part.config.get("ffn_mult")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= 64:
        raise reader.bad("block_configs.ffn.ffn_mult", factor, "give a number above 0 and at most 64")
    return -(-int(2 * factor * reader.hidden / 3) // _ROUND_TO) * _ROUND_TO


ROWS: tuple[Architecture, ...] = (
    Architecture(
        ("nemotron_h",),
        "keys and formulas: transformers 5.24, modelling code of nemotron_h",
        _hybrid,
        classes=("NemotronHForCausalLM",),
        defaults={"conv_kernel": 4, "n_groups": 8},
    ),
    Architecture(
        ("nemotron-nas",),
        "keys and formulas: config.json and modelling code of nvidia/Llama-3_3-Nemotron-Super-49B-v1",
        _searched,
        classes=("DeciLMForCausalLM",),
    ),
)
