"""Each kind of choice gives names, changes and flags; a further kind is an entry of the registry and nothing else."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import pytest

from medley_planner.catalog import gpu
from medley_planner.model import Bucket
from medley_planner.omitted import Omitted
from medley_planner.shapes import Precision, bundled_shape
from medley_planner.variants import AXES, Axis, Choice, Engine, Facts, Generated, Source, generate
from medley_planner.variants.names import variant_name

BUCKETS = (Bucket(500.0, 150.0), Bucket(4000.0, 150.0))
ENGINE = Engine(
    shape=bundled_shape("meta-llama/Llama-3.1-8B-Instruct"),
    precisions=(Precision.BF16, Precision.FP8),
    token_budgets=(2048, 8192),
    max_model_len=16384,
    max_sequences=256,
    utilisation=0.9,
    ttft_seconds=2.0,
    tpot_seconds=0.1,
    percentile=95,
)
L4 = Source(pool="l4", gpu=gpu("L4"), gpus_per_node=4, cost_per_gpu_hour=0.8)


def rows(engine: Engine = ENGINE, *sources: Source, axes: tuple[Axis, ...] = AXES) -> Generated:
    return generate(engine, sources or (L4,), BUCKETS, longest_name=24, axes=axes)


def test_rows_are_the_product_of_the_axes_with_readable_names() -> None:
    found = rows()
    assert [row.name for row in found.rows] == [
        *("l4", "l4-tp2", "l4-tp4"),
        *("l4-fp8", "l4-tp2-fp8", "l4-tp4-fp8"),
        *("l4-b8192", "l4-tp2-b8192", "l4-tp4-b8192"),
        *("l4-fp8-b8192", "l4-tp2-fp8-b8192", "l4-tp4-fp8-b8192"),
    ]
    last = found.rows[-1]
    assert (last.replica.tensor_parallel, last.replica.precision, last.replica.token_budget) == (4, "FP8", 8192)
    assert last.engine_flags == (
        ("--tensor-parallel-size", "4"),
        ("--quantization", "fp8"),
        ("--max-num-batched-tokens", "8192"),
    )
    assert last.cost_per_hour == pytest.approx(3.2)
    assert last.replica.watts == 4 * 72
    assert found.omitted == ()


def test_the_default_of_each_axis_has_no_suffix() -> None:
    only_fp8 = replace(ENGINE, precisions=(Precision.FP8,), token_budgets=(4096,))
    assert [row.name for row in rows(only_fp8).rows] == ["l4", "l4-tp2", "l4-tp4"]
    assert all(("--quantization", "fp8") in row.engine_flags for row in rows(only_fp8).rows)


def test_precision_is_what_the_gpu_has() -> None:
    a100 = replace(L4, pool="a100", gpu=gpu("A100-80"))
    assert {row.replica.precision for row in rows(ENGINE, a100).rows} == {Precision.BF16}
    none = rows(replace(ENGINE, precisions=(Precision.FP8,)), a100)
    assert none.rows == ()
    (omitted,) = none.omitted
    assert (omitted.variant, omitted.pool, omitted.reason) == ("a100", "a100", "PrecisionNotSupported")
    assert "A100-80 has no FP8 arithmetic" in omitted.message


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ((("tensorParallel", 2),), ["l4-tp2", "l4-tp2-fp8", "l4-tp2-b8192", "l4-tp2-fp8-b8192"]),
        (
            (("precision", Precision.FP8), ("tokenBudget", 8192)),
            ["l4-fp8-b8192", "l4-tp2-fp8-b8192", "l4-tp4-fp8-b8192"],
        ),
        ((("tensorParallel", 1), ("precision", Precision.BF16), ("tokenBudget", 2048)), ["l4"]),
    ],
)
def test_what_is_asked_narrows(asked: tuple[tuple[str, Hashable], ...], names: list[str]) -> None:
    assert [row.name for row in rows(ENGINE, replace(L4, asked=asked)).rows] == names


@pytest.mark.parametrize(
    ("asked", "reason", "words"),
    [
        (("tensorParallel", 8), "DoesNotFit", "4 GPUs of one node"),
        (("tokenBudget", 512), "TokenBudgetNotOffered", "8192"),
    ],
)
def test_what_cannot_be_chosen_is_told(asked: tuple[str, Hashable], reason: str, words: str) -> None:
    found = rows(ENGINE, replace(L4, asked=(asked,)))
    assert [omitted.reason for omitted in found.omitted] == [reason]
    assert words in found.omitted[0].message


def test_a_further_kind_of_variant_is_one_entry_of_the_registry() -> None:
    """A cache of half the size per token and a power cap, as they may come: nothing but the axis knows of them."""

    def kv_cache(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
        fp8 = Choice("fp8", "-kv8", {"kv_element_bytes": 1.0}, (("--kv-cache-dtype", "fp8"),))
        return (Choice("auto", "", {}, ()), *([fp8] if facts.gpu.fp8_tflops is not None else []))

    def power(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
        capped = replace(facts.gpu, watts=0.7 * facts.gpu.watts, bf16_tflops=0.8 * facts.gpu.bf16_tflops)
        return (Choice(1.0, "", {}, ()), Choice(0.7, "-p70", {"gpu": capped}, ()))

    further = (Axis("kvCache", kv_cache, ("--kv-cache-dtype",)), Axis("power", power, ()))
    plain = replace(ENGINE, precisions=(Precision.BF16,), token_budgets=(2048,))
    found = {row.name: row for row in rows(plain, axes=(*AXES, *further)).rows}
    assert len(found) == 3 * 2 * 2
    assert found["l4-tp2-kv8"].engine_flags[-1] == ("--kv-cache-dtype", "fp8")
    assert found["l4-kv8"].replica.fit().kv_tokens > 1.9 * found["l4"].replica.fit().kv_tokens
    assert found["l4-kv8"].capacity.capacity_rps[0] > found["l4"].capacity.capacity_rps[0]
    assert found["l4-p70"].capacity.capacity_rps[0] < found["l4"].capacity.capacity_rps[0]
    assert found["l4-p70"].replica.watts == pytest.approx(0.7 * 72)
    a100 = replace(L4, pool="a100", gpu=gpu("A100-80"))
    assert not any("kv8" in row.name for row in rows(plain, a100, axes=(*AXES, *further)).rows)


@pytest.mark.parametrize("pool", ["l4", "a" * 20, "b" * 19 + "c", "team-a-l4-spot-eu-1b", "x-" * 9 + "x"])
@pytest.mark.parametrize("suffix", ["", "-tp2", "-tp8-fp8-b131072", "-tp8-fp8-b131072-kv8-p70-more"])
def test_names_are_labels_of_at_most_the_length_given(pool: str, suffix: str) -> None:
    name = variant_name(pool, suffix, longest=24)
    assert len(name) <= 24
    assert name == variant_name(pool, suffix, longest=24)
    assert name.replace("-", "").isalnum()
    assert "--" not in name.strip("-") or "--" in pool
    assert not name.startswith("-")
    assert not name.endswith("-")
    if len(pool + suffix) <= 24:
        assert name == pool + suffix
    elif len(suffix) <= 16:
        assert name.endswith(suffix)


def test_long_names_of_different_pools_differ() -> None:
    pools = [f"a-rather-long-pool-{letter}" for letter in "abcdefgh"]
    assert len({variant_name(pool, "-tp8-fp8-b131072", longest=24) for pool in pools}) == len(pools)
    assert len({variant_name(pool, "-tp8-fp8-b131072-kv8-p70", longest=24) for pool in pools}) == len(pools)
