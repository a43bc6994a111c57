"""The speed that a GPU's kernels reach in the steps of an engine: matrix products, reads of weights, all-reduces. Pure.

One set of figures for all GPUs and models, found together with those of `step_time`.
"""

from __future__ import annotations

import math

from medley_planner.catalog import Gpu
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape, Precision

# Kernel tables time one product alone, some 50 MB, of which the first 2.6 us read nothing. Within a CUDA graph the next
# product starts to read while one ends. The faster the memory, the more that is worth.
_RAMP_SECONDS, _RAMP_BYTES, _MOST_MEMORY = 2.6e-6, 50e6, 0.95
# What the experts' grouped products, which have few rows each, reach of dense ones, by the format of the activations.
_EXPERT_COMPUTE_FP8, _EXPERT_COMPUTE_FP4, _EXPERT_COMPUTE_BF16 = 0.235, 0.28, 0.375
_EXPERT_TILE = 256
"""Kernels compute the share of an expert that a GPU has in whole tiles: vLLM pads shares in MXFP4 and INT4 to so many,
and Triton's products in FP8 run as if it did. Of an inner size of 1536, an eighth takes the time of a sixth."""
# Kernels of experts that are made for one GPU generation (Blackwell: FP8, FP4) read at the memory's speed; Triton's and
# Marlin's take apart at most so many bytes of weights per second and GPU: no more on H200 and B200 than on H100.
_UNFUSED_EXPERT_BYTES_PER_SECOND = 3.0e12
_FUSED_EXPERTS_FROM = 10.0
"""Compute capability."""
# Weight-only kernels multiply with the instructions of Ampere, which newer tensor cores run at a part of their peak.
_WEIGHT_ONLY_COMPUTE = {9: 0.62, 10: 0.33}
# All-reduces reach the speed of H100's NVLink, but no more on B200, whose NVLink is twice as fast: the GPU's own
# copying limits them. Over PCIe they pass the host's memory (vLLM 0.19, Qwen3-32B on two RTX PRO 6000).
_LINK_EFFICIENCY, _PCIE_EFFICIENCY = 0.7, 0.25
_PCIE_GB_PER_SECOND = 64.0
_MOST_LINK_BYTES_PER_SECOND = 340e9


def in_whole_tiles(shape: ModelShape, layout: Layout) -> float:
    """The time that products of experts take, as a multiple of that of tiles that fit the share that a GPU has."""
    if shape.mixture is None or not shape.mixture.expert_split:
        return 1.0
    share = shape.mixture.expert_split / (1 if layout.attention_data_parallel > 1 else layout.tensor_parallel)
    return math.ceil(share / _EXPERT_TILE) * _EXPERT_TILE / share


def memory_share(gpu: Gpu) -> float:
    """The share of the memory's bandwidth that reads of weights reach within a CUDA graph."""
    ramp = _RAMP_SECONDS * gpu.memory_gb_per_second * 1e9 / _RAMP_BYTES
    return min(gpu.memory * (1.0 + ramp), _MOST_MEMORY)


def link_bytes_per_second(gpu: Gpu, gpus: int) -> float:
    """Speed at which each of so many GPUs sends in an all-reduce."""
    link = gpu.link_between(gpus) * 1e9
    if gpu.link_between(gpus) <= _PCIE_GB_PER_SECOND:
        return link * _PCIE_EFFICIENCY
    return min(link * _LINK_EFFICIENCY, _MOST_LINK_BYTES_PER_SECOND)


def has_arithmetic(gpu: Gpu, precision: Precision) -> bool:
    """Whether the GPU multiplies in that format of 8 or 4 bits, so that activations are brought into it too."""
    if precision in (Precision.FP8, Precision.INT8):
        return gpu.fp8_tflops is not None
    return precision is Precision.FP4 and gpu.fp4_tflops is not None


def expert_bytes_per_second(gpu: Gpu, precision: Precision) -> float:
    """Speed at which one GPU reads experts' weights of that format."""
    read = gpu.memory_gb_per_second * 1e9 * memory_share(gpu)
    fused = (gpu.compute_capability or 0.0) >= _FUSED_EXPERTS_FROM and has_arithmetic(gpu, precision)
    return read if fused else min(read, _UNFUSED_EXPERT_BYTES_PER_SECOND)


def expert_share(gpu: Gpu, precision: Precision) -> float:
    """The share of `flops` that the products of experts reach."""
    if not has_arithmetic(gpu, precision):
        return _EXPERT_COMPUTE_BF16
    return _EXPERT_COMPUTE_FP4 if precision is Precision.FP4 else _EXPERT_COMPUTE_FP8


def flops(gpu: Gpu, precision: Precision) -> float:
    """Operations per second that one GPU reaches in matrix products of `precision`."""
    if has_arithmetic(gpu, precision):
        if precision is Precision.FP4:
            return (gpu.fp4_tflops or 0.0) * 1e12 * gpu.gemm_fp4
        return (gpu.fp8_tflops or 0.0) * 1e12 * gpu.gemm_fp8
    bf16 = gpu.bf16_tflops * 1e12 * gpu.gemm_bf16
    if precision is Precision.BF16:
        return bf16
    return bf16 * _WEIGHT_ONLY_COMPUTE.get(int(gpu.compute_capability or 0.0), 1.0)
