"""The demand of a service that a plan serves, by bucket and in tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from medley_planner.model import Demand, Service, ServicePlan

_SECONDS_PER_HOUR = 3600.0
_MILLION = 1e6
_DUST = 1e-9
"""Relative to a bucket's rate. A smaller served part beyond the unmet one counts as none."""


@dataclass(frozen=True, slots=True)
class TokenFigures:
    """Tokens per hour of the served demand and US dollars per million of them; None where sizes or service lack."""

    prompt_per_hour: float | None
    generated_per_hour: float | None
    cost_per_million: float | None
    cost_per_million_generated: float | None


def served_rates_rps(service: Service, planned: ServicePlan) -> tuple[float, ...]:
    """Requests per second by bucket that the plan serves."""
    demand = service.demand
    missing = [0.0] * len(demand.shares)
    for entry in planned.unserved:
        missing[entry.bucket] += entry.rate_rps
    rates = (demand.bucket_rate_rps(bucket) for bucket in range(len(demand.shares)))
    return tuple(
        rate - missed if rate - missed > rate * _DUST else 0.0 for rate, missed in zip(rates, missing, strict=True)
    )


def served_demand(service: Service, planned: ServicePlan) -> Demand:
    """The demand of the service as far as the plan serves it."""
    rates = served_rates_rps(service, planned)
    total = math.fsum(rates)
    if total == 0:
        return replace(service.demand, rate_rps=0.0)
    return replace(service.demand, rate_rps=total, shares=tuple(rate / total for rate in rates))


def token_figures(service: Service, planned: ServicePlan) -> TokenFigures:
    """Tokens by the mean sizes of the buckets. A bare capacity table has sizes of 0 where they are not known."""
    rates = served_rates_rps(service, planned)
    buckets = service.demand.buckets
    prompt = _SECONDS_PER_HOUR * math.fsum(
        rate * bucket.prompt_tokens for rate, bucket in zip(rates, buckets, strict=True)
    )
    generated = _SECONDS_PER_HOUR * math.fsum(
        rate * bucket.generation_tokens for rate, bucket in zip(rates, buckets, strict=True)
    )
    unknown = any(rate > 0 and bucket.generation_tokens == 0 for rate, bucket in zip(rates, buckets, strict=True))
    if unknown or generated == 0:
        return TokenFigures(None, None, None, None)
    return TokenFigures(
        prompt_per_hour=prompt,
        generated_per_hour=generated,
        cost_per_million=planned.cost_per_hour / (prompt + generated) * _MILLION,
        cost_per_million_generated=planned.cost_per_hour / generated * _MILLION,
    )
