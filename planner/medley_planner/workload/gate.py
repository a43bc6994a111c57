"""Whether newly measured traffic differs from what the plan was made for by more than its own noise. Pure."""

from __future__ import annotations

import math

from medley_planner.model import Demand
from medley_planner.workload.marginal import mean_generation_tokens, mean_product, mean_prompt_tokens

# Both figures compared were measured over a window, so their difference has twice the variance of one: three standard
# deviations of it, relative, are 3 * sqrt(2 / n) for Poisson arrivals and for sizes of coefficient of variation 1.
_NOISE_VARIANCE = 18.0


BAND = 0.10
"""A demand within this of the planned one, relative, is not worth another plan."""
_PRODUCT_BAND = 0.25
"""Band of the mean of prompt x generation: it scatters more than the means, and moves the load by about half as
much."""
_HIT_BAND = 0.099
"""Prefix hits come in steps of 0.05: two of them."""


def adopt(current: Demand | None, new: Demand, *, samples: float) -> bool:
    """True where `new` should replace `current` at once: there is none, or a figure differs by more than noise.

    The rate or a mean size must differ by more than `BAND` of `current`, and, relative to the larger figure, by more
    than the noise of `samples` requests, the number that the busier demand brings in a window (`samples_in_window`).
    """
    if current is None:
        return True
    noise = math.sqrt(_NOISE_VARIANCE / samples) if samples > 0 else math.inf
    return any(_differs(old, now, noise=noise) for old, now in _figures(current, new))


def drifts(current: Demand, new: Demand) -> bool:
    """True where a figure lies outside of `BAND`, noise or not: if that lasts, it is not noise.

    So does another way in which the sizes go together though their means are the same, or are known to, and other
    prefix hits.
    """
    return (
        new.size_source is not current.size_source
        or abs(new.prefix_hit_rate - current.prefix_hit_rate) > _HIT_BAND
        or abs(mean_product(new) - mean_product(current)) > _PRODUCT_BAND * mean_product(current)
        or any(_differs(old, now, noise=0.0) for old, now in _figures(current, new))
    )


def samples_in_window(current: Demand | None, new: Demand, *, window_seconds: float) -> float:
    """Requests that the busier of both demands brings in `window_seconds`: silence counts as evidence too."""
    return window_seconds * max(new.rate_rps, current.rate_rps if current else 0.0)


def _figures(current: Demand, new: Demand) -> tuple[tuple[float, float], ...]:
    return (
        (current.rate_rps, new.rate_rps),
        *((mean(current), mean(new)) for mean in (mean_prompt_tokens, mean_generation_tokens)),
    )


def _differs(old: float, new: float, *, noise: float) -> bool:
    difference = abs(new - old)
    return difference > BAND * old and difference > noise * max(old, new)
