"""Which source of joint sizes counts, and what is said where a better one fails; bad figures hold the plan."""

from __future__ import annotations

import pytest

from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.metrics.observe import ServiceQuery
from medley_operator.metrics.queries import FigureRole
from medley_planner.model import SizeSource
from medley_planner.workload import mean_generation_tokens, mean_prompt_tokens
from medley_planner.workload.marginal import mean_product
from tests.unit.operator.metrics.fake_prometheus import (
    GATEWAY_METRIC,
    GENERATION_BUCKETS,
    NOW,
    PROMPT_BUCKETS,
    WINDOW_SECONDS,
    Element,
    FakePrometheus,
    engine_elements,
    gateway_elements,
    generation_elements,
    labels,
    load_elements,
    prompt_elements,
    size_elements,
)

WIDE_PROMPT = size_elements({"100.0": 400.0, "500.0": 600.0, "+Inf": 600.0}, 90_000)
CELLS: dict[tuple[str, str], float | str] = {("200", "20"): 300, ("200", "50"): 200, ("500", "50"): 100}


async def observe(fake: FakePrometheus, *, gateway: bool = False, served: str = "llama") -> Observation:
    query = ServiceQuery(namespace="demo", name="llama", window_seconds=WINDOW_SECONDS, served_model=served)
    reader = fake.reader(gateway_metric=GATEWAY_METRIC if gateway else "")
    return (await reader.observe([query]))[ServiceKey("demo", "llama")]


def source(seen: Observation) -> SizeSource:
    assert seen.reason is MetricsReason.FOUND, seen
    assert seen.demand is not None
    assert mean_prompt_tokens(seen.demand) == pytest.approx(150)
    assert mean_generation_tokens(seen.demand) == pytest.approx(25)
    return seen.demand.size_source


async def test_kv_usage_tilts_the_product() -> None:
    fuller = [(m, 1.3 * float(v)) if m["medley_role"] == "kv_usage" else (m, v) for m, v in engine_elements()]
    plain = await observe(FakePrometheus(prompt=WIDE_PROMPT, engine=engine_elements()))
    tilted = await observe(FakePrometheus(prompt=WIDE_PROMPT, engine=fuller))
    assert source(plain) is source(tilted) is SizeSource.TILTED
    assert plain.demand is not None
    assert tilted.demand is not None
    assert mean_product(tilted.demand) > 1.1 * 150 * 25
    assert "joint sizes" not in tilted.message


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ([], "no series vllm:inter_token_latency_seconds"),
        (engine_elements(kv_usage=None), "no series vllm:kv_cache_usage_perc"),
        (engine_elements(kv_pods=None), "has no size of the KV cache"),
        (engine_elements(blocks="None"), "has no size of the KV cache"),
        (engine_elements(prefill_seconds=None), "no series vllm:request_prefill_time_seconds"),
        (engine_elements(preemptions=50), "Preemptions"),
        (engine_elements(prefix_hits=40_000), "PrefixHits"),
        (engine_elements(kv_usage=38.0), "CacheFull"),
        (engine_elements(kv_usage=0.0), "CacheIdle"),
        (engine_elements(itl_count=0, itl_seconds=0), "NoLatency"),
    ],
)
async def test_what_cannot_be_told_leaves_the_product_and_says_why(engine: list[Element], words: str) -> None:
    seen = await observe(FakePrometheus(engine=engine))
    assert source(seen) is SizeSource.INDEPENDENT
    assert "joint sizes: Independent, because" in seen.message
    assert words in seen.message


@pytest.mark.parametrize(
    ("role", "series"),
    [
        ("kv_usage", "vllm:kv_cache_usage_perc"),
        ("itl_seconds", "vllm:inter_token_latency_seconds_sum"),
        ("prefix_hits", "vllm:prefix_cache_hits_total"),
        ("preemptions", "vllm:num_preemptions_total"),
    ],
)
@pytest.mark.parametrize("value", ["NaN", "-1", "+Inf"])
async def test_no_number_is_invalid_and_names_series_and_service(role: str, series: str, value: str) -> None:
    seen = await observe(FakePrometheus(engine=engine_elements(**{role: value})))
    assert (seen.reason, seen.demand) == (MetricsReason.INVALID, None)
    assert f'{series}{{namespace="demo",medley_dev_service="llama"}}' in seen.message


@pytest.mark.parametrize("tokens", ["NaN", 0])
async def test_zero_length_histograms_are_invalid(tokens: float | str) -> None:
    empty = size_elements(dict.fromkeys(PROMPT_BUCKETS, 0.0), tokens)
    seen = await observe(FakePrometheus(prompt=empty, engine=engine_elements()))
    assert (seen.reason, seen.demand) == (MetricsReason.INVALID, None)
    assert 'medley_dev_service="llama"' in seen.message


async def test_variants_with_their_own_prompts_tell_the_joint_sizes() -> None:
    short, long = {"100.0": 300.0, "500.0": 300.0, "+Inf": 300.0}, {"100.0": 0.0, "500.0": 300.0, "+Inf": 300.0}
    few, many = {"20.0": 300.0, "50.0": 300.0, "+Inf": 300.0}, {"20.0": 0.0, "50.0": 300.0, "+Inf": 300.0}
    fake = FakePrometheus(
        prompt=size_elements(short, 15_000, variant="l4") + size_elements(long, 75_000, variant="h100"),
        generation=size_elements(many, 10_500, variant="l4") + size_elements(few, 4_500, variant="h100"),
        engine=engine_elements(),
    )
    seen = await observe(fake)
    assert source(seen) is SizeSource.PER_VARIANT
    assert seen.demand is not None
    assert mean_product(seen.demand) == pytest.approx((50 * 35 + 250 * 15) / 2)


async def test_two_revisions_of_one_variant_are_no_two_variants() -> None:
    short, long = {"100.0": 300.0, "500.0": 300.0, "+Inf": 300.0}, {"100.0": 0.0, "500.0": 300.0, "+Inf": 300.0}
    fake = FakePrometheus(
        prompt=size_elements(short, 15_000, replica_set="a") + size_elements(long, 75_000, replica_set="b"),
        engine=engine_elements(),
    )
    assert source(await observe(fake)) is not SizeSource.PER_VARIANT


async def test_the_gateways_counts_come_first() -> None:
    fake = FakePrometheus(gateway=gateway_elements(CELLS), engine=engine_elements())
    assert source(await observe(fake, gateway=True)) is SizeSource.GATEWAY
    assert source(await observe(fake)) is SizeSource.TILTED
    assert [kind for kind, _ in fake.asked].count("gateway") == 1


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({}, f'no series {GATEWAY_METRIC}{{medley_namespace="demo",medley_service="llama"}}'),
        ({("200", "50"): 250.0}, "counts 250 requests, but the engines finished 600"),
        ({("200", "50"): 2600.0}, "counts 2600 requests, but the engines finished 600"),
    ],
)
async def test_a_gateway_that_counts_something_else_is_passed_over(
    cells: dict[tuple[str, str], float | str], words: str
) -> None:
    seen = await observe(FakePrometheus(gateway=gateway_elements(cells)), gateway=True)
    assert source(seen) is SizeSource.INDEPENDENT
    assert words in seen.message


@pytest.mark.parametrize(
    "cells", [{("wide", "50"): 600.0}, {("200", "0"): 600.0}, {("200", "50"): "NaN"}, {("200", "50"): "-600"}]
)
async def test_nonsense_of_the_gateway_is_invalid(cells: dict[tuple[str, str], float | str]) -> None:
    seen = await observe(FakePrometheus(gateway=gateway_elements(cells)), gateway=True)
    assert (seen.reason, seen.demand) == (MetricsReason.INVALID, None)
    assert GATEWAY_METRIC in seen.message


async def test_prefix_hits_are_a_lower_bound() -> None:
    seen = await observe(FakePrometheus(engine=engine_elements(prefix_hits=45_000)))
    assert seen.demand is not None
    assert seen.demand.prefix_hit_rate == pytest.approx(0.45)


def of_model(elements: list[Element], model: str, *, times: float = 1.0) -> list[Element]:
    same = ("newest", "earliest", "scrapes")
    return [({**m, "model_name": model}, v if m["medley_role"] in same else times * float(v)) for m, v in elements]


def two_models(first: str, second: str, *, per_pod: int = 2) -> FakePrometheus:
    def both(elements: list[Element]) -> list[Element]:
        return of_model(elements, first) + of_model(elements, second, times=7)

    return FakePrometheus(
        load=[*both(load_elements()), (labels("demo", "llama", FigureRole.MODELS), per_pod)],
        prompt=both(prompt_elements()),
        generation=both(generation_elements()),
    )


async def test_of_several_models_the_services_own_counts() -> None:
    for fake in (two_models("llama", "other"), two_models("llama", "zebra")):
        seen = await observe(fake)
        assert seen.demand is not None
        assert seen.demand.rate_rps == pytest.approx(2.0)


async def test_pods_of_one_model_each_all_count_while_it_is_renamed() -> None:
    seen = await observe(two_models("llama", "old-name", per_pod=1))
    assert seen.demand is not None
    assert seen.demand.rate_rps == pytest.approx(8 * 2.0)
    assert mean_prompt_tokens(seen.demand) == pytest.approx(150)
    assert seen.samples == 8 * 600


async def test_a_single_model_counts_whatever_its_name() -> None:
    fake = FakePrometheus(
        load=of_model(load_elements(), "renamed"),
        prompt=of_model(prompt_elements(), "renamed"),
        generation=of_model(generation_elements(), "renamed"),
    )
    assert source(await observe(fake)) is SizeSource.INDEPENDENT


async def test_several_models_of_others_are_told() -> None:
    seen = await observe(two_models("mistral", "other"))
    assert (seen.reason, seen.demand) == (MetricsReason.MISSING, None)
    assert "mistral, other" in seen.message
    assert 'but not "llama"; set spec.model.name' in seen.message


async def test_a_young_service_spreads_its_samples_over_what_was_scraped() -> None:
    """Half the window, half the samples and requests: the same usage, so the same joint sizes."""
    fake = FakePrometheus(
        load=load_elements(completed=300, scrapes=10, earliest=NOW - 150),
        prompt=size_elements({edge: count / 2 for edge, count in PROMPT_BUCKETS.items()}, 45_000),
        generation=size_elements({edge: count / 2 for edge, count in GENERATION_BUCKETS.items()}, 7_500),
        engine=engine_elements(
            kv_usage=10 * 600 * (0.2 * 150 + 4.8 * 170.5 + 0.2 * 8) / 300 / 16000,
            itl_seconds=300 * 24 * 0.2,
            itl_count=300 * 24,
            prefill_seconds=60.0,
        ),
    )
    assert source(await observe(fake)) is SizeSource.TILTED
