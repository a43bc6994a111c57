"""Demand from a forecast: the rate at one quantile of it, read off the few quantiles that are given. Pure.

Apart: the one way to plan for a forecast that comes from elsewhere, whatever document gives it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise


def rate_at_quantile(rates_rps: Mapping[float, float], *, at: float) -> float:
    """Requests per second at quantile `at` of a forecast that gives `rates_rps` by probability.

    Linear between the given quantiles. Below the first and above the last it is that one's rate: what the forecast
    does not say is not made up. Raises ValueError where there is nothing to read, a probability is not in 0 to 1, a
    rate is not finite or below 0, or the rates fall as the probability rises.
    """
    if not rates_rps:
        raise ValueError("no quantile is given; give at least one probability and its rate")
    _check_probability("the quantile to plan for", at)
    points = sorted(rates_rps.items())
    for probability, rate in points:
        _check_probability("a quantile", probability)
        if not math.isfinite(rate) or rate < 0:
            raise ValueError(f"the rate at quantile {probability:g} is {rate:g}; give a finite number, 0 or more")
    for (lower, less), (upper, more) in pairwise(points):
        if more < less:
            raise ValueError(
                f"the rate falls from {less:g} at quantile {lower:g} to {more:g} at {upper:g}; "
                "give rates that do not fall as the quantile rises"
            )
    if at <= points[0][0]:
        return points[0][1]
    for (lower, less), (upper, more) in pairwise(points):
        if at <= upper:
            return less + (more - less) * (at - lower) / (upper - lower)
    return points[-1][1]


def _check_probability(what: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{what} is {value:g}; give a number from 0 to 1")
