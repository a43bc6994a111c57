"""What the fleet serves as an engine's /metrics, against a scrape of the real engine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.fleet.exposition import Exposition
from e2e.fleet.histogram import Histogram, token_edges
from tests.unit.e2e.fleet_cases import START, engine, request, served_engine

SHARED = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
SCRAPE = SHARED / "vllm_0.32_metrics.txt"
NEEDED = {
    "vllm:request_success",
    "vllm:prompt_tokens",
    "vllm:generation_tokens",
    "vllm:request_prompt_tokens",
    "vllm:request_generation_tokens",
    "vllm:time_to_first_token_seconds",
    "vllm:inter_token_latency_seconds",
    "vllm:request_time_per_output_token_seconds",
    "vllm:e2e_request_latency_seconds",
    "vllm:request_queue_time_seconds",
    "vllm:request_prefill_time_seconds",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:num_preemptions",
    "vllm:iteration_tokens_total",
    "vllm:cache_config_info",
    "vllm:prefix_cache_queries",
    "vllm:prefix_cache_hits",
}
"""What the product reads or a user's dashboard needs."""
SCRAPED_MODEL_LENGTH = 2048
"""The scraped engine's --max-model-len, by its token histograms: their last edge is 2000."""

Shape = dict[str, tuple[str, set[tuple[str, frozenset[tuple[str, str]]]]]]


def shape(text: str) -> Shape:
    """Families by name: type, and samples by name and labels. Values of cache_config_info's labels are settings."""
    found: Shape = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("vllm:"):
            samples = set()
            for sample in family.samples:
                labels = (
                    {name: "" for name in sample.labels} if family.name == "vllm:cache_config_info" else sample.labels
                )
                labels = {**labels, **({"model_name": "m"} if "model_name" in labels else {})}
                samples.add((sample.name, frozenset(labels.items())))
            found[family.name] = (family.type, samples)
    return found


def served() -> str:
    queue = engine(served_engine(max_model_len=SCRAPED_MODEL_LENGTH))
    for n in range(20):
        queue.submit(request(0.3 * n, prompt=20 + 100 * n, generation=1 + 5 * n))
    queue.advance(START + 60)
    return Exposition(queue).text()


@pytest.mark.skipif(not SCRAPE.exists(), reason=f"no scrape of the real engine at {SCRAPE} (MEDLEY_SHARED_DATA)")
def test_names_types_labels_and_edges_are_those_of_the_real_engine() -> None:
    real, ours = shape(SCRAPE.read_text()), shape(served())
    assert ours.keys() == real.keys()
    for name, expected in real.items():
        assert ours[name] == expected, name


def test_what_is_read_is_there_and_holds_the_engines_figures() -> None:
    families = {family.name: family for family in text_string_to_metric_families(served())}
    assert families.keys() >= NEEDED
    samples = {
        (sample.name, sample.labels.get("finished_reason") or sample.labels.get("le", "")): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert samples["vllm:request_success_total", "stop"] == 20
    assert samples["vllm:prompt_tokens_total", ""] == sum(20 + 100 * n for n in range(20))
    assert samples["vllm:request_generation_tokens_sum", ""] == sum(1 + 5 * n for n in range(20))
    assert samples["vllm:request_generation_tokens_bucket", "10.0"] == 2
    assert samples["vllm:request_generation_tokens_bucket", "+Inf"] == 20
    assert samples["vllm:inter_token_latency_seconds_count", ""] == sum(5 * n for n in range(20))
    assert samples["vllm:num_requests_running", ""] == 0


def test_a_model_name_is_escaped() -> None:
    queue = engine(replace(served_engine(), model_name='a"b\\c'))
    (family,) = [f for f in text_string_to_metric_families(Exposition(queue).text()) if f.name == "vllm:prompt_tokens"]
    assert family.samples[0].labels["model_name"] == 'a"b\\c'


@pytest.mark.parametrize(
    ("longest", "edges"),
    [(1, (1,)), (4, (1, 2)), (2048, (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)), (5000, (1000, 2000, 5000))],
)
def test_token_edges_follow_the_model_length(longest: int, edges: tuple[int, ...]) -> None:
    assert token_edges(longest)[-len(edges) :] == edges


def test_an_edge_counts_in_the_bucket_below_it_and_weights_count() -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(1.0)
    histogram.observe(1.5, 3)
    histogram.observe(9.0)
    assert (histogram.buckets, histogram.count, histogram.total) == ([1, 3, 1], 5, 14.5)
