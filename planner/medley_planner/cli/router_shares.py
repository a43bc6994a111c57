"""Shares with which a router does what a service's plan says, by routing mode. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medley_planner.model import Service, ServicePlan

_DUST = 1e-9
"""Shares up to this size are rounding of the solver's."""


@dataclass(frozen=True, slots=True)
class PromptClass:
    """Requests of one prompt length and the part (0 to 1, sum 1) of the served ones that each variant gets."""

    prompt_tokens: float
    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class PromptSpan:
    """Prompt lengths of the demand that follow each other and of which a variant gets requests, ends included."""

    from_tokens: float
    to_tokens: float


def variant_weights(planned: ServicePlan) -> dict[str, float]:
    """The part of the served requests that each variant gets, summing to 1; empty where none are served."""
    return _normalised({part.variant: part.share for part in planned.variants})


def prompt_classes(service: Service, planned: ServicePlan) -> tuple[PromptClass, ...]:
    """The classes of which requests come and are served, by rising prompt length."""
    demand = service.demand
    asked = (index for index in range(len(demand.buckets)) if demand.bucket_rate_rps(index) > 0)
    classes = []
    for buckets in planned.routing.classes(demand.buckets, asked):
        shares = _normalised(
            {
                part.variant: math.fsum(
                    demand.bucket_rate_rps(bucket) * part.bucket_shares[bucket] for bucket in buckets
                )
                / math.fsum(demand.bucket_rate_rps(bucket) for bucket in buckets)
                for part in planned.variants
            }
        )
        if shares:
            classes.append(PromptClass(demand.buckets[buckets[0]].prompt_tokens, shares))
    return tuple(classes)


def prompt_ranges(classes: Sequence[PromptClass]) -> dict[str, tuple[PromptSpan, ...]]:
    """Ranges of each variant that gets requests: one where its classes are neighbours, else as many as it has runs of
    them."""
    names = [name for name in classes[0].shares] if classes else []
    return {name: runs for name in names if (runs := _runs(classes, name))}


def _runs(classes: Sequence[PromptClass], name: str) -> tuple[PromptSpan, ...]:
    runs: list[PromptSpan] = []
    adjacent = False
    for one in classes:
        if one.shares[name] > 0:
            first = runs.pop().from_tokens if adjacent else one.prompt_tokens
            runs.append(PromptSpan(first, one.prompt_tokens))
        adjacent = one.shares[name] > 0
    return tuple(runs)


def _normalised(parts: dict[str, float]) -> dict[str, float]:
    kept = {name: part if part > _DUST else 0.0 for name, part in parts.items()}
    total = math.fsum(kept.values())
    return {name: part / total for name, part in kept.items()} if total > 0 else {}
