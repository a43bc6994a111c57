"""How much prefill the engines' prefix caches surely save, from their counters. Pure.

A hit rate is a measurement of the past on warm caches: a replica that was just started has none, and more replicas
share fewer prompts each. So the figure that is planned with is a lower confidence bound, capped, and rounded down.

Apart: how much of a measurement plans may count on is decided here, and not where it is read.
"""

from __future__ import annotations

import math

from medley_planner.workload.held_tokens import Moments

MAX_HIT_RATE = 0.8
"""Whatever is measured: the fleet must bear its load while some of its caches are cold."""
STEP = 0.05
"""Rounded down to multiples of it, so that capacities are not computed anew for each wobble."""
FEWEST_REQUESTS = 200.0
_DEVIATIONS = 2.0


def sure_hit_rate(*, hits: float, queries: float, requests: float, prompt: Moments) -> float:
    """The share of prompt tokens that can be counted on, 0 to `MAX_HIT_RATE`.

    `hits` and `queries` are tokens, `requests` those that finished meanwhile. Requests hit or miss as a whole at worst,
    and long ones weigh more, so the variance of the rate h is at most h * (1 - h) / (requests * mean^2 / mean square).
    """
    if queries <= 0 or requests < FEWEST_REQUESTS:
        return 0.0
    rate = min(max(hits / queries, 0.0), 1.0)
    effective = requests * prompt.mean**2 / max(prompt.square, prompt.mean**2)
    bound = min(rate - _DEVIATIONS * math.sqrt(rate * (1.0 - rate) / effective), MAX_HIT_RATE)
    return max(math.floor(bound / STEP + 1e-9) * STEP, 0.0)
