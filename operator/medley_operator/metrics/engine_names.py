"""The metric names of the serving engine, by the role they play in a demand.

Engines rename metrics; a rename is one more name in one of these tuples. The first name that a pod exports counts for
that pod, so that pods of an old and of a new engine can stand beside each other during a rollout. Data only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineNames:
    """Candidates per role, newest name first. Histograms are named without `_bucket` and `_sum`."""

    completed: tuple[str, ...]
    """Counter of finished requests, whatever they ended with."""
    running: tuple[str, ...]
    """Gauge of requests in the batch. Its samples also tell since when and until when a pod was scraped."""
    waiting: tuple[str, ...]
    """Gauge of requests that queue in the engine."""
    prompt: tuple[str, ...]
    """Histogram of prompt tokens per finished request."""
    generation: tuple[str, ...]
    """Histogram of generated tokens per finished request."""
    kv_usage: tuple[str, ...]
    """Gauge of the share of the KV cache that sequences hold, 0 to 1."""
    cache_config: tuple[str, ...]
    """Gauge of 1 whose labels `num_gpu_blocks` and `block_size` tell the size of the KV cache."""
    inter_token_seconds: tuple[str, ...]
    """Histogram of the time between two tokens of a request."""
    prefill_seconds: tuple[str, ...]
    """Histogram of the time from a request's schedule to its first token."""
    preemptions: tuple[str, ...]
    """Counter of sequences thrown out of a full KV cache."""
    prefix_hits: tuple[str, ...]
    prefix_queries: tuple[str, ...]
    """Counters of prompt tokens found in the prefix cache, and looked up in it."""


VLLM = EngineNames(
    completed=("vllm:request_success_total",),
    running=("vllm:num_requests_running",),
    waiting=("vllm:num_requests_waiting",),
    prompt=("vllm:request_prompt_tokens",),
    generation=("vllm:request_generation_tokens",),
    kv_usage=("vllm:kv_cache_usage_perc",),
    cache_config=("vllm:cache_config_info",),
    inter_token_seconds=("vllm:inter_token_latency_seconds",),
    prefill_seconds=("vllm:request_prefill_time_seconds",),
    preemptions=("vllm:num_preemptions_total",),
    prefix_hits=("vllm:prefix_cache_hits_total",),
    prefix_queries=("vllm:prefix_cache_queries_total",),
)
"""vLLM 0.32, from a scrape of the engine."""
