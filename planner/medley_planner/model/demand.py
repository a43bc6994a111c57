"""The demand of a service: a rate and a distribution over sizes of requests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SizeSource(StrEnum):
    """Where the joint distribution of prompt and generation sizes comes from, the least certain first."""

    INDEPENDENT = "Independent"
    """Product of the marginal histograms that the engine exports."""
    TILTED = "Tilted"
    """That product, tilted to the mean of prompt x generation that the tokens in the KV caches give."""
    PER_VARIANT = "PerVariant"
    """Sum over the variants of each one's product, where each serves a range of prompts."""
    GATEWAY = "Gateway"
    """Counts of prompt and generation together, from the gateway."""
    STATIC = "Static"
    """The workload written in the object."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One cell of the prompt x generation grid, by the mean sizes (tokens) of the requests in it."""

    prompt_tokens: float
    generation_tokens: float


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand of one service: `rate_rps` in all, `shares[b]` of it (sum 1) in `buckets[b]`.

    `prefix_hit_rate` is the share of prompt tokens that prefix caches surely save computing, 0 to 1.
    """

    rate_rps: float
    buckets: tuple[Bucket, ...]
    shares: tuple[float, ...]
    size_source: SizeSource
    prefix_hit_rate: float = 0.0

    def bucket_rate_rps(self, bucket: int) -> float:
        return self.rate_rps * self.shares[bucket]
