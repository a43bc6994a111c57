"""How far a service may shrink now: what its route still sends requests to stays, and Ready replicas go step by step.

A variant shrinks only after a look that shows the route, as the gateway accepted it, without the weight that its
replicas carried, and some seconds later: a gateway takes a while to program what it accepted. Replicas that are not
Ready serve nothing and may go at once. Pure; what must be known of earlier looks is a value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.values.snapshot import FieldKey, TakenBack

SHRINK_SHARE = 0.5
"""At most this share of the Ready replicas of a variant goes at once, or one."""
SHRINK_SECONDS = 10.0
"""Between two steps that take Ready replicas of one variant."""
ROUTE_SECONDS = 2.0
"""From the look that shows a route accepted to the first step that rests on it."""


@dataclass(frozen=True, slots=True)
class ServiceSteps:
    """The memory of the steps of one service: since when its route has the weights that it has, and when Ready
    replicas of each variant last went, and which fields others take back. Losing it only delays a step. Times are those
    of the operator's clock."""

    weights: Mapping[str, int] | None = None
    weights_since: float = 0.0
    shrunk_at: Mapping[str, float] = field(default_factory=dict)
    taken_back: Mapping[FieldKey, TakenBack] = field(default_factory=dict)
    ranged: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    """The prompt range that a pod was given, and when, by uid."""

    def seen(self, weights: Mapping[str, int] | None, *, at_seconds: float) -> ServiceSteps:
        """With a look at the accepted weights of the route; None where there are none or they are not accepted."""
        if weights == self.weights:
            return self
        return replace(self, weights=weights, weights_since=at_seconds)


@dataclass(frozen=True, slots=True)
class Shrink:
    """Replicas to have now by variant, and after how many seconds more may go (None: nothing waits for time)."""

    replicas: dict[str, int]
    wait_seconds: float | None
    steps: ServiceSteps


def bounded(
    wanted: Mapping[str, int], running: Mapping[str, RunningVariant], steps: ServiceSteps, *, at_seconds: float
) -> Shrink:
    """`wanted` with no more Ready replicas taken than one step may take."""
    replicas: dict[str, int] = {}
    shrunk_at = {name: at for name, at in steps.shrunk_at.items() if at_seconds - at < SHRINK_SECONDS}
    waits: list[float] = []
    for name, count in wanted.items():
        variant = running.get(name)
        ready = min(variant.ready, variant.replicas) if variant is not None else 0
        if variant is None or count >= ready:
            replicas[name] = count
            continue
        if name in shrunk_at:
            replicas[name] = max(count, ready)
            waits.append(shrunk_at[name] + SHRINK_SECONDS - at_seconds)
            continue
        replicas[name] = max(count, ready - max(1, math.ceil(ready * SHRINK_SHARE)))
        if replicas[name] > count:
            waits.append(SHRINK_SECONDS)
    return Shrink(replicas, min(waits, default=None), replace(steps, shrunk_at=shrunk_at))


def routed(
    step: Shrink,
    running: Mapping[str, RunningVariant],
    weights: Mapping[str, int] | None,
    *,
    at_seconds: float,
) -> Shrink:
    """The step as far as the route allows it now. `weights`: what the route must have first; None: there is no route.

    Growth never waits for the route.
    """
    shrinking = {name for name, count in step.replicas.items() if _takes_ready(count, running.get(name))}
    steps = step.steps
    if not shrinking:
        return step
    if weights is not None:
        kept = {**step.replicas, **{name: running[name].replicas for name in shrinking}}
        if steps.weights != weights:
            return Shrink(kept, step.wait_seconds, steps)
        left_seconds = steps.weights_since + ROUTE_SECONDS - at_seconds
        if left_seconds > 0:
            return Shrink(kept, min(left_seconds, step.wait_seconds or left_seconds), steps)
    shrunk_at = {**steps.shrunk_at, **dict.fromkeys(shrinking, at_seconds)}
    return Shrink(step.replicas, step.wait_seconds, replace(steps, shrunk_at=shrunk_at))


def _takes_ready(count: int, variant: RunningVariant | None) -> bool:
    """Whether Ready replicas go: those that are not go first."""
    return variant is not None and count < min(variant.replicas, variant.ready)
