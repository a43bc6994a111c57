"""A limit that can give way, as a value: how to lift it, set it, and read what a plan needs of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medley_planner.explain.values import RelaxationKind
from medley_planner.model import Plan, Problem

_GRAINS = 10_000
"""Watts and prices are told apart to a ten-thousandth."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One limit. It is changed for `services`; `at(problem, value)` sets it; `needed(problem, plan)` is the value that
    a plan made without the limit would do with. Values go in steps of `step` (below 0: downwards; 0: it can only be
    lifted) from `start`, which is no better than `now`."""

    kind: RelaxationKind
    name: str
    services: tuple[str, ...]
    unit: str
    now: float
    step: float
    lift: Callable[[Problem], Problem]
    at: Callable[[Problem, float], Problem]
    needed: Callable[[Problem, Plan], float]
    start: float


def grain(amounts: Sequence[float]) -> float:
    """The largest amount that all of these are multiples of, so that sums of them are too; not below 1/64 of the
    smallest, as each halving is a plan. 0 without any."""
    if not amounts:
        return 0.0
    common = math.gcd(*(round(amount * _GRAINS) for amount in amounts)) / _GRAINS
    return max(common, min(amounts) / 64)
