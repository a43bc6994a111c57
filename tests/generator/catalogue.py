"""The parts of the drawn instances: pools with prices, models with targets, and the shapes these give.

Nothing here is drawn; a shape's capacity comes from the data sheet through the planner's own estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from medley_planner.catalog import gpu
from medley_planner.shapes import Precision, bundled_shape
from medley_planner.workload import standard_buckets
from tests.generator.capacity_row import capacity_row

POOLS = {
    "l4": ("L4", 0.14),
    "a10g": ("A10G", 0.19),
    "l40s": ("L40S", 0.46),
    "a100-40": ("A100-40", 0.85),
    "a100-80": ("A100-80", 1.05),
    "h100": ("H100", 2.39),
    "h100-spot": ("H100", 2.09),
    "h200": ("H200", 2.49),
    "b200": ("B200", 4.49),
    "mi300x": ("MI300X", 2.19),
}
"""GPU type and US dollars per GPU and hour of each pool: set so that no pool is best for all services."""

SPOT_POOLS = {
    "l4-spot": ("L4", 0.09),
    "l40s-spot": ("L40S", 0.31),
    "a100-80-spot": ("A100-80", 0.74),
}
"""Pools that fleets with spot GPUs have besides `POOLS`, in which "h100-spot" is then marked as spot as well."""

MODELS = (
    ("hf://meta-llama/Llama-3.1-8B-Instruct", 6.0, 0.10),
    ("hf://meta-llama/Llama-3.1-8B-Instruct", 2.5, 0.05),
    ("hf://Qwen/Qwen2.5-14B-Instruct", 8.0, 0.10),
    ("hf://Qwen/Qwen2.5-32B-Instruct", 12.0, 0.10),
    ("hf://meta-llama/Llama-3.1-70B-Instruct", 15.0, 0.12),
)
"""Model, target of the time to first token and of the time per output token in seconds."""

TENSOR_PARALLEL = (1, 2, 4, 8)
_PERCENTILE = 95


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to run a model: GPUs of one pool for a replica, and its capacity by bucket of the standard grid."""

    pool: str
    gpus: int
    capacity_rps: tuple[float, ...]


@cache
def shapes(model: int, degrees: int = 1, *, spot: bool = False) -> tuple[Shape, ...]:
    """For each pool the `degrees` smallest tensor-parallel degrees at which `MODELS[model]` serves the whole grid."""
    uri, ttft_seconds, tpot_seconds = MODELS[model]
    found: list[Shape] = []
    for pool, (name, _) in (POOLS | SPOT_POOLS if spot else POOLS).items():
        kept = 0
        for degree in TENSOR_PARALLEL:
            capacity_rps = grid_capacity_rps(uri, name, degree, ttft_seconds, tpot_seconds)
            if kept < degrees and all(capacity_rps):
                found.append(Shape(pool, degree, capacity_rps))
                kept += 1
    return tuple(found)


@cache
def grid_capacity_rps(
    uri: str, gpu_name: str, degree: int, ttft_seconds: float, tpot_seconds: float
) -> tuple[float, ...]:
    """Requests per second of one replica on `degree` GPUs, by bucket of the standard grid; 0 where it cannot."""
    return capacity_row(
        bundled_shape(uri),
        gpu(gpu_name),
        tensor_parallel=degree,
        precision=Precision.BF16,
        max_model_len=32768,
        buckets=standard_buckets(),
        ttft_seconds=ttft_seconds,
        tpot_seconds=tpot_seconds,
        percentile=_PERCENTILE,
        token_budget=2048,
        max_sequences=256,
    ).capacity_rps
