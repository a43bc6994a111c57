"""Attention beside state-space, linear or convolution layers: Granite 4, Bamba, Falcon-H1, Jamba, LFM2, MiniMax M1."""

from __future__ import annotations

from medley_planner.shapes.families.mixture import routed
from medley_planner.shapes.families.qwen import state_bytes
from medley_planner.shapes.families.row import Architecture, gated_dense, plain_attention, stack
from medley_planner.shapes.layer import FeedForward, Mixer, ModelLayer
from medley_planner.shapes.mixers import lightning, mamba1, mamba2, short_convolution
from medley_planner.shapes.reader import Reader

_MODELLING = "keys, defaults and formulas: transformers 5.24, modelling code of"


def _mamba(reader: Reader) -> Mixer:
    """Mamba-2 by the keys of Bamba, Granite and Falcon-H1."""
    inner = reader.size("mamba_d_ssm", default=0) or reader.size("mamba_expand", default=2) * reader.hidden
    heads = reader.size("mamba_n_heads")
    size = inner // heads if str(reader.config.get("mamba_d_head", "auto")) == "auto" else reader.size("mamba_d_head")
    return mamba2(
        hidden=reader.hidden,
        heads=heads,
        head_size=size,
        state=reader.size("mamba_d_state"),
        groups=reader.size("mamba_n_groups", default=1),
        kernel=reader.size("mamba_d_conv", default=4),
        state_element_bytes=state_bytes(reader, "mamba_ssm_cache_dtype"),
    )


def _granite(reader: Reader) -> list[ModelLayer]:
    """Granite 4: with experts beside a shared part, or (dense sizes) the shared part alone."""
    count = reader.layers
    kinds = reader.items("layer_types", count=count) or ["mamba"] * count
    shared = reader.size("shared_intermediate_size", default=0)
    part: FeedForward = (
        routed(reader, shared=shared, size=reader.size("intermediate_size"))
        if reader.size("num_local_experts", default=0)
        else gated_dense(reader, size=shared or reader.size("intermediate_size"))
    )
    attention = plain_attention(reader)
    if all(kind == "attention" for kind in kinds):
        return stack([attention] * count, [part] * count)
    mamba = _mamba(reader)
    return stack([attention if kind == "attention" else mamba for kind in kinds], [part] * count)


def _bamba(reader: Reader) -> list[ModelLayer]:
    count = reader.layers
    at = set(reader.numbers("attn_layer_indices"))
    mixers = [plain_attention(reader) if index in at else _mamba(reader) for index in range(count)]
    return stack(mixers, [gated_dense(reader)] * count)


def _falcon_h1(reader: Reader) -> list[ModelLayer]:
    """Both side by side in each layer."""
    both = plain_attention(reader).beside(_mamba(reader))
    return stack([both] * reader.layers, [gated_dense(reader)] * reader.layers)


def _jamba(reader: Reader) -> list[ModelLayer]:
    """Attention and experts each in every so manieth layer, from an offset on."""
    hidden, count = reader.hidden, reader.layers
    rank = reader.config.get("mamba_dt_rank", "auto")
    mamba = mamba1(
        hidden=hidden,
        inner=reader.size("mamba_expand") * hidden,
        state=reader.size("mamba_d_state"),
        rank=-(-hidden // 16) if rank == "auto" else reader.size("mamba_dt_rank"),
        kernel=reader.size("mamba_d_conv"),
    )
    attention, experts, dense = plain_attention(reader), routed(reader), gated_dense(reader)
    period, offset = reader.size("attn_layer_period"), reader.size("attn_layer_offset", default=0)
    each, first = reader.size("expert_layer_period"), reader.size("expert_layer_offset", default=0)
    mixers = [attention if index % period == offset else mamba for index in range(count)]
    return stack(mixers, [experts if index % each == first else dense for index in range(count)])


def _lfm2(reader: Reader) -> list[ModelLayer]:
    """Short convolutions with attention where the config says so; dense, or experts after the first dense layers."""
    count = reader.layers
    at = set(reader.numbers("full_attn_idxs"))
    otherwise = ["full_attention" if index in at else "conv" for index in range(count)]
    kinds = reader.items("layer_types", count=count) or otherwise
    conv = short_convolution(hidden=reader.hidden, kernel=reader.size("conv_L_cache"))
    attention = plain_attention(reader)
    mixers = [attention if kind == "full_attention" else conv for kind in kinds]
    size = reader.size("block_ff_dim", "intermediate_size")
    if reader.has("num_experts"):
        dense = gated_dense(reader, size=size)
        experts, first = routed(reader), reader.size("num_dense_layers", default=0)
        return stack(mixers, [dense if index < first else experts for index in range(count)])
    if reader.flag("block_auto_adjust_ff_dim", default=True):
        multiple = reader.size("block_multiple_of")
        size = -(-int(_factor(reader) * int(2 * size / 3)) // multiple) * multiple
    return stack(mixers, [gated_dense(reader, size=size)] * count)


def _factor(reader: Reader) -> float:
    value = reader.config.get("block_ffn_dim_multiplier")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 16:
        raise reader.bad("block_ffn_dim_multiplier", value, "give a number above 0 and at most 16")
    return float(value)


def _minimax(reader: Reader) -> list[ModelLayer]:
    """MiniMax-01 and M1: lightning attention, and full attention where `attn_type_list` has a 1."""
    count = reader.layers
    named = reader.items("layer_types", count=count)
    listed = reader.items("attn_type_list", count=count) or [index % 2 == 0 for index in range(count)]
    full = [bool(flag) for flag in listed] if named is None else [kind == "full_attention" for kind in named]
    linear = lightning(hidden=reader.hidden, heads=reader.heads, size=reader.head_size)
    attention, part = plain_attention(reader), routed(reader)
    return stack([attention if flag else linear for flag in full], [part] * count)


ROWS: tuple[Architecture, ...] = (
    Architecture(
        ("granitemoehybrid",),
        f"{_MODELLING} granitemoehybrid",
        _granite,
        tied=True,
        classes=("GraniteMoeHybridForCausalLM",),
    ),
    Architecture(("bamba",), f"{_MODELLING} bamba", _bamba, defaults={"mamba_d_state": 256, "mamba_n_heads": 128}),
    Architecture(("falcon_h1",), f"{_MODELLING} falcon_h1", _falcon_h1),
    Architecture(
        ("jamba",),
        f"{_MODELLING} jamba",
        _jamba,
        defaults={
            "mamba_expand": 2,
            "mamba_d_state": 16,
            "mamba_d_conv": 4,
            "attn_layer_period": 8,
            "attn_layer_offset": 4,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
        },
    ),
    Architecture(
        ("lfm2", "lfm2_moe"),
        f"{_MODELLING} lfm2, lfm2_moe",
        _lfm2,
        tied=True,
        defaults={"conv_L_cache": 3, "block_multiple_of": 256, "block_ffn_dim_multiplier": 1.0},
    ),
    Architecture(
        ("minimax", "minimax_text_01", "minimax_m1", "MiniMaxText01", "MiniMaxM1"),
        f"{_MODELLING} minimax; attn_type_list: config.json of MiniMax-M1",
        _minimax,
        classes=("MiniMaxText01ForCausalLM", "MiniMaxM1ForCausalLM", "MiniMaxForCausalLM"),
    ),
)
