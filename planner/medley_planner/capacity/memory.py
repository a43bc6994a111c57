"""Whether a model fits a GPU, and how many tokens its KV cache then holds. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from medley_planner.capacity.engine_rules import engine_refusal
from medley_planner.catalog import Gpu
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape

KV_BLOCK_TOKENS = 16
"""vLLM's default block size; the cache is handed out in whole blocks."""

DEFAULT_TOKEN_BUDGET = 2048
"""vLLM's default for online serving."""

_GIB = 2.0**30
_GB = 1e9
# What the engine needs per GPU beside weights and KV cache: 1.24 GB on a 24 GB RTX 4090 (Llama-3.1-8B, vLLM 0.19),
# 2.73 GB (2.54 GiB: 0.16 non-torch, 2.38 activations) on an 80 GB H100 (7B model), both from engine start-up logs.
_RESERVE_SMALL_GB, _RESERVE_LARGE_GB = 1.24, 2.73
_SMALL_GPU_GB, _LARGE_GPU_GB = 24.0, 80.0


@dataclass(frozen=True, slots=True)
class SequenceCost:
    """The tokens that a sequence takes of a cache that is counted in tokens of the longest sequence.

    `token` for each of its tokens, `window_token` for each of its last `window` tokens, `fixed` whatever its length:
    1, 0 and 0 where all layers keep all tokens. Layers with several windows count with the longest.
    """

    token: float = 1.0
    window_token: float = 0.0
    window: float = 0.0
    fixed: float = 0.0

    def tokens(self, length: float) -> float:
        return self.token * length + self.window_token * min(length, self.window) + self.fixed

    def engine_cache(self, kv_tokens: int) -> tuple[int, int]:
        """The cache as an engine hands it out: its size in tokens of the layers that keep all of them, and the blocks
        that a sequence takes beside its tokens, its windows counted as full."""
        if self == WHOLE:
            return kv_tokens, 0
        own = (self.window_token * self.window + self.fixed) / self.token
        return math.ceil(kv_tokens / self.token), int(own) // KV_BLOCK_TOKENS


WHOLE = SequenceCost()


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """The outcome of a memory fit of one replica.

    `kv_tokens`: tokens that the KV cache holds of sequences as long as they may be (0 where nothing is left); `cost`:
    how many of these a sequence of another length takes. `weights_gb`: all weights, 1e9 bytes. `reason`: empty where
    it fits, else a sentence with the figures and the way out.
    """

    fits: bool
    kv_tokens: int
    weights_gb: float
    max_model_len: int
    reason: str
    cost: SequenceCost = WHOLE


def reserve_gb(gpu: Gpu) -> float:
    """GB per GPU beside weights and KV cache: linear between the two measured points, constant outside them."""
    position = (gpu.memory_gb - _SMALL_GPU_GB) / (_LARGE_GPU_GB - _SMALL_GPU_GB)
    return _RESERVE_SMALL_GB + min(max(position, 0.0), 1.0) * (_RESERVE_LARGE_GB - _RESERVE_SMALL_GB)


def sequence_cost(shape: ModelShape, layout: Layout, max_model_len: int) -> SequenceCost:
    """The cost of any sequence in tokens of one of `max_model_len`."""
    longest = _sequence_bytes(shape, layout, max_model_len) / max_model_len
    windows = shape.windows()
    # Shorter windows count as the longest one, with their bytes spread over it.
    window = max(windows, default=0)
    each = sum(_window_bytes(shape, layout, one) * one / window for one in windows)
    return SequenceCost(
        token=_kv_bytes(shape, layout) / longest if longest else 1.0,
        window_token=each / longest if longest else 0.0,
        window=float(window),
        fixed=shape.state_bytes_per_sequence() / longest if longest else 0.0,
    )


def memory_fit(
    shape: ModelShape,
    layout: Layout,
    *,
    max_model_len: int,
    utilisation: float = 0.9,
    engine_kv_tokens: int | None = None,
    token_budget: int = DEFAULT_TOKEN_BUDGET,
    spread_experts: bool = False,
) -> MemoryFit:
    """Fits `shape` on the GPUs of `layout`; it must hold at least one sequence of `max_model_len` tokens.

    `utilisation` is the share of each GPU's usable memory that the engine may take (vLLM's gpu-memory-utilization).
    Groups of data parallel attention each keep a copy of what is not an expert. `engine_kv_tokens`: what an engine that
    runs so says of its cache; it replaces the estimate. `token_budget`: layers with a window hold so many prompt tokens
    beside it while a prompt is computed. `spread_experts`: see `engine_refusal`.
    """
    gpu, precision = layout.gpu, layout.precision
    copied = shape.dense_parameters() * shape.dense_weight_bytes(precision)
    weights_gb = (shape.weight_bytes(precision) + (layout.attention_data_parallel - 1) * copied) / _GB
    longest = _sequence_bytes(shape, layout, max_model_len)
    budget_gb = utilisation * gpu.usable_gib * _GIB / _GB
    free_gb = layout.gpus * (budget_gb - reserve_gb(gpu)) - weights_gb
    # A model without any cache or state would hold any number of sequences; none is known.
    kv_tokens = max(0, int(free_gb * _GB / (longest / max_model_len)) // KV_BLOCK_TOKENS * KV_BLOCK_TOKENS)
    cost = sequence_cost(shape, layout, max_model_len)
    most_tokens = kv_tokens
    if cost.window:
        # While its prompt is computed a sequence holds more than afterwards.
        most_tokens = _longest_held(shape, layout, free_gb * _GB, max_model_len, token_budget)
    if engine_kv_tokens is not None:
        kv_tokens = most_tokens = engine_kv_tokens
    reason = engine_refusal(shape, layout, spread_experts=spread_experts)
    reason = reason or _reason(shape, layout, max_model_len, weights_gb, budget_gb, min(kv_tokens, most_tokens))
    return MemoryFit(not reason, kv_tokens, weights_gb, max_model_len, reason, cost)


def _kv_bytes(shape: ModelShape, layout: Layout) -> float:
    return shape.kv_bytes_per_token(_group(layout), element_bytes=layout.kv_format.element_bytes)


def _window_bytes(shape: ModelShape, layout: Layout, window: int) -> float:
    return shape.window_bytes_per_token(window, _group(layout), element_bytes=layout.kv_format.element_bytes)


def _sequence_bytes(shape: ModelShape, layout: Layout, tokens: int, *, chunk: int = 0) -> float:
    element_bytes = layout.kv_format.element_bytes
    return shape.sequence_bytes(tokens, _group(layout), element_bytes=element_bytes, chunk=chunk)


def _group(layout: Layout) -> int:
    return layout.tensor_parallel // layout.attention_data_parallel


def _longest_held(shape: ModelShape, layout: Layout, free_bytes: float, max_model_len: int, chunk: int) -> int:
    """The longest sequence, up to `max_model_len`, that is held while its prompt is computed; whole blocks below it."""
    if _sequence_bytes(shape, layout, max_model_len, chunk=chunk) <= free_bytes:
        return max_model_len
    low, high = 0, max_model_len
    while high - low > KV_BLOCK_TOKENS:
        middle = (low + high) // 2
        fits = _sequence_bytes(shape, layout, middle, chunk=chunk) <= free_bytes
        low, high = (middle, high) if fits else (low, middle)
    return low // KV_BLOCK_TOKENS * KV_BLOCK_TOKENS


def _reason(
    shape: ModelShape,
    layout: Layout,
    max_model_len: int,
    weights_gb: float,
    budget_gb: float,
    kv_tokens: int,
) -> str:
    gpus = layout.hardware
    if shape.max_position is not None and max_model_len > shape.max_position:
        return (
            f"maxModelLen {max_model_len} is more than the {shape.max_position} positions of {shape.name}; "
            f"set spec.model.maxModelLen to at most {shape.max_position}"
        )
    if kv_tokens == 0:
        return (
            f"{shape.name} in {layout.precision} takes {weights_gb:.1f} GB of weights, but {gpus} leave the engine "
            f"only {layout.gpus * (budget_gb - reserve_gb(layout.gpu)):.1f} GB; use more GPUs per replica or a larger "
            "GPU"
        )
    if kv_tokens < max_model_len:
        return (
            f"beside {weights_gb:.1f} GB of weights the KV cache of {gpus} holds {kv_tokens} tokens, fewer than "
            f"maxModelLen {max_model_len}; set spec.model.maxModelLen to at most {kv_tokens}, or use more GPUs per "
            "replica or a larger GPU"
        )
    return ""
