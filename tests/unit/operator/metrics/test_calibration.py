"""The query of calibration and its answers: whose pods count, and what each kind of nonsense becomes."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from medley_operator.domain.engine.pods import EngineFigures, PodGroup
from medley_operator.metrics.calibration import figures_of
from medley_operator.metrics.calibration_queries import CounterRole, calibration_query
from medley_operator.metrics.engine_names import VLLM
from medley_operator.metrics.prometheus import VectorSample
from medley_planner.capacity.window import SkipReason, Window

GROUP = PodGroup(namespace="demo", service="llama", variant="l4", template="5d4f")
LABELS = {
    "namespace": "demo",
    "medley_dev_service": "llama",
    "medley_dev_variant": "l4",
    "pod_template_hash": "5d4f",
}
QUERY = calibration_query(VLLM, window_seconds=60)


def answer(**changes: float | None) -> list[VectorSample]:
    """Two pods with 10 requests each in the batch, 100 tokens in the cache of 4,000 for each; None drops a figure."""
    figures: dict[str, float | None] = {
        "engines": 2,
        "steps": 4000,
        "prompt_tokens": 60_000,
        "prefix_hits": 20_000,
        "prompts": 40,
        "decodes": 40_000,
        "decode_seconds": 1200,
        "preemptions": 0,
        "running": 20,
        "waiting": 1,
        "kv_usage": 0.5,
    }
    figures |= changes
    samples = [
        VectorSample(labels=LABELS | {"medley_role": CounterRole(role).value}, value=value)
        for role, value in figures.items()
        if value is not None
    ]
    return [*samples, cache("250", "16")]


def cache(blocks: str, block_size: str, tokens: str = "") -> VectorSample:
    sizes = {"num_gpu_blocks": blocks, "block_size": block_size, "kv_cache_size_tokens": tokens}
    return VectorSample(labels=LABELS | sizes | {"medley_role": CounterRole.CACHE.value}, value=1.0)


def read(samples: list[VectorSample]) -> EngineFigures:
    return figures_of(samples, window_seconds=60)[GROUP]


def test_figures_are_sums_over_pods_and_gauges_are_per_engine() -> None:
    assert read(answer()) == EngineFigures(
        window=Window(
            steps=4000,
            prefill_tokens=40_000,
            prompts=40,
            decode_tokens=40_000,
            inter_token_seconds=0.03,
            running=10,
            waiting=0.5,
            kv_tokens=1000,
            preemptions=0,
            seconds=60,
            engines=2,
        ),
        kv_tokens=4000,
    )


def test_engines_without_a_prefix_cache_compute_every_prompt_token() -> None:
    window = read(answer(prefix_hits=None)).window
    assert isinstance(window, Window)
    assert window.prefill_tokens == 60_000


@pytest.mark.parametrize(
    "role", [role for role in CounterRole if role not in (CounterRole.PREFIX_HITS, CounterRole.CACHE)]
)
def test_a_missing_series_skips_the_window_and_keeps_the_cache(role: CounterRole) -> None:
    assert read(answer(**{role.value: None})) == EngineFigures(window=SkipReason.MISSING, kv_tokens=4000)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize("role", ["steps", "decode_seconds", "kv_usage", "engines"])
def test_nonsense_skips_the_window(role: str, value: float) -> None:
    assert read(answer(**{role: value})).window is SkipReason.INVALID


def test_an_engine_at_rest_skips_the_window() -> None:
    assert read(answer(decodes=0, decode_seconds=0)).window is SkipReason.FEW_STEPS


def test_pods_that_are_all_young_tell_their_cache_only() -> None:
    assert read([cache("250", "16")]) == EngineFigures(window=SkipReason.YOUNG_POD, kv_tokens=4000)


@pytest.mark.parametrize(
    ("caches", "tokens"),
    [
        ([cache("250", "16"), cache("240", "16")], 3840),
        ([cache("250", "16", "3000")], 3000),
        ([cache("None", "16")], None),
        ([cache("1e400", "16")], None),
        ([cache("-5", "16"), cache("nan", "16")], None),
        ([], None),
    ],
)
def test_the_smallest_cache_that_makes_sense_counts(caches: list[VectorSample], tokens: int | None) -> None:
    figures = read([*answer()[:-1], *caches])
    assert figures.kv_tokens == tokens
    assert isinstance(figures.window, Window) is (tokens is not None)


def test_ReplicaSets_are_kept_apart_and_foreign_roles_left_out() -> None:  # noqa: N802 - Kubernetes's name
    other = [replace(sample, labels={**sample.labels, "pod_template_hash": "77"}) for sample in answer(steps=9)]
    foreign = VectorSample(labels=LABELS | {"medley_role": "newest"}, value=math.nan)
    groups = figures_of([*answer(), *other, foreign], window_seconds=60)
    windows = [groups[GROUP].window, groups[replace(GROUP, template="77")].window]
    assert [window.steps for window in windows if isinstance(window, Window)] == [4000, 9]


def test_every_selector_asks_for_our_pod_labels() -> None:
    selectors = re.findall(r"vllm:\w+(\{[^}]*\})?", QUERY)
    assert set(selectors) == {'{namespace!="",medley_dev_service!="",pod!=""}'}


def test_only_pods_that_were_scraped_two_minutes_ago_and_still_are_count() -> None:
    for part in QUERY.split("\nor\n"):
        assert ("offset 120s" in part) is (CounterRole.CACHE.value not in re.findall(r'"medley_role", "(\w+)"', part))
