"""A distribution of one size as a few bins, and the demand that two of them make. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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
    return tuple(part.bin for part in thinned_parts(bins, max_bins=max_bins, min_share=min_share))


@dataclass(frozen=True, slots=True)
class ThinnedBin:
    """A thinned bin, and the indexes of the bins that it was made of."""

    bin: Bin
    members: tuple[int, ...]


def thinned_parts(bins: Sequence[Bin], *, max_bins: int, min_share: float = MIN_SHARE) -> tuple[ThinnedBin, ...]:
    """`thinned`, with what went into each bin."""
    total = math.fsum(b.share for b in bins)
    order = sorted((i for i, b in enumerate(bins) if b.share > 0), key=lambda i: bins[i].tokens)
    kept = [ThinnedBin(Bin(bins[i].tokens, bins[i].share / total), (i,)) for i in order]
    while len(kept) > 1:
        smallest = min(range(len(kept)), key=lambda i: (kept[i].bin.share, i))
        if kept[smallest].bin.share >= min_share and len(kept) <= max_bins:
            break
        left = _nearer_left([part.bin for part in kept], smallest)
        a, b = kept[left : left + 2]
        kept[left : left + 2] = [ThinnedBin(_merged(a.bin, b.bin), a.members + b.members)]
    return tuple(kept)


def product(
    rate_rps: float,
    prompt: Sequence[Bin],
    generation: Sequence[Bin],
    *,
    size_source: SizeSource,
    max_tokens: int | None = None,
) -> Demand:
    """Demand of independent prompt and generation sizes; see `demand_of` for `max_tokens`."""
    cells = ((Bucket(p.tokens, g.tokens), p.share * g.share) for p in prompt for g in generation)
    return demand_of(rate_rps, cells, size_source=size_source, max_tokens=max_tokens)


def demand_of(
    rate_rps: float,
    cells: Iterable[tuple[Bucket, float]],
    *,
    size_source: SizeSource,
    max_tokens: int | None = None,
) -> Demand:
    """Demand of the given buckets and shares, which are normalised to sum 1.

    A bucket whose prompt and generation together exceed `max_tokens` (no such request can exist) is shortened to it,
    both sizes in proportion. What that takes, the others get, so that both means stay where `max_tokens` allows them.
    """
    buckets, shares = zip(*cells, strict=True)
    total = math.fsum(shares)
    shares = tuple(share / total for share in shares)
    return Demand(rate_rps, _within(buckets, shares, max_tokens), shares, size_source)


def lengthened(demand: Demand, *, prompt: float, generation: float, max_tokens: int) -> Demand:
    """The demand with all prompts and all generations longer by these factors, 1 or more; `max_tokens` as for
    `demand_of`."""
    if prompt == generation == 1.0:
        return demand
    longer = tuple(Bucket(prompt * each.prompt_tokens, generation * each.generation_tokens) for each in demand.buckets)
    return replace(demand, buckets=_within(longer, demand.shares, max_tokens))


def mean_prompt_tokens(demand: Demand) -> float:
    """Mean prompt size of a request."""
    return math.fsum(s * b.prompt_tokens for s, b in zip(demand.shares, demand.buckets, strict=True))


def mean_generation_tokens(demand: Demand) -> float:
    """Mean generation size of a request."""
    return math.fsum(s * b.generation_tokens for s, b in zip(demand.shares, demand.buckets, strict=True))


def mean_product(demand: Demand) -> float:
    """Mean of prompt x generation size of a request, in tokens squared: what makes the same means harder or easier."""
    pairs = zip(demand.shares, demand.buckets, strict=True)
    return math.fsum(share * bucket.prompt_tokens * bucket.generation_tokens for share, bucket in pairs)


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


def _within(buckets: tuple[Bucket, ...], shares: tuple[float, ...], max_tokens: int | None) -> tuple[Bucket, ...]:
    """The buckets, none longer than `max_tokens`: each gets the same part of the room that it has left, which holds
    what is cut off the longer ones as long as a mean request fits."""
    if max_tokens is None or all(_tokens(bucket) <= max_tokens for bucket in buckets):
        return buckets
    longest = max_tokens * _JUST_BELOW
    cut = [_times(bucket, min(longest / _tokens(bucket), 1.0)) for bucket in buckets]
    kept = list(zip(shares, buckets, cut, strict=True))
    prompt = math.fsum(share * (old.prompt_tokens - new.prompt_tokens) for share, old, new in kept)
    generation = math.fsum(share * (old.generation_tokens - new.generation_tokens) for share, old, new in kept)
    room = math.fsum(share * (longest - _tokens(new)) for share, _, new in kept)
    part = 1.0 / max(room, prompt + generation)
    return tuple(
        Bucket(
            bucket.prompt_tokens + (longest - _tokens(bucket)) * part * prompt,
            bucket.generation_tokens + (longest - _tokens(bucket)) * part * generation,
        )
        for bucket in cut
    )


def _tokens(bucket: Bucket) -> float:
    return bucket.prompt_tokens + bucket.generation_tokens


def _times(bucket: Bucket, factor: float) -> Bucket:
    return Bucket(factor * bucket.prompt_tokens, factor * bucket.generation_tokens)
