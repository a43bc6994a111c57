"""Load in replicas: what rates of requests are worth of a replica's capacity, with the headroom that a service keeps.

The optimiser, the pruning of variants and the explanations all count by it; the verifier keeps its own code.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def load_in_replicas(
    rates_rps: Floats, capacity_rps: Floats, *, utilisation_limit: float, staffing_beta: float = 0.0
) -> Floats:
    """Rate / (capacity x utilisation limit) by bucket (the last axis); infinite where the capacity is 0.

    With `staffing_beta` the loads of W replicas in all become W + beta x sqrt(W) (square-root staffing: Halfin and
    Whitt 1981), each in proportion; what is infinite does not count for W.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        load = np.where(capacity_rps > 0, rates_rps / (capacity_rps * utilisation_limit), np.inf)
    if staffing_beta > 0:
        size = np.where(np.isfinite(load), load, 0.0).sum(axis=-1, keepdims=True)
        load = load * np.where(size > 0, 1 + staffing_beta / np.sqrt(np.where(size > 0, size, 1.0)), 1.0)
    return load
