"""Each kind of choice gives names, changes and flags; a further kind is an entry of the registry and nothing else."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import pytest

from medley_planner.capacity import EngineKey, Speed, StepFactors
from medley_planner.catalog import gpu
from medley_planner.layout import EngineKind, KvFormat, Layout
from medley_planner.model import Bucket, Demand, Provenance, RoutingMode, Service, SizeSource, Variant
from medley_planner.omitted import Omitted, OmittedReason
from medley_planner.shapes import Precision, bundled_shape
from medley_planner.variants import (
    AXES,
    Axis,
    Changes,
    Choice,
    Engine,
    Facts,
    Flags,
    Generated,
    RunAs,
    Source,
    generate,
    prune,
    run_as,
    variant_flags,
)
from medley_planner.variants.generate import variant_name

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
    assert (last.replica.layout.tensor_parallel, last.replica.layout.precision, last.replica.token_budget) == (
        4,
        "FP8",
        8192,
    )
    assert last.engine_flags == (
        ("--tensor-parallel-size", "4"),
        ("--quantization", "fp8"),
        ("--max-num-batched-tokens", "8192"),
    )
    assert last.cost_per_hour == pytest.approx(3.2)
    assert last.watts == 4 * 72
    assert found.omitted == ()


def test_the_default_of_each_axis_has_no_suffix() -> None:
    only_fp8 = replace(ENGINE, precisions=(Precision.FP8,), token_budgets=(4096,))
    assert [row.name for row in rows(only_fp8).rows] == ["l4", "l4-tp2", "l4-tp4"]
    assert all(("--quantization", "fp8") in row.engine_flags for row in rows(only_fp8).rows)


def test_precision_is_what_the_engine_runs_on_the_gpu() -> None:
    a100 = replace(L4, pool="a100", gpu=gpu("A100-80"))
    assert {row.replica.layout.precision for row in rows(ENGINE, a100).rows} == {Precision.BF16, Precision.FP8}
    volta = replace(L4, pool="volta", gpu=replace(gpu("A100-80"), name="Volta", compute_capability=7.0))
    none = rows(replace(ENGINE, precisions=(Precision.FP8,)), volta)
    assert none.rows == ()
    (omitted,) = none.omitted
    assert (omitted.variant, omitted.pool, omitted.reason) == ("volta", "volta", "PrecisionNotSupported")
    assert "Volta has compute capability 7, and weights in FP8 need 7.5" in omitted.message


def test_the_checkpoint_s_own_precision_takes_no_flag_and_is_read_without_one() -> None:
    shape = bundled_shape("Qwen/Qwen2.5-7B-Instruct-AWQ")
    found = rows(replace(ENGINE, shape=shape, precisions=(Precision.INT4,)), replace(L4, gpu=gpu("H100")))
    assert found.rows
    assert all("--quantization" not in dict(row.engine_flags) for row in found.rows)
    ran = run_as(dict(found.rows[0].engine_flags), Layout(gpu("H100"), precision=Precision.INT4))
    assert ran is not None
    assert ran.layout.precision is Precision.INT4


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


def _chosen_cache(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
    half = Choice(8, "-kv8", {"kv_format": KvFormat.FP8}, (("--kv-bits", "8"),))
    return (Choice(16, "", {}, ()), *([half] if facts.gpu.fp8_tflops is not None else []))


def _read_cache(_engine: EngineKind, flags: Flags) -> Changes | None:
    formats = {"8": KvFormat.FP8, "16": KvFormat.BF16}
    bits = flags.get("--kv-bits", "16")
    return {"kv_format": formats[bits]} if bits in formats else None


def _capped(facts: Facts, asked: Hashable | None) -> tuple[Choice, ...] | Omitted:
    capped = replace(facts.gpu, watts=0.7 * facts.gpu.watts, bf16_tflops=0.8 * facts.gpu.bf16_tflops)
    return (Choice(1.0, "", {}, ()), Choice(0.7, "-p70", {"gpu": capped}, ()))


MADE_UP = (
    *AXES,
    Axis("cacheBits", _chosen_cache, _read_cache, ((EngineKind.VLLM, "--kv-bits"),)),
    Axis("power", _capped, lambda _engine, _flags: {}, ()),
)
"""A cache of half the size per token and a power cap, as they may come: nothing but this file knows of them."""
PLAIN = replace(ENGINE, precisions=(Precision.BF16,), token_budgets=(2048,))


def test_a_further_axis_is_one_entry_of_the_registry() -> None:
    found = {row.name: row for row in rows(PLAIN, axes=MADE_UP).rows}
    assert len(found) == 3 * 2 * 2
    assert found["l4-tp2-kv8"].engine_flags[-1] == ("--kv-bits", "8")
    assert found["l4-kv8"].replica.fit().kv_tokens > 1.9 * found["l4"].replica.fit().kv_tokens
    assert found["l4-kv8"].capacity.capacity_rps[0] > found["l4"].capacity.capacity_rps[0]
    assert found["l4-p70"].capacity.capacity_rps[0] < found["l4"].capacity.capacity_rps[0]
    assert found["l4-p70"].watts == pytest.approx(0.7 * 72)
    assert len({row.missing for row in found.values()}) == len(found), "each has a table of its own"
    a100 = replace(L4, pool="a100", gpu=gpu("A100-80"))
    assert not any("kv8" in row.name for row in rows(PLAIN, a100, axes=MADE_UP).rows)
    assert variant_flags(EngineKind.VLLM, axes=MADE_UP) == {*variant_flags(EngineKind.VLLM), "--kv-bits"}


def test_a_further_axis_is_read_back_and_keeps_engines_apart() -> None:
    base = Layout(gpu("L4"), engine_version="0.32.0")
    for row in rows(replace(PLAIN, version="0.32.0"), axes=MADE_UP).rows:
        ran = run_as(dict(row.engine_flags), replace(base, gpu=row.replica.layout.gpu), axes=MADE_UP)
        assert ran == RunAs(row.replica.layout, row.replica.token_budget)
    assert run_as({"--kv-bits": "4"}, base, axes=MADE_UP) is None
    learned = Speed(StepFactors(kv=0.5))
    speeds = ((EngineKey(ENGINE.shape.name, replace(base, kv_format=KvFormat.FP8)), learned),)
    known = rows(replace(PLAIN, version="0.32.0", speeds=speeds), axes=MADE_UP).rows
    assert {row.name for row in known if row.replica.speed == learned} == {"l4-kv8"}


@pytest.mark.parametrize(
    ("watts_per_gpu", "names"),
    [
        pytest.param(None, ["l4-kv8", "l4-kv8-p70"], id="the cap draws less than the board does"),
        pytest.param(50.0, ["l4-kv8"], id="the pool says that all draw the same"),
    ],
)
def test_what_a_replica_draws_decides_what_dominates_it(watts_per_gpu: float | None, names: list[str]) -> None:
    source = replace(L4, asked=(("tensorParallel", 1),), watts_per_gpu=watts_per_gpu)
    found = rows(PLAIN, source, axes=MADE_UP).rows
    estimated = Provenance.ESTIMATED
    variants = tuple(
        Variant(row.name, "l4", "L4", 1, row.cost_per_hour, row.capacity.capacity_rps, estimated, watts=row.watts)
        for row in found
    )
    demand = Demand(4.0, BUCKETS, (0.5, 0.5), SizeSource.STATIC)
    kept = prune(Service("chat", demand, variants, RoutingMode.HTTP_ROUTE), keep=()).variants
    assert [variant.name for variant in kept] == names


@pytest.mark.parametrize(
    ("value", "kv_format"),
    [
        ("auto", KvFormat.BF16),
        ("bfloat16", KvFormat.BF16),
        ("fp8", KvFormat.FP8),
        ("fp8_e4m3", KvFormat.FP8),
        ("fp8_e5m2", KvFormat.FP8),
    ],
)
def test_the_cache_is_as_the_owners_of_the_engine_start_it(value: str, kv_format: KvFormat) -> None:
    flags = {"--kv-cache-dtype": value}
    assert run_as(flags, Layout(gpu("L4"))) == RunAs(Layout(gpu("L4"), kv_format=kv_format))
    found = rows(replace(PLAIN, arguments=tuple(flags.items()))).rows
    assert [row.name for row in found] == ["l4", "l4-tp2", "l4-tp4"], "it has no suffix: the owners chose it for all"
    assert {row.replica.layout.kv_format for row in found} == {kv_format}
    assert all("--kv-cache-dtype" not in dict(row.engine_flags) for row in found)


def test_a_cache_that_is_not_known_gives_no_variant() -> None:
    found = rows(replace(PLAIN, arguments=(("--kv-cache-dtype", "int4"),)))
    assert found.rows == ()
    assert [part.reason for part in found.omitted] == [OmittedReason.KV_FORMAT_NOT_OFFERED]
    assert "use one of auto, bfloat16, fp8" in found.omitted[0].message


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--tensor-parallel-size", "two"),
        ("--tensor-parallel-size", "0"),
        ("--quantization", "awq"),
        ("--max-num-batched-tokens", "-1"),
        ("--kv-cache-dtype", "int4"),
        ("--kv-cache-dtype", ""),
    ],
)
def test_flags_that_no_variant_is_started_with_are_of_another_engine(flag: str, value: str) -> None:
    assert run_as({flag: value}, Layout(gpu("L4"))) is None


def test_watts_are_the_pools_own_where_it_says_them() -> None:
    said = rows(PLAIN, replace(L4, watts_per_gpu=50.0)).rows
    assert [row.watts for row in said] == [50.0, 100.0, 200.0]
    assert [row.watts for row in rows(PLAIN).rows] == [72.0, 144.0, 288.0]


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
