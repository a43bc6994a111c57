"""The capacity row of one replica, bucket by bucket through `max_rate_rps`: what `capacity_rows` is held against."""

from __future__ import annotations

from functools import lru_cache

from medley_planner.capacity import ESTIMATE, CapacityRow, StepTime, max_rate_rps, memory_fit
from medley_planner.catalog import Gpu
from medley_planner.layout import Layout
from medley_planner.model import Bucket
from medley_planner.shapes import ModelShape, Precision


@lru_cache(maxsize=1024)
def capacity_row(
    shape: ModelShape,
    gpu: Gpu,
    *,
    tensor_parallel: int,
    precision: Precision,
    max_model_len: int,
    buckets: tuple[Bucket, ...],
    ttft_seconds: float,
    tpot_seconds: float,
    percentile: float,
    token_budget: int,
    max_sequences: int,
    utilisation: float = 0.9,
) -> CapacityRow:
    fit = memory_fit(
        shape,
        Layout(gpu, tensor_parallel=tensor_parallel, precision=precision),
        max_model_len=max_model_len,
        utilisation=utilisation,
    )
    step = StepTime(shape, Layout(gpu, tensor_parallel=tensor_parallel, precision=precision))
    rates = [
        ESTIMATE.derate
        * max_rate_rps(
            step,
            fit,
            prompt_tokens=bucket.prompt_tokens,
            generation_tokens=bucket.generation_tokens,
            ttft_seconds=ttft_seconds,
            tpot_seconds=tpot_seconds,
            percentile=percentile,
            token_budget=token_budget,
            max_sequences=max_sequences,
        )
        for bucket in buckets
    ]
    return CapacityRow(_falling(buckets, rates), ESTIMATE.provenance, ESTIMATE.derate, fit)


def _falling(buckets: tuple[Bucket, ...], rates: list[float]) -> tuple[float, ...]:
    return tuple(
        min(
            rate
            for other, rate in zip(buckets, rates, strict=True)
            if other.prompt_tokens <= bucket.prompt_tokens and other.generation_tokens <= bucket.generation_tokens
        )
        for bucket in buckets
    )
