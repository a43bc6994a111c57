"""How far a service may shrink now: what its route still sends requests to stays, and Ready replicas go step by step.

A variant shrinks only after a look that shows the route, as the gateway accepted it, without the weight that its
replicas carried, and some seconds later: a gateway takes a while to program what it accepted. Replicas that are not
Ready serve nothing and may go at once. Pure; what must be known of earlier looks is a value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from medley_operator.domain.cluster.children import RunningVariant
from medley_operator.domain.rollout.step_memory import ServiceSteps, Shrink

SHRINK_SHARE = 0.5
"""At most this share of the Ready replicas of a variant goes at once, or one."""
SHRINK_SECONDS = 10.0
"""Between two steps that take Ready replicas of one variant."""
ROUTE_SECONDS = 2.0
"""From the look that shows a route accepted to the first step that rests on it."""


def bounded(
    wanted: Mapping[str, int], running: Mapping[str, RunningVariant], steps: ServiceSteps, *, at_seconds: float
) -> Shrink:
    """`wanted` with no more Ready replicas taken than one step may take."""
    replicas: dict[str, int] = {}
    shrunk_at = {name: at for name, at in steps.shrunk_at.items() if at_seconds - at < SHRINK_SECONDS}
    waits: list[float] = []
    for name, count in wanted.items():
        variant = running.get(name)
        if variant is None or not variant.loses(count):
            replicas[name] = count
            continue
        ready = variant.staying(variant.replicas)
        if name in shrunk_at:
            replicas[name] = variant.fewest(count, staying=ready)
            waits.append(shrunk_at[name] + SHRINK_SECONDS - at_seconds)
            continue
        replicas[name] = variant.fewest(count, staying=ready - max(1, math.ceil(ready * SHRINK_SHARE)))
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
    shrinking = {name for name, count in step.replicas.items() if name in running and running[name].loses(count)}
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
