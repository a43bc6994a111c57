"""The metric names of the serving engine, by the role they play in a demand or in a calibration.

Engines rename metrics; a rename is one more name in one of these tuples. The first name that a pod exports counts for
that pod, so that pods of an old and of a new engine, or of two engines, can stand beside each other. Data only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from medley_planner.layout import EngineKind

OWN_LABELS = ("engine", "finished_reason")
"""Labels by which an engine splits one figure of one model into several series, which belong together."""


@dataclass(frozen=True, slots=True)
class EngineNames:
    """Candidates per role, newest name first. Histograms are named without `_bucket` and `_sum`."""

    completed: tuple[str, ...]
    """Counter of finished requests, whatever they ended with."""
    running: tuple[str, ...]
    """Gauge of requests in the batch. Its samples also show since when and until when a pod was scraped."""
    waiting: tuple[str, ...]
    """Gauge of requests that queue in the engine."""
    prompt: tuple[str, ...]
    """Histogram of prompt tokens per finished request."""
    generation: tuple[str, ...]
    """Histogram of generated tokens per finished request."""
    kv_usage: tuple[str, ...]
    """Gauge of the share of the KV cache that sequences hold, 0 to 1."""
    cache_config: tuple[str, ...]
    """Gauge of 1 whose labels contain the size of the KV cache (`queries.BLOCKS` and what stands beside it)."""
    inter_token_seconds: tuple[str, ...]
    """Histogram of the time from one token of a request to its next."""
    prefill_seconds: tuple[str, ...]
    """Histogram of the time from a request's schedule to its first token."""
    preemptions: tuple[str, ...]
    """Counter of sequences thrown out of a full KV cache."""
    prefix_hits: tuple[str, ...]
    prefix_queries: tuple[str, ...]
    """Counters of prompt tokens found in the prefix cache, and looked up in it."""
    steps: tuple[str, ...]
    """Counter of engine steps that gave tokens."""
    prompt_tokens: tuple[str, ...]
    """Counter of prompt tokens, with those that the prefix cache had."""
    first_tokens: tuple[str, ...]
    """Counter of requests that got their first token."""
    ttft_seconds: tuple[str, ...]
    """Histogram of the time from a request's arrival to its first token."""
    tpot_seconds: tuple[str, ...]
    """Histogram of the mean time from one token of a request to its next, by request."""


VLLM = EngineNames(
    completed=("vllm:request_success_total",),
    running=("vllm:num_requests_running",),
    waiting=("vllm:num_requests_waiting",),
    prompt=("vllm:request_prompt_tokens",),
    generation=("vllm:request_generation_tokens",),
    kv_usage=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    cache_config=("vllm:cache_config_info",),
    inter_token_seconds=("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
    prefill_seconds=("vllm:request_prefill_time_seconds",),
    preemptions=("vllm:num_preemptions_total",),
    prefix_hits=("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
    prefix_queries=("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"),
    steps=("vllm:iteration_tokens_total_count",),
    prompt_tokens=("vllm:prompt_tokens_total",),
    first_tokens=("vllm:time_to_first_token_seconds_count",),
    ttft_seconds=("vllm:time_to_first_token_seconds",),
    tpot_seconds=("vllm:request_time_per_output_token_seconds", "vllm:time_per_output_token_seconds"),
)
"""vLLM 0.32, from a scrape of the engine; the older names are those of its releases up to 0.10."""

BY_ENGINE: Mapping[EngineKind, EngineNames] = MappingProxyType({EngineKind.VLLM: VLLM})


def _together(names: Iterable[EngineNames]) -> EngineNames:
    every = tuple(names)
    return EngineNames(
        **{part.name: tuple(name for one in every for name in getattr(one, part.name)) for part in fields(EngineNames)}
    )


EVERY_ENGINE = _together(BY_ENGINE.values())
"""The names that the queries ask for: each engine exports its own names only."""
