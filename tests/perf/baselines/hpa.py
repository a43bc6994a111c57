"""One GPU type scaled by a rule like that of Kubernetes' HorizontalPodAutoscaler, which knows load and not size.

replicas = ceil(current x utilisation / target), no change while that ratio is within 10 % of 1, and down only to the
largest answer of the stabilisation window (the defaults of the HorizontalPodAutoscaler, version 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_TOLERANCE = 0.1
_STABILISATION_SECONDS = 300.0
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class HpaState:
    """Replicas that run, and what the rule wanted at each moment of the window (seconds, replicas)."""

    replicas: int
    wanted: tuple[tuple[float, int], ...] = ()


def hpa_step(state: HpaState, *, load: float, target: float, now_seconds: float) -> HpaState:
    """The state after one look. `load`: what the demand is worth in whole busy replicas; `target`: utilisation."""
    ratio = load / state.replicas / target
    answer = state.replicas if abs(ratio - 1) <= _TOLERANCE else max(1, math.ceil(state.replicas * ratio - _SLACK))
    since = now_seconds - _STABILISATION_SECONDS
    wanted = (*(entry for entry in state.wanted if entry[0] >= since), (now_seconds, answer))
    highest = max(replicas for _, replicas in wanted)
    replicas = answer if answer >= state.replicas else min(state.replicas, highest)
    return HpaState(replicas, wanted)
