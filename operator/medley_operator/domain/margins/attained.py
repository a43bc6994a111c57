"""The share of requests within both targets, from two histograms that know nothing of each other. Pure.

A target between two edges gives two bounds: requests up to the edge below it surely met it, those up to the edge above
it may have. Between them requests are taken to lie evenly. Histograms do not show who missed both targets, so that the
share within both is bounded by Frechet's inequality: at least the sum of both shares less 1, at most the smaller one.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from medley_operator.domain.values.margins import NO_EVIDENCE, Buckets, Evidence, LatencyCounts

SURE, SHORT = 1.96, 3.0
"""Standard deviations: what was surely kept holds with 97.5 % confidence; what was hardly kept with 99.9 %, since that
is asked in each window, for years."""
REQUESTS_PER_DRAW = 4.0
"""Requests in one batch meet the same steps: so many count as one that was drawn by itself."""


def evidence(counts: LatencyCounts, *, ttft_seconds: float, tpot_seconds: float) -> Evidence:
    """The requests of a window that kept both targets; no requests where a histogram makes no sense."""
    ttft, tpot = _shares(counts.ttft, ttft_seconds), _shares(counts.tpot, tpot_seconds)
    if ttft is None:
        return NO_EVIDENCE
    # Requests with a single token have no time per output token, and miss no target of it.
    tpot = tpot or (1.0, 1.0)
    requests = counts.ttft[-1][1]
    return Evidence(
        requests=requests,
        least_kept=requests * max(ttft[0] + tpot[0] - 1.0, 0.0),
        likely_kept=requests * min(ttft[1], tpot[1]),
    )


def surely_kept(seen: Evidence) -> float:
    """The share of requests within both targets that is hardly less (Wilson's interval)."""
    return _wilson(seen.least_kept, seen.requests, -SURE)


def hardly_kept(seen: Evidence) -> float:
    """The share that is hardly more."""
    return _wilson(seen.likely_kept, seen.requests, SHORT)


def quantile_seconds(buckets: Buckets, share: float) -> float | None:
    """The time within which that share of requests lay; the lower edge of an open bucket; None without requests."""
    total = buckets[-1][1] if buckets else 0.0
    if not total > 0.0:
        return None
    place = bisect_left(buckets, share * total, key=lambda bucket: bucket[1])
    edge, count = buckets[min(place, len(buckets) - 1)]
    lower, below = buckets[place - 1] if place else (0.0, 0.0)
    if math.isinf(edge) or count <= below:
        return lower if math.isinf(edge) else edge
    return lower + (edge - lower) * (share * total - below) / (count - below)


def _shares(buckets: Buckets, target_seconds: float) -> tuple[float, float] | None:
    """The share of requests that surely met the target, and the likely one."""
    total = buckets[-1][1] if buckets else 0.0
    if not 0.0 < total < math.inf or any(not 0.0 <= count <= total for _, count in buckets):
        return None
    place = bisect_left(buckets, target_seconds, key=lambda bucket: bucket[0])
    edge, count = buckets[min(place, len(buckets) - 1)]
    if edge == target_seconds:
        return count / total, count / total
    lower, below = buckets[place - 1] if place else (0.0, 0.0)
    part = (target_seconds - lower) / (edge - lower) if math.isfinite(edge) else 0.0
    return below / total, (below + (count - below) * part) / total


def _wilson(kept: float, requests: float, z: float) -> float:
    draws = requests / REQUESTS_PER_DRAW
    if draws < 1.0:
        return 0.0 if z < 0.0 else 1.0
    share = min(max(kept / requests, 0.0), 1.0)
    middle = share + z * z / (2.0 * draws)
    spread = math.sqrt(share * (1.0 - share) / draws + z * z / (4.0 * draws * draws))
    return min(max((middle + z * spread) / (1.0 + z * z / draws), 0.0), 1.0)
