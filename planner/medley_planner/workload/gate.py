"""Whether newly measured traffic differs from what the plan was made for by more than its own noise. Pure."""

from __future__ import annotations

import math

from medley_planner.model import Demand
from medley_planner.workload.marginal import mean_generation_tokens, mean_prompt_tokens

# Both figures compared were measured over a window, so their difference has twice the variance of one: three standard
# deviations of it, relative, are 3 * sqrt(2 / n) for Poisson arrivals and for sizes of coefficient of variation 1.
_NOISE_VARIANCE = 18.0


def adopt(
    current: Demand | None,
    new: Demand,
    *,
    samples: float,
    rate_band: float = 0.10,
    size_band: float = 0.10,
) -> bool:
    """True where `new` should replace `current`: there is none, or the rate or a mean size differs by more than a band.

    Bands are relative to `current`. Beside that the difference, relative to the larger figure, must exceed the noise of
    `samples` requests, the number that the busier of the two demands brings in a window (`samples_in_window`).
    """
    if current is None:
        return True
    noise = math.sqrt(_NOISE_VARIANCE / samples) if samples > 0 else math.inf
    return _changed(current.rate_rps, new.rate_rps, band=rate_band, noise=noise) or any(
        _changed(mean(current), mean(new), band=size_band, noise=noise)
        for mean in (mean_prompt_tokens, mean_generation_tokens)
    )


def samples_in_window(current: Demand | None, new: Demand, *, window_seconds: float) -> float:
    """Requests that the busier of both demands brings in `window_seconds`: silence counts as evidence too."""
    return window_seconds * max(new.rate_rps, current.rate_rps if current else 0.0)


def _changed(old: float, new: float, *, band: float, noise: float) -> bool:
    difference = abs(new - old)
    return difference > band * old and difference > noise * max(old, new)
