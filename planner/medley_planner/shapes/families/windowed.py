"""Models that mix full attention with layers that attend to a window: Gemma, Cohere 2, gpt-oss, Llama 4 and others."""

from __future__ import annotations

from medley_planner.shapes.families.row import (
    FULL,
    SLIDING,
    Architecture,
    every,
    gated_dense,
    layer_kinds,
    plain_attention,
    stack,
    windowed_mixers,
)
from medley_planner.shapes.feed_forwards import dense_parts, mixture
from medley_planner.shapes.layer import FeedForward, Mixer, ModelLayer, Weights
from medley_planner.shapes.reader import Reader
from medley_planner.shapes.towers import tower

_MODELLING = "keys, defaults and formulas: transformers 5.24, modelling code of"
_GEMMA3_DEFAULTS = {
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "vocab_size": 262208,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
}
_GEMMA4_DEFAULTS = {
    "head_dim": 256,
    "global_head_dim": 512,
    "vocab_size": 262144,
    "max_position_embeddings": 131072,
    "sliding_window": 512,
}


def _alternating(reader: Reader) -> list[ModelLayer]:
    """Every `sliding_window_pattern`-th layer attends to all; the feed-forward part is gated."""
    kinds = layer_kinds(reader, lambda index: every(index, _pattern(reader)))
    return stack(_mixers(reader, kinds), [gated_dense(reader)] * len(kinds))


def _pattern(reader: Reader) -> int:
    """A number, or as EXAONE 4 writes it, a letter for each layer of the pattern: LLLG."""
    value = reader.config.get("sliding_window_pattern")
    if isinstance(value, str) and value:
        return len(value)
    return reader.size("sliding_window_pattern", "_sliding_window_pattern", default=2)


def _mixers(reader: Reader, kinds: list[str]) -> list[Mixer]:
    return windowed_mixers(reader, kinds, reader.size("sliding_window", default=0))


def _first_slides(reader: Reader) -> list[ModelLayer]:
    """Windows in the layers of even index where the config does not list them; experts in all layers (gpt-oss)."""
    kinds = layer_kinds(reader, lambda index: FULL if index % 2 else SLIDING)
    part = mixture(
        hidden=reader.hidden,
        experts=reader.size("num_local_experts", "num_experts"),
        per_token=reader.size("num_experts_per_tok", "experts_per_token"),
        size=reader.size("intermediate_size"),
        name="mlp",
    )
    return stack(_mixers(reader, kinds), [part] * len(kinds))


def _llama4(reader: Reader) -> list[ModelLayer]:
    """Three of four layers attend within chunks; experts in every `interleave_moe_layer_step`-th layer."""
    count, hidden = reader.layers, reader.hidden
    kinds = layer_kinds(reader, lambda index: FULL if (index + 1) % 4 == 0 else "chunked_attention")
    step = reader.size("interleave_moe_layer_step", default=1)
    sparse = set(reader.numbers("moe_layers") or range(step - 1, count, step))
    size = reader.size("intermediate_size")
    experts = mixture(
        hidden=hidden,
        experts=reader.size("num_local_experts"),
        per_token=reader.size("num_experts_per_tok", default=1),
        size=size,
        shared=size,
        name="feed_forward",
        shared_name="shared_expert",
    )
    dense = gated_dense(reader, size=reader.size("intermediate_size_mlp", default=size), name="feed_forward")
    mixers = windowed_mixers(reader, kinds, reader.size("attention_chunk_size", default=0))
    return stack(mixers, [experts if index in sparse else dense for index in range(count)])


def _gemma4(reader: Reader) -> list[ModelLayer]:
    """Full layers have heads of their own size, the last layers may borrow their cache, and experts stand beside a
    dense part."""
    count, hidden = reader.layers, reader.hidden
    kinds = layer_kinds(reader, lambda index: every(index, 6))
    borrowed = count - reader.size("num_kv_shared_layers", default=0, most=count)
    same = reader.flag("attention_k_eq_v", default=False)
    window = reader.size("sliding_window", default=0)
    side = reader.size("hidden_size_per_layer_input", default=0)
    wide = 2 if reader.flag("use_double_wide_mlp", default=False) else 1
    layers = []
    for index, kind in enumerate(kinds):
        if kind == FULL:
            heads = reader.size("num_global_key_value_heads", default=reader.kv_heads) if same else reader.kv_heads
            mixer = plain_attention(
                reader,
                kv_heads=heads,
                size=reader.size("global_head_dim"),
                values_are_keys=same,
                borrows_cache=index >= borrowed,
            )
        else:
            mixer = plain_attention(reader, window=window, borrows_cache=index >= borrowed)
        size = reader.size("intermediate_size") * (wide if index >= borrowed else 1)
        parts = dense_parts(hidden=hidden, size=size)
        if side:
            parts += (Weights("per_layer_input_gate", 2 * hidden * side),)
        part = FeedForward(parts)
        if reader.flag("enable_moe_block", default=False):
            experts = mixture(
                hidden=hidden,
                experts=reader.size("num_experts"),
                per_token=reader.size("top_k_experts", "num_experts_per_tok"),
                size=reader.size("moe_intermediate_size", "expert_intermediate_size"),
                name="moe",
            )
            part = FeedForward(
                parts + experts.parts,
                experts.experts,
                experts.experts_per_token,
                experts.expert_parameters,
                experts.expert_split,
                "experts",
            )
        layers.append(ModelLayer(mixer, part))
    return layers


def _per_layer_embeddings(reader: Reader) -> int:
    """Gemma 4's small models look up an input for each layer, and project the embedding to all of them."""
    side = reader.size("hidden_size_per_layer_input", default=0) * reader.layers
    return side * (reader.size("vocab_size_per_layer_input", default=reader.size("vocab_size")) + reader.hidden)


ROWS: tuple[Architecture, ...] = (
    Architecture(
        ("gemma2",),
        f"{_MODELLING} gemma2",
        _alternating,
        tied=True,
        defaults={"sliding_window": 4096, "sliding_window_pattern": 2},
    ),
    Architecture(
        ("gemma3", "gemma3_text"),
        f"{_MODELLING} gemma3; vLLM takes max_position_embeddings as it is",
        _alternating,
        tied=True,
        tower=tower,
        defaults=_GEMMA3_DEFAULTS,
        stretched=True,
    ),
    Architecture(
        ("gemma4", "gemma4_text"),
        f"{_MODELLING} gemma4",
        _gemma4,
        tied=True,
        tower=tower,
        more=_per_layer_embeddings,
        defaults=_GEMMA4_DEFAULTS,
        stretched=True,
    ),
    Architecture(
        ("cohere2", "cohere2_vision"),
        f"{_MODELLING} cohere2",
        _alternating,
        tied=True,
        tower=tower,
        defaults={"sliding_window": 4096, "sliding_window_pattern": 4},
    ),
    Architecture(
        ("olmo3", "exaone4", "ministral"),
        f"{_MODELLING} olmo3, exaone4, ministral",
        _alternating,
        defaults={"sliding_window_pattern": 4},
    ),
    Architecture(("gpt_oss",), f"{_MODELLING} gpt_oss", _first_slides, classes=("GptOssForCausalLM",)),
    Architecture(
        ("llama4", "llama4_text"),
        f"{_MODELLING} llama4",
        _llama4,
        tower=tower,
        defaults={"attention_chunk_size": 8192, "head_dim": 128, "vocab_size": 202048},
    ),
)
