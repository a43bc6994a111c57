"""From the two size histograms and what is known of how they go together to a demand. Pure.

In order of preference: the gateway's counts of both sizes together; the product within each variant where traffic is
split by prompt length, so that variants see different sizes; the product of all, tilted to the tokens that the KV
caches hold; the product as it is. Each is a separate function, and takes the means from the engine's histograms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medley_planner.model import Bucket, Demand, SizeSource
from medley_planner.workload.histogram import Histogram, bins_of
from medley_planner.workload.marginal import (
    MAX_GENERATION_BINS,
    MAX_PROMPT_BINS,
    Bin,
    demand_of,
    product,
    thinned,
    thinned_parts,
)
from medley_planner.workload.tilt import tilted

MAX_BUCKETS = MAX_PROMPT_BINS * MAX_GENERATION_BINS
MAX_VARIANTS = 6
"""Beyond, each variant would be left with too few bins."""
FEWEST_REQUESTS = 200.0
"""Fewest requests of a variant, or of the gateway, for its sizes to count."""
LEAST_DISTANCE = 0.3
"""Variants see different prompts where they are this far apart on average (0: alike, 1: nothing in common)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Both histograms of the same requests."""

    prompt: Histogram
    generation: Histogram

    @property
    def requests(self) -> float:
        return self.prompt.buckets[-1][1] if self.prompt.buckets else 0.0


Cells = Mapping[tuple[float, float], float]
"""Requests by (upper edge of the prompt, upper edge of the generation), both in tokens, not cumulative."""


def demand_from_tilt(rate_rps: float, sizes: Sizes, *, ratio: float) -> Demand:
    """The product of both histograms tilted to `ratio` (see `held_tokens`), clamped. Raises BadHistogram."""
    prompt = thinned(bins_of("prompt", sizes.prompt), max_bins=MAX_PROMPT_BINS)
    generation = thinned(bins_of("generation", sizes.generation), max_bins=MAX_GENERATION_BINS)
    found = tilted(prompt, generation, ratio=ratio)
    cells = (
        (Bucket(p.tokens, g.tokens), share)
        for p, row in zip(prompt, found.shares, strict=True)
        for g, share in zip(generation, row, strict=True)
    )
    return demand_of(rate_rps, cells, size_source=SizeSource.TILTED)


def demand_from_variants(rate_rps: float, variants: Sequence[Sizes]) -> Demand | None:
    """Independent within each variant. None where they show nothing: fewer than two have enough requests, too many have
    some, or all see the same prompts. Raises BadHistogram."""
    counted = [sizes for sizes in variants if sizes.requests > 0]
    if not 2 <= len(counted) <= MAX_VARIANTS or min(sizes.requests for sizes in counted) < FEWEST_REQUESTS:
        return None
    if _distance(counted) < LEAST_DISTANCE:
        return None
    most_prompt = max(2, MAX_PROMPT_BINS // len(counted))
    most_generation = min(MAX_GENERATION_BINS, MAX_BUCKETS // (len(counted) * most_prompt))
    cells: list[tuple[Bucket, float]] = []
    for sizes in counted:
        part = product(
            1.0,
            thinned(bins_of("prompt", sizes.prompt), max_bins=most_prompt),
            thinned(bins_of("generation", sizes.generation), max_bins=most_generation),
            size_source=SizeSource.PER_VARIANT,
        )
        cells.extend((bucket, sizes.requests * share) for bucket, share in zip(part.buckets, part.shares, strict=True))
    return demand_of(rate_rps, cells, size_source=SizeSource.PER_VARIANT)


def demand_from_cells(rate_rps: float, cells: Cells, *, prompt_mean: float, generation_mean: float) -> Demand | None:
    """The gateway's counts, sizes rescaled to the engine's means. None where they are too few.

    Raises BadHistogram where they are not counts or their edges are not sizes.
    """
    if math.isfinite(total := math.fsum(cells.values())) and total < FEWEST_REQUESTS:
        return None
    rows, columns = _margin(cells, 0), _margin(cells, 1)
    row_bins = bins_of("gateway prompt", _histogram(rows, prompt_mean))
    column_bins = bins_of("gateway generation", _histogram(columns, generation_mean))
    row_of = _parts([edge for edge, count in rows.items() if count > 0], row_bins, MAX_PROMPT_BINS)
    column_of = _parts([edge for edge, count in columns.items() if count > 0], column_bins, MAX_GENERATION_BINS)
    shares: dict[Bucket, float] = {}
    for (prompt_edge, generation_edge), count in cells.items():
        if count > 0:
            bucket = Bucket(row_of[prompt_edge].tokens, column_of[generation_edge].tokens)
            shares[bucket] = shares.get(bucket, 0.0) + count
    return demand_of(rate_rps, sorted(shares.items(), key=_size), size_source=SizeSource.GATEWAY)


def _size(cell: tuple[Bucket, float]) -> tuple[float, float]:
    return cell[0].prompt_tokens, cell[0].generation_tokens


def _margin(cells: Cells, axis: int) -> dict[float, float]:
    counts: dict[float, list[float]] = {}
    for edges, count in cells.items():
        counts.setdefault(edges[axis], []).append(count)
    return {edge: math.fsum(parts) for edge, parts in sorted(counts.items())}


def _histogram(counts: Mapping[float, float], mean: float) -> Histogram:
    buckets: list[tuple[float, float]] = []
    below = 0.0
    for edge, count in counts.items():
        below += count
        buckets.append((edge, below))
    if buckets and not math.isinf(buckets[-1][0]):
        buckets.append((math.inf, below))
    return Histogram(tuple(buckets), mean * below)


def _parts(edges: Sequence[float], bins: Sequence[Bin], most: int) -> dict[float, Bin]:
    """The thinned bin of each edge."""
    return {edges[member]: part.bin for part in thinned_parts(bins, max_bins=most) for member in part.members}


def _distance(variants: Sequence[Sizes]) -> float:
    """Mean total-variation distance of the variants' prompts from those of all, weighted by requests, relative to the
    largest that so many variants can have."""
    total = math.fsum(sizes.requests for sizes in variants)
    weights = [sizes.requests / total for sizes in variants]
    own = [_per_bucket(sizes.prompt) for sizes in variants]
    edges = {edge for part in own for edge in part}
    mixed = {
        edge: math.fsum(weight * part.get(edge, 0.0) for weight, part in zip(weights, own, strict=True))
        for edge in edges
    }
    distance = math.fsum(
        weight * 0.5 * math.fsum(abs(part.get(edge, 0.0) - mixed[edge]) for edge in edges)
        for weight, part in zip(weights, own, strict=True)
    )
    return distance / (1.0 - math.fsum(weight * weight for weight in weights))


def _per_bucket(histogram: Histogram) -> dict[float, float]:
    total = histogram.buckets[-1][1]
    shares: dict[float, float] = {}
    below = 0.0
    for edge, count in histogram.buckets:
        shares[edge] = max(count - below, 0.0) / total
        below = max(below, count)
    return shares
