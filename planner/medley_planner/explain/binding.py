"""When a shared limit binds: where no replica fits any more, be it of the fleet or of one service.

Pure. The explanation, the command line and the operator's statuses share this definition.
"""

from __future__ import annotations

from collections.abc import Iterable

from medley_planner.explain.usage import fed_by, limit_uses, usable
from medley_planner.model import LimitKind, LimitUse, Plan, Problem, Variant

SLACK = 1e-9
"""Relative. Room that is missing by less is there."""


def smallest_step(use: LimitUse, variants: Iterable[Variant]) -> float:
    """What the smallest replica of variants in the limit's pools takes of it (GPUs, places, watts); 0 if none does."""
    if use.kind is LimitKind.POWER:
        steps = [variant.watts for variant in variants if variant.watts > 0]
    else:
        # A replica takes places of its own size and of all smaller ones.
        steps = [variant.gpus_per_replica / use.size for variant in variants if variant.gpus_per_replica >= use.size]
    return min(steps, default=0.0)


def binds(use: LimitUse, *, step: float) -> bool:
    """Whether the limit leaves no room for a replica that takes `step` of it."""
    return step > 0 and use.limit - use.used < step * (1 - SLACK)


def binding_limits(problem: Problem, planned: Plan) -> dict[str, tuple[LimitUse, ...]]:
    """By service: the limits that leave no room for even the smallest replica that it could have under them."""
    uses = [(use, _pools(problem, use)) for use in limit_uses(problem, planned)]
    result: dict[str, tuple[LimitUse, ...]] = {}
    for service in problem.services:
        variants = tuple(usable(service))
        result[service.name] = tuple(
            use
            for use, pools in uses
            if binds(use, step=smallest_step(use, (each for each in variants if each.pool in pools)))
        )
    return result


def _pools(problem: Problem, use: LimitUse) -> set[str]:
    return fed_by(problem, use.name) if use.kind is LimitKind.POWER else {use.name}
