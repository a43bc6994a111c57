"""The metric names of the serving engine that tell how fast it runs, by role; as in `engine_names`. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CalibrationNames:
    """Candidates per role, newest name first; a pod counts by the first that it exports."""

    steps: tuple[str, ...]
    """Counter of engine steps that gave tokens."""
    prompt_tokens: tuple[str, ...]
    """Counter of prompt tokens, with those that the prefix cache had."""
    prefix_hits: tuple[str, ...]
    """Counter of prompt tokens that the prefix cache had."""
    prompts: tuple[str, ...]
    """Counter of requests that got their first token."""
    latency: tuple[str, ...]
    """Histogram of the seconds from one token of a request to its next, without `_sum` and `_count`."""
    preemptions: tuple[str, ...]
    running: tuple[str, ...]
    waiting: tuple[str, ...]
    """Gauges of requests in the batch and in the queue."""
    kv_usage: tuple[str, ...]
    """Gauge of the share of the KV cache in use, 0 to 1."""
    cache: tuple[str, ...]
    """Gauge of 1, whose labels tell the size of the KV cache."""


VLLM_CALIBRATION = CalibrationNames(
    steps=("vllm:iteration_tokens_total_count",),
    prompt_tokens=("vllm:prompt_tokens_total",),
    prefix_hits=("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
    prompts=("vllm:time_to_first_token_seconds_count",),
    latency=("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
    preemptions=("vllm:num_preemptions_total",),
    running=("vllm:num_requests_running",),
    waiting=("vllm:num_requests_waiting",),
    kv_usage=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    cache=("vllm:cache_config_info",),
)
"""vLLM 0.32, from a scrape of the engine; the older names are those of its releases up to 0.10."""
