"""Rules of the engine that decide whether a replica starts at all, as one table by engine version. Pure.

The memory fit asks them first, so plan, estimate, check and rendering cannot differ. A rule looks at the shape and the
layout, and answers a sentence with the way out, or "" where the engine starts. Sources: vLLM 0.32's documentation of
quantization (hardware support, FP8, Marlin), vllm-project/vllm#17569 (block-quantized shards).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from medley_planner.catalog import Gpu
from medley_planner.layout import KvFormat, Layout
from medley_planner.shapes import ModelShape, Precision

Version = tuple[int, ...]
_LATEST: Version = (999,)
_FIRST: Version = (0,)

# The least compute capability of NVIDIA GPUs on which weights of a format run: weight-only by Marlin kernels where the
# GPU lacks the arithmetic.
_LEAST_CAPABILITY: Mapping[Precision, tuple[tuple[Version, float], ...]] = {
    # Without BF16 arithmetic, checkpoints in BF16 run in FP16; binaries for 7.0 ended with CUDA 12.8.
    Precision.BF16: ((_FIRST, 8.0), ((0, 9), 7.0), ((0, 11), 7.5)),
    Precision.FP8: ((_FIRST, 8.0), ((0, 15), 7.5)),
    Precision.INT8: ((_FIRST, 7.5),),
    Precision.INT4: ((_FIRST, 7.5),),
    Precision.FP4: ((_FIRST, 8.0),),
}
_FP8_CACHE_CAPABILITY = 8.0
"""The attention kernels that convert an FP8 cache as they read it begin with Ampere."""


@dataclass(frozen=True, slots=True)
class EngineRule:
    """`since` and `until`: the engine versions that it holds for, the first included, the last not."""

    name: str
    check: Callable[[ModelShape, Layout, bool], str]
    since: Version = _FIRST
    until: Version = _LATEST


def engine_refusal(shape: ModelShape, layout: Layout, *, spread_experts: bool = False) -> str:
    """Why such an engine does not start; "" where it does. Memory is not looked at.

    `spread_experts`: experts are whole on one GPU each, as with data parallel attention they are anyway.
    """
    version = version_of(layout.engine_version)
    held = (rule for rule in ENGINE_RULES if rule.since <= version < rule.until)
    return next((reason for rule in held if (reason := rule.check(shape, layout, spread_experts))), "")


def precision_refusal(gpu: Gpu, precision: Precision, engine_version: str) -> str:
    """Why weights of that format do not run on the GPU, "" where they do."""
    if gpu.compute_capability is None:
        return _other_vendors(gpu, precision)
    version = version_of(engine_version)
    least = [capability for since, capability in _LEAST_CAPABILITY[precision] if since <= version][-1]
    if gpu.compute_capability >= least:
        return ""
    return (
        f"{gpu.name} has compute capability {gpu.compute_capability:g}, and weights in {precision} need {least:g} or "
        "more; use another GPU type or a checkpoint in another format"
    )


def _other_vendors(gpu: Gpu, precision: Precision) -> str:
    """ROCm and Gaudi builds have no weight-only kernels for FP8 where the GPU lacks the arithmetic."""
    if precision is not Precision.FP8 or gpu.fp8_tflops is not None:
        return ""
    return f"{gpu.name} has no FP8 arithmetic; use another GPU type or a checkpoint in another format"


def version_of(text: str) -> Version:
    """The leading numbers of a version, such as (0, 32, 0); the latest where there are none."""
    numbers = re.match(r"v?(\d{1,6}(?:\.\d{1,6})*)", text)
    return tuple(int(part) for part in numbers[1].split(".")) if numbers else (998,)


def _whole_gpus(_: ModelShape, layout: Layout, __: bool) -> str:
    """Parts of a GPU have no links between them."""
    if not layout.gpu.part or layout.gpus == 1:
        return ""
    return (
        f"{layout.gpu.name} is a part of a GPU, and engines do not run over several of them; use tensorParallel 1, or "
        "whole GPUs"
    )


def _heads(shape: ModelShape, layout: Layout, _: bool) -> str:
    """Tensor parallelism divides the heads of queries, and the KV heads or a multiple of them."""
    degree = layout.tensor_parallel
    for heads, kv_heads in shape.splits:
        if heads % degree or (kv_heads and kv_heads % degree and degree % kv_heads):
            named = f"the {heads} attention heads" + (f" and {kv_heads} KV heads" if kv_heads else "")
            divisor = "both" if kv_heads else "it"
            return f"tensorParallel {degree} does not divide {named} of {shape.name}; use a divisor of {divisor}"
    return ""


def _scales(shape: ModelShape, layout: Layout, spread_experts: bool) -> str:
    """Each GPU's share of a quantized weight holds whole blocks or groups of weights that share a scale."""
    form = shape.checkpoint
    if form is None or layout.precision is not form.precision or layout.tensor_parallel == 1:
        return ""
    if not form.block and not (form.group and form.precision in (Precision.INT4, Precision.INT8)):
        return ""
    for name, size in form.splits:
        share = _share(shape, layout, name, size, spread_experts=spread_experts)
        unit = form.block or (form.group if name.endswith(_CUT_ALONG_GROUPS) else 1)
        if share % unit:
            return (
                f"tensorParallel {layout.tensor_parallel} cuts {name} of {shape.name} to {share:g} of {size}, which is "
                f"not a multiple of the {unit} weights that share a scale in its {form.words} checkpoint; use a lower "
                "degree, or a checkpoint in another format"
            )
    return ""


_CUT_ALONG_GROUPS = ("o_proj", "down_proj", "out_proj", "experts")
"""Weights that tensor parallelism cuts along the rows that hold the groups."""


def _share(shape: ModelShape, layout: Layout, name: str, size: int, *, spread_experts: bool) -> float:
    """The size of one GPU's part. KV heads are copied beyond their number, experts whole where they are spread."""
    degree = layout.tensor_parallel // layout.attention_data_parallel
    if name.endswith("experts"):
        return float(size) if spread_experts or layout.attention_data_parallel > 1 else size / layout.tensor_parallel
    if name.endswith(("k_proj", "v_proj")):
        kv_heads = max((kv_heads for _, kv_heads in shape.splits), default=0)
        return size / min(degree, kv_heads or degree)
    return size / degree


def _arithmetic(_: ModelShape, layout: Layout, __: bool) -> str:
    """The GPU runs weights of the checkpoint's format, if only weight-only."""
    return precision_refusal(layout.gpu, layout.precision, layout.engine_version)


def _fp8_cache(_: ModelShape, layout: Layout, __: bool) -> str:
    """The GPU's attention kernels read an FP8 cache."""
    capability = layout.gpu.compute_capability
    if layout.kv_format is not KvFormat.FP8 or capability is None or capability >= _FP8_CACHE_CAPABILITY:
        return ""
    return (
        f"{layout.gpu.name} has compute capability {capability:g}, and a KV cache in FP8 needs "
        f"{_FP8_CACHE_CAPABILITY:g} or more; remove --kv-cache-dtype, or use another GPU type"
    )


ENGINE_RULES: tuple[EngineRule, ...] = (
    # First what no other degree mends.
    EngineRule("arithmetic", _arithmetic),
    EngineRule("parts", _whole_gpus),
    EngineRule("heads", _heads),
    EngineRule("scales", _scales, since=(0, 9)),
    EngineRule("cache", _fp8_cache),
)
