"""Whether a model fits a GPU, and how many tokens its KV cache then holds. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from medley_planner.catalog import Gpu
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape

KV_BLOCK_TOKENS = 16
"""vLLM's default block size; the cache is handed out in whole blocks."""

_GIB = 2.0**30
_GB = 1e9
# What the engine needs per GPU beside weights and KV cache: 1.24 GB on a 24 GB RTX 4090 (Llama-3.1-8B, vLLM 0.19),
# 2.73 GB (2.54 GiB: 0.16 non-torch, 2.38 activations) on an 80 GB H100 (7B model), both from engine start-up logs.
_RESERVE_SMALL_GB, _RESERVE_LARGE_GB = 1.24, 2.73
_SMALL_GPU_GB, _LARGE_GPU_GB = 24.0, 80.0


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """The outcome of a memory fit of one replica.

    `kv_tokens`: tokens that the KV cache holds (0 where nothing is left). `weights_gb`: all weights, 1e9 bytes.
    `reason`: empty where it fits, else a sentence with the figures and the way out.
    """

    fits: bool
    kv_tokens: int
    weights_gb: float
    max_model_len: int
    reason: str


def reserve_gb(gpu: Gpu) -> float:
    """GB per GPU beside weights and KV cache: linear between the two measured points, constant outside them."""
    position = (gpu.memory_gb - _SMALL_GPU_GB) / (_LARGE_GPU_GB - _SMALL_GPU_GB)
    return _RESERVE_SMALL_GB + min(max(position, 0.0), 1.0) * (_RESERVE_LARGE_GB - _RESERVE_SMALL_GB)


def memory_fit(
    shape: ModelShape,
    layout: Layout,
    *,
    max_model_len: int,
    utilisation: float = 0.9,
    engine_kv_tokens: int | None = None,
) -> MemoryFit:
    """Fits `shape` on the GPUs of `layout`; it must hold at least one sequence of `max_model_len` tokens.

    `utilisation` is the share of each GPU's usable memory that the engine may take (vLLM's gpu-memory-utilization).
    Groups of data parallel attention each keep a copy of what is not an expert. `engine_kv_tokens`: what an engine that
    runs so says of its cache; it replaces the estimate.
    """
    gpu, precision = layout.gpu, layout.precision
    copied = shape.dense_parameters() * shape.dense_weight_bytes(precision)
    weights_gb = (shape.weight_bytes(precision) + (layout.attention_data_parallel - 1) * copied) / _GB
    group = layout.tensor_parallel // layout.attention_data_parallel
    kv_bytes = shape.kv_bytes_per_token(group, element_bytes=layout.kv_format.element_bytes)
    budget_gb = utilisation * gpu.usable_gib * _GIB / _GB
    free_gb = layout.gpus * (budget_gb - reserve_gb(gpu)) - weights_gb
    kv_tokens = max(0, int(free_gb * _GB / kv_bytes) // KV_BLOCK_TOKENS * KV_BLOCK_TOKENS)
    if engine_kv_tokens is not None:
        kv_tokens = engine_kv_tokens
    reason = _reason(shape, layout, max_model_len, weights_gb, budget_gb, kv_tokens)
    return MemoryFit(not reason, kv_tokens, weights_gb, max_model_len, reason)


def _reason(
    shape: ModelShape,
    layout: Layout,
    max_model_len: int,
    weights_gb: float,
    budget_gb: float,
    kv_tokens: int,
) -> str:
    gpus, tensor_parallel = layout.hardware, layout.tensor_parallel
    if shape.heads % tensor_parallel or (shape.kv_heads % tensor_parallel and tensor_parallel % shape.kv_heads):
        return (
            f"tensorParallel {tensor_parallel} does not divide the {shape.heads} attention heads and "
            f"{shape.kv_heads} KV heads of {shape.name}; use a divisor of both"
        )
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
