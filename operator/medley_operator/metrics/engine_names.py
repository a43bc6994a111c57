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


VLLM = EngineNames(
    completed=("vllm:request_success_total",),
    running=("vllm:num_requests_running",),
    waiting=("vllm:num_requests_waiting",),
    prompt=("vllm:request_prompt_tokens",),
    generation=("vllm:request_generation_tokens",),
)
"""vLLM 0.32, from a scrape of the engine."""
