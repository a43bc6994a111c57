"""The kinds of mixers as functions from their sizes to their figures. Pure.

A kind that is new is one more function here. Names of parts are those of the Hugging Face checkpoints; sizes and
formulas follow the modelling code of transformers 5.24 and what vLLM keeps in its cache.
"""

from __future__ import annotations

from medley_planner.shapes.layer import Cache, Mixer, Weights

INDEX_KEY_BYTES = 132 / 128
"""vLLM stores the keys of a sparse indexer in FP8 with a 4-byte scale for each 128 numbers."""


def attention(
    *,
    hidden: int,
    heads: int,
    kv_heads: int,
    size: int,
    value_size: int | None = None,
    window: int = 0,
    gated: bool = False,
    values_are_keys: bool = False,
    borrows_cache: bool = False,
    index: tuple[int, int, int] | None = None,
    name: str = "self_attn",
) -> Mixer:
    """Grouped-query attention with heads of `size` (values of `value_size`).

    `gated`: each head's output has a gate, which doubles the queries' projection. `values_are_keys`: one projection
    makes both, and both are cached. `borrows_cache`: keys and values are those of an earlier layer. `index`: heads,
    size and number of selected tokens of an indexer (sparse attention).
    """
    values = size if value_size is None else value_size
    parts = [Weights(f"{name}.q_proj", hidden * heads * size * (2 if gated else 1), heads * size)]
    if not borrows_cache:
        parts.append(Weights(f"{name}.k_proj", hidden * kv_heads * size, kv_heads * size))
        if not values_are_keys:
            parts.append(Weights(f"{name}.v_proj", hidden * kv_heads * values, kv_heads * values))
    parts.append(Weights(f"{name}.o_proj", heads * values * hidden, heads * values))
    selected = 0
    caches: list[Cache] = []
    if index is not None:
        index_heads, index_size, selected = index
        parts.append(Weights(f"{name}.indexer", hidden * index_size * (index_heads + 1)))
        caches.append(Cache(index_size))
    if not borrows_cache:
        caches.insert(0, Cache(size + values, kv_heads, window, selected))
    return Mixer(
        parts=tuple(parts),
        caches=tuple(caches),
        heads=heads,
        kv_heads=kv_heads,
        flops_per_pair=2.0 * heads * (size + values),
        span=window or selected,
    )


def latent(
    *,
    hidden: int,
    heads: int,
    kv_rank: int,
    query_rank: int,
    nope_size: int,
    rope_size: int,
    value_size: int,
    gated: bool = False,
    index: tuple[int, int] | None = None,
    selected: int = 0,
    name: str = "self_attn",
) -> Mixer:
    """Multi-head latent attention (DeepSeek-V2): `kv_rank` + `rope_size` numbers per token for all heads, whole on each
    GPU. `query_rank` 0: queries are not compressed.

    Sparse (DeepSeek-V3.2): each token attends to `selected` tokens; `index` are heads and size of the layer's own
    indexer, None where it uses another layer's.
    """
    query_size = heads * (nope_size + rope_size)
    parts = (
        [
            Weights(f"{name}.q_a_proj", hidden * query_rank),
            Weights(f"{name}.q_b_proj", query_rank * query_size, query_size),
        ]
        if query_rank
        else [Weights(f"{name}.q_proj", hidden * query_size, query_size)]
    )
    both = heads * (nope_size + value_size)
    parts += [
        Weights(f"{name}.kv_a_proj_with_mqa", hidden * (kv_rank + rope_size)),
        Weights(f"{name}.kv_b_proj", kv_rank * both, both),
        Weights(f"{name}.o_proj", heads * value_size * hidden, heads * value_size),
    ]
    if gated:
        parts.append(Weights(f"{name}.g_proj", hidden * heads * value_size, heads * value_size))
    caches = [Cache(kv_rank + rope_size, reads=selected)]
    if index is not None:
        index_heads, index_size = index
        parts += [
            Weights(f"{name}.indexer.wq_b", (query_rank or hidden) * index_heads * index_size),
            Weights(f"{name}.indexer.wk", hidden * index_size),
            Weights(f"{name}.indexer.weights_proj", hidden * index_heads, kept=True),
        ]
        caches.append(Cache(index_size, element_bytes=INDEX_KEY_BYTES))
    return Mixer(
        parts=tuple(parts),
        caches=tuple(caches),
        heads=heads,
        flops_per_pair=2.0 * heads * (nope_size + rope_size + value_size),
        span=selected,
    )


def compressed(
    *,
    hidden: int,
    heads: int,
    size: int,
    query_rank: int,
    groups: int,
    group_rank: int,
    window: int,
    ratio: int,
    index: tuple[int, int] = (0, 0),
    selected: int = 0,
    name: str = "self_attn",
) -> Mixer:
    """DeepSeek-V4: one key that is also the value, of the last `window` tokens, and where `ratio` is above 0 one more
    for each `ratio` tokens. `index`: heads and size of an indexer that selects `selected` of these, (0, 0): none."""
    parts = [
        Weights(f"{name}.q_a_proj", hidden * query_rank),
        Weights(f"{name}.q_b_proj", query_rank * heads * size, heads * size),
        Weights(f"{name}.kv_proj", hidden * size),
        Weights(f"{name}.o_a_proj", heads * size * group_rank, groups * group_rank),
        Weights(f"{name}.o_b_proj", groups * group_rank * hidden, groups * group_rank),
    ]
    caches = [Cache(size, window=window)]
    index_heads, index_size = index
    if ratio:
        twice = 2 if index_heads else 1
        parts.append(Weights(f"{name}.compressor", 2 * twice * hidden * size, kept=True))
        caches.append(Cache(size / ratio, reads=selected * ratio))
    if index_heads:
        parts += [
            Weights(f"{name}.indexer.compressor", 4 * hidden * index_size, kept=True),
            Weights(f"{name}.indexer.q_b_proj", query_rank * index_heads * index_size),
            Weights(f"{name}.indexer.weights_proj", hidden * index_heads, kept=True),
        ]
        caches.append(Cache(index_size / ratio, element_bytes=INDEX_KEY_BYTES))
    pair = 4.0 * heads * size
    return Mixer(
        parts=tuple(parts),
        caches=tuple(caches),
        heads=heads,
        flops_per_pair=pair / ratio if ratio and not selected else pair,
        span=0 if ratio and not selected else window + selected,
    )


def mamba2(
    *,
    hidden: int,
    heads: int,
    head_size: int,
    state: int,
    groups: int,
    kernel: int,
    state_element_bytes: float = 2.0,
    name: str = "mamba",
) -> Mixer:
    """Mamba-2: a state of `heads` x `head_size` x `state` numbers per sequence, and the convolution's last inputs."""
    inner = heads * head_size
    convolved = inner + 2 * groups * state
    parts = (
        Weights(f"{name}.in_proj", hidden * (inner + convolved + heads), inner),
        Weights(f"{name}.conv1d", convolved * (kernel + 1), kept=True),
        Weights(f"{name}.out_proj", inner * hidden, inner),
    )
    kept = inner * state * state_element_bytes + convolved * (kernel - 1) * 2.0
    return Mixer(parts=parts, state_bytes=kept, heads=heads)


def mamba1(*, hidden: int, inner: int, state: int, rank: int, kernel: int, name: str = "mamba") -> Mixer:
    """Mamba (the first): `inner` channels with `state` numbers each, and a time step of rank `rank`."""
    parts = (
        Weights(f"{name}.in_proj", hidden * 2 * inner, inner),
        Weights(f"{name}.conv1d", inner * (kernel + 1), kept=True),
        Weights(f"{name}.x_proj", inner * (rank + 2 * state), inner),
        Weights(f"{name}.dt_proj", rank * inner + inner, inner),
        Weights(f"{name}.A_log", inner * (state + 1), kept=True),
        Weights(f"{name}.out_proj", inner * hidden, inner),
    )
    return Mixer(parts=parts, state_bytes=2.0 * inner * (state + kernel - 1))


def gated_delta(
    *,
    hidden: int,
    key_heads: int,
    value_heads: int,
    key_size: int,
    value_size: int,
    kernel: int,
    state_element_bytes: float = 2.0,
    name: str = "linear_attn",
) -> Mixer:
    """Gated DeltaNet (Qwen3-Next): a state of `value_heads` x `key_size` x `value_size` numbers per sequence."""
    keys, values = key_heads * key_size, value_heads * value_size
    convolved = 2 * keys + values
    parts = (
        Weights(f"{name}.in_proj_qkv", hidden * (2 * keys + values), keys),
        Weights(f"{name}.in_proj_z", hidden * values, values),
        Weights(f"{name}.in_proj_ba", hidden * 2 * value_heads, value_heads, kept=True),
        Weights(f"{name}.conv1d", convolved * kernel, kept=True),
        Weights(f"{name}.out_proj", values * hidden, values),
    )
    kept = value_heads * key_size * value_size * state_element_bytes + convolved * (kernel - 1) * 2.0
    return Mixer(parts=parts, state_bytes=kept, heads=key_heads)


def kimi_delta(
    *, hidden: int, heads: int, size: int, kernel: int, full_gate: bool = False, name: str = "self_attn"
) -> Mixer:
    """Kimi Delta Attention: as Gated DeltaNet with a decay for each channel; the state is FP32.

    `full_gate`: the output gate is one projection instead of two of low rank (Kimi K3).
    """
    inner = heads * size
    gate = hidden * inner if full_gate else (hidden + inner) * size
    parts = (
        Weights(f"{name}.q_proj", hidden * inner, inner),
        Weights(f"{name}.k_proj", hidden * inner, inner),
        Weights(f"{name}.v_proj", hidden * inner, inner),
        Weights(f"{name}.conv1d", 3 * inner * kernel, kept=True),
        Weights(f"{name}.f_proj", (hidden + inner) * size, kept=True),
        Weights(f"{name}.b_proj", hidden * heads, kept=True),
        Weights(f"{name}.g_proj", gate, inner, kept=True),
        Weights(f"{name}.o_proj", inner * hidden, inner),
    )
    return Mixer(parts=parts, state_bytes=inner * size * 4.0 + 3 * inner * (kernel - 1) * 2.0, heads=heads)


def lightning(*, hidden: int, heads: int, size: int, name: str = "self_attn") -> Mixer:
    """Lightning attention (MiniMax-01 and M1): a state of `heads` x `size` x `size` numbers, and an output gate."""
    inner = heads * size
    parts = (
        Weights(f"{name}.qkv_proj", hidden * 3 * inner, inner),
        Weights(f"{name}.output_gate", hidden * inner, inner),
        Weights(f"{name}.out_proj", inner * hidden, inner),
    )
    return Mixer(parts=parts, state_bytes=4.0 * inner * size, heads=heads)


def short_convolution(*, hidden: int, kernel: int, name: str = "conv") -> Mixer:
    """LFM2's gated short convolution: the last inputs of each channel are all its state."""
    parts = (
        Weights(f"{name}.in_proj", 3 * hidden * hidden, hidden),
        Weights(f"{name}.conv", hidden * kernel, kept=True),
        Weights(f"{name}.out_proj", hidden * hidden, hidden),
    )
    return Mixer(parts=parts, state_bytes=2.0 * hidden * (kernel - 1))
