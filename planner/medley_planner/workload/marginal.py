"""A distribution of one size as a few bins, and the demand that two of them make. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medley_planner.model import Bucket, Demand, SizeSource

MIN_SHARE = 0.005
MAX_PROMPT_BINS = 12
MAX_GENERATION_BINS = 8
_JUST_BELOW = 1.0 - 1e-9


@dataclass(frozen=True, slots=True)
class Bin:
    """`share` of the requests, whose mean size is `tokens`."""

    tokens: float
    share: float


def thinned(bins: Sequence[Bin], *, max_bins: int, min_share: float = MIN_SHARE) -> tuple[Bin, ...]:
    """At most `max_bins` bins of at least `min_share` each (unless one is all there is), in rising order of size.

    The smallest bin is merged into the neighbour nearest by ratio until that holds. Shares are normalised to sum 1; the
    mean size is kept. Empty bins go first, so `bins` needs one of positive share.
    """
    total = math.fsum(b.share for b in bins)
    kept = [Bin(b.tokens, b.share / total) for b in sorted(bins, key=lambda b: b.tokens) if b.share > 0]
    while len(kept) > 1:
        smallest = min(range(len(kept)), key=lambda i: (kept[i].share, i))
        if kept[smallest].share >= min_share and len(kept) <= max_bins:
            break
        left = _nearer_left(kept, smallest)
        kept[left : left + 2] = [_merged(kept[left], kept[left + 1])]
    return tuple(kept)


def product(
    rate_rps: float,
    prompt: Sequence[Bin],
    generation: Sequence[Bin],
    *,
    size_source: SizeSource,
    max_tokens: int | None = None,
) -> Demand:
    """Demand of independent prompt and generation sizes.

    A bucket whose prompt and generation together exceed `max_tokens` (no such request can exist) is shortened to it,
    both sizes in proportion.
    """
    buckets, shares = [], []
    for p in prompt:
        for g in generation:
            buckets.append(_shortened(Bucket(p.tokens, g.tokens), max_tokens))
            shares.append(p.share * g.share)
    total = math.fsum(shares)
    return Demand(rate_rps, tuple(buckets), tuple(share / total for share in shares), size_source)


def mean_prompt_tokens(demand: Demand) -> float:
    """Mean prompt size of a request."""
    return math.fsum(s * b.prompt_tokens for s, b in zip(demand.shares, demand.buckets, strict=True))


def mean_generation_tokens(demand: Demand) -> float:
    """Mean generation size of a request."""
    return math.fsum(s * b.generation_tokens for s, b in zip(demand.shares, demand.buckets, strict=True))


def _nearer_left(bins: list[Bin], index: int) -> int:
    """Index of the left bin of the pair that `index` is merged in."""
    if index == 0:
        return 0
    if index == len(bins) - 1:
        return index - 1
    to_left = bins[index].tokens * bins[index].tokens
    to_right = bins[index - 1].tokens * bins[index + 1].tokens
    return index - 1 if to_left <= to_right else index


def _merged(a: Bin, b: Bin) -> Bin:
    share = a.share + b.share
    return Bin((a.tokens * a.share + b.tokens * b.share) / share, share)


def _shortened(bucket: Bucket, max_tokens: int | None) -> Bucket:
    total = bucket.prompt_tokens + bucket.generation_tokens
    if max_tokens is None or total <= max_tokens:
        return bucket
    factor = max_tokens / total * _JUST_BELOW
    return Bucket(bucket.prompt_tokens * factor, bucket.generation_tokens * factor)
