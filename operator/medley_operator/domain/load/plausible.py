"""Whether what was observed of a service can be a load at all; what cannot be one is refused with field and value.
Pure.

The reader of Prometheus refuses nonsense already. This is the same rule at the door of planning, so that no figure from
anywhere, a new source included, gets into arithmetic where it would end the round of the whole fleet.
"""

from __future__ import annotations

import math

from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_planner.model import Demand

MOST_RPS = 1e9
MOST_TOKENS = 1e9
"""Most tokens of a mean request of a bucket; no engine serves more."""
SHARE_SUM_TOLERANCE = 1e-6


def plausible(seen: Observation) -> Observation:
    """The observation, or one of reason MetricsInvalid where its demand cannot be."""
    fault = demand_fault(seen.demand) if seen.reason is MetricsReason.FOUND and seen.demand is not None else None
    if fault is None:
        return seen
    message = f"Prometheus returned an impossible load: {fault}. Compare it with the engine's /metrics"
    return Observation(reason=MetricsReason.INVALID, message=message)


def demand_fault(demand: Demand) -> str | None:
    """The first figure that is out of its range; None where none is."""
    if not 0.0 <= demand.rate_rps <= MOST_RPS:
        return f"a rate of {demand.rate_rps:g} req/s"
    if not demand.buckets or len(demand.shares) != len(demand.buckets):
        return f"{len(demand.buckets)} sizes with {len(demand.shares)} shares"
    for bucket in demand.buckets:
        if not 0.0 < bucket.prompt_tokens <= MOST_TOKENS:
            return f"a mean prompt of {bucket.prompt_tokens:g} tokens"
        if not 0.0 <= bucket.generation_tokens <= MOST_TOKENS:
            return f"a mean generation of {bucket.generation_tokens:g} tokens"
    for share in demand.shares:
        if not 0.0 <= share <= 1.0 + SHARE_SUM_TOLERANCE:
            return f"a size with a share of {share:g}"
    total = math.fsum(demand.shares)
    if abs(total - 1.0) > SHARE_SUM_TOLERANCE:
        return f"shares that sum to {total:g}"
    # A cache that has the whole prompt leaves nothing to compute, which no engine reaches: the last block is its own.
    if not 0.0 <= demand.prefix_hit_rate < 1.0:
        return f"a prefix hit rate of {demand.prefix_hit_rate:g}"
    return None
