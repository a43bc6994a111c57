"""Demand written by the user: a rate with mean sizes. Pure; bad values raise ValueError."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

from medley_planner.model import Demand, SizeSource
from medley_planner.workload.grid import GENERATION_SIZES, PROMPT_SIZES, edges
from medley_planner.workload.marginal import MAX_GENERATION_BINS, MAX_PROMPT_BINS, Bin, product, thinned

_NORMAL = NormalDist()


def demand_from_means(
    rate_rps: float,
    *,
    prompt_tokens: float,
    generation_tokens: float,
    variation: float = 1.0,
    max_tokens: int | None = None,
) -> Demand:
    """Sizes spread log-normally and independently around the given means, on the standard grid.

    `variation` is the coefficient of variation of both sizes (0: all requests are alike). The default 1.0 is about that
    of public conversation traces. Each bucket stands at the mean of the sizes in it, so the overall means are kept,
    also where requests longer than `max_tokens` are taken at that length (`demand_of`). Raises ValueError.
    """
    _check_positive("requestsPerSecond", rate_rps)
    _check_positive("promptTokens", prompt_tokens)
    _check_positive("generationTokens", generation_tokens)
    if not math.isfinite(variation) or variation < 0:
        raise ValueError(f"variation {variation} must be 0 or more")
    if max_tokens is not None and prompt_tokens + generation_tokens > max_tokens:
        raise ValueError(
            f"promptTokens {prompt_tokens:g} plus generationTokens {generation_tokens:g} exceed the longest sequence "
            f"of {max_tokens} tokens; lower them or raise spec.model.maxModelLen"
        )
    return product(
        rate_rps,
        _log_normal_bins(prompt_tokens, variation, edges(PROMPT_SIZES), MAX_PROMPT_BINS),
        _log_normal_bins(generation_tokens, variation, edges(GENERATION_SIZES), MAX_GENERATION_BINS),
        size_source=SizeSource.STATIC,
        max_tokens=max_tokens,
    )


# A round asks for the two of each service again, whatever its rate is.
@lru_cache(maxsize=2048)
def _log_normal_bins(mean: float, variation: float, bin_edges: tuple[float, ...], max_bins: int) -> tuple[Bin, ...]:
    if variation == 0:
        return (Bin(mean, 1.0),)
    deviation = math.sqrt(math.log1p(variation * variation))
    location = math.log(mean) - deviation * deviation / 2.0
    bins = []
    for low, high in pairwise(bin_edges):
        share = _below(high, location, deviation) - _below(low, location, deviation)
        if share > 0:
            # The size-weighted distribution of a log-normal is the same one, its location moved by the variance.
            moved = location + deviation * deviation
            tokens = mean * (_below(high, moved, deviation) - _below(low, moved, deviation))
            bins.append(Bin(min(max(tokens / share, low), high), share))
    return thinned(bins, max_bins=max_bins)


def _below(size: float, location: float, deviation: float) -> float:
    if size <= 0:
        return 0.0
    return 1.0 if math.isinf(size) else _NORMAL.cdf((math.log(size) - location) / deviation)


def _check_positive(field: str, value: float) -> None:
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{field} {value} must be a number above 0")
