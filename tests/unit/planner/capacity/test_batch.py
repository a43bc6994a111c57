"""Many rows in one pass say what each says alone: all kinds of layers, fitting or not."""

from __future__ import annotations

import pytest

from medley_planner.capacity import StepTime, Table, capacity_rows, memory_fit
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.model import Bucket
from medley_planner.shapes import Precision, bundled_shape
from medley_planner.workload import standard_buckets
from tests.generator.capacity_row import capacity_row

MODELS = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/Qwen3-30B-A3B",
    "openai/gpt-oss-120b",
    "google/gemma-2-9b-it",
    "google/gemma-3-27b-it",
    "ibm-granite/granite-4.0-h-small",
    "deepseek-ai/DeepSeek-V4-Flash",
)
TARGETS = ((2.0, 0.06, 95.0), (0.4, 0.02, 99.0), (1e-3, 1e-3, 50.0))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("targets", TARGETS, ids=str)
def test_rows_of_a_batch_are_the_rows_one_by_one(model: str, targets: tuple[float, float, float]) -> None:
    shape, buckets = bundled_shape(model), (*standard_buckets(), Bucket(300.0, 1.0), Bucket(50.0, 900.0))
    ttft_seconds, tpot_seconds, percentile = targets
    asked = [
        (gpu(name), degree, precision, budget, sequences)
        for name, degree in (("L4", 1), ("L4", 4), ("H100", 1), ("H200", 8))
        for precision, budget, sequences in ((Precision.BF16, 512, 256), (Precision.FP8, 8192, 32))
    ]
    tables = [
        Table(
            step=StepTime(shape, Layout(card, tensor_parallel=degree, precision=precision)),
            fit=memory_fit(shape, Layout(card, tensor_parallel=degree, precision=precision), max_model_len=8192),
            token_budget=budget,
            max_sequences=sequences,
        )
        for card, degree, precision, budget, sequences in asked
    ]
    rows = capacity_rows(tables, buckets, ttft_seconds=ttft_seconds, tpot_seconds=tpot_seconds, percentile=percentile)
    for row, (card, degree, precision, budget, sequences) in zip(rows, asked, strict=True):
        alone = capacity_row(
            shape,
            card,
            tensor_parallel=degree,
            precision=precision,
            max_model_len=8192,
            buckets=buckets,
            ttft_seconds=ttft_seconds,
            tpot_seconds=tpot_seconds,
            percentile=percentile,
            token_budget=budget,
            max_sequences=sequences,
        )
        assert row.capacity_rps == pytest.approx(alone.capacity_rps, rel=1e-9)
        assert (row.fit, row.derate, row.provenance) == (alone.fit, alone.derate, alone.provenance)


def test_nothing_asked_is_nothing_answered() -> None:
    assert capacity_rows([], standard_buckets(), ttft_seconds=1.0, tpot_seconds=0.1, percentile=95.0) == ()
