"""Memory fit decides what is a row; where one variant is meant, what the spec alone says decides which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medley_planner.catalog import gpu
from medley_planner.shapes import Precision, bundled_shape
from medley_planner.variants import Source, generate
from tests.generator.capacity_row import capacity_row
from tests.unit.planner.variants.test_axes import BUCKETS, ENGINE, L4, rows

LARGE = replace(ENGINE, shape=bundled_shape("meta-llama/Llama-3.1-70B-Instruct"), max_model_len=65536)
H100 = Source(pool="h100", gpu=gpu("H100"), gpus_per_node=8, cost_per_gpu_hour=6.88)


def test_what_does_not_fit_is_told_for_each_variant() -> None:
    found = rows(replace(LARGE, token_budgets=(2048,)), H100)
    assert [row.name for row in found.rows] == ["h100-tp4", "h100-tp8", "h100-tp2-fp8", "h100-tp4-fp8", "h100-tp8-fp8"]
    assert [(omitted.variant, omitted.reason) for omitted in found.omitted] == [
        ("h100", "DoesNotFit"),
        ("h100-tp2", "DoesNotFit"),
        ("h100-fp8", "DoesNotFit"),
    ]
    assert "141.1 GB of weights" in found.omitted[0].message


def test_a_pool_where_nothing_fits_is_one_answer() -> None:
    found = rows(replace(LARGE, precisions=(Precision.BF16,)), L4, H100)
    first = found.omitted[0]
    assert (first.variant, first.pool, first.reason) == ("l4", "l4", "DoesNotFit")
    assert "4 x L4" in first.message
    assert {row.source for row in found.rows} == {1}


def test_one_variant_takes_the_defaults_and_the_fewest_gpus_that_fit_and_are_fast_enough() -> None:
    """An L4 takes 57 ms for one step of an 8B model in BF16: two of them make it in half."""
    single = replace(L4, single=True)
    assert [row.name for row in rows(ENGINE, single).rows] == ["l4"]
    assert [row.name for row in rows(replace(ENGINE, tpot_seconds=0.05), single).rows] == ["l4-tp2"]
    # Where none is fast enough, the first that fits.
    assert [row.name for row in rows(replace(ENGINE, tpot_seconds=0.001), single).rows] == ["l4"]
    named = replace(single, name="mine", asked=(("precision", Precision.FP8),))
    (row,) = rows(ENGINE, named).rows
    assert (row.name, row.replica.layout.precision, row.replica.layout.tensor_parallel) == ("mine", Precision.FP8, 1)
    (omitted,) = rows(replace(LARGE, precisions=(Precision.BF16,)), replace(single, name="mine")).omitted
    assert omitted.variant == "mine"


def test_capacity_is_that_of_the_row() -> None:
    row = next(row for row in rows().rows if row.name == "l4-tp2-fp8-b8192")
    alone = capacity_row(
        ENGINE.shape,
        gpu("L4"),
        tensor_parallel=2,
        precision=Precision.FP8,
        max_model_len=16384,
        buckets=BUCKETS,
        ttft_seconds=2.0,
        tpot_seconds=0.1,
        percentile=95,
        token_budget=8192,
        max_sequences=256,
        utilisation=0.9,
    )
    assert row.capacity.capacity_rps == pytest.approx(alone.capacity_rps, rel=1e-9)
    assert (row.capacity.fit, row.capacity.derate, row.capacity.provenance) == (
        alone.fit,
        alone.derate,
        alone.provenance,
    )


def test_equal_questions_are_answered_from_memory() -> None:
    first = rows(ENGINE, L4, H100)
    before = generate.cache_info().hits
    again = rows(replace(ENGINE), replace(L4), replace(H100))
    assert again is first
    assert generate.cache_info().hits == before + 1
