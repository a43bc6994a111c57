"""One token budget for each layout, where none is requested: the one that serves the load with the least work.

Unlike `prune` this may cost, where a router that sees sizes would mix budgets; in exchange the number of variants does
not grow with the budgets that are tried. Another budget is another engine, started anew, so the one that runs is kept
until another is clearly better. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

import numpy as np

from medley_planner.model import Service, Variant
from medley_planner.variants.prune import demanded_buckets, effective_work

BETTER = 0.05
"""Another budget must serve the load with this share less work. Noise of a live load's sizes, and of capacities that
are simulated, moves the work of two budgets by a few percent against each other."""
_ROUNDING = 1e-9


def choose_budgets(
    service: Service, families: Mapping[str, Hashable], *, running: Collection[str], keep: Collection[str]
) -> tuple[Variant, ...]:
    """The variants of `service` to plan with, in their order: one of each family, those named in `keep` beside it.

    `families`: what a variant is but for its budget, by name. `running` are those that the last plan has. The budget of
    a family is that of the best of those, else its first variant's, unless another serves more of the demand, or as
    much with `BETTER` less work: replicas, or parts of them, summed over the sizes.
    """
    variants = service.variants
    demanded = demanded_buckets(service)
    capacity = np.array([variant.capacity_rps for variant in variants], float).reshape(len(variants), -1)[:, demanded]
    work = effective_work(service, capacity, demanded)
    able = np.isfinite(work)
    rates = np.array([service.demand.bucket_rate_rps(bucket) for bucket in demanded])
    shares = rates / rates.sum() if rates.any() else np.full(len(demanded), 1.0 / len(demanded))
    served = (able * shares).sum(axis=1)
    total = np.where(able, work, 0.0).sum(axis=1)

    def better(one: int, other: int, *, by: float) -> bool:
        if abs(served[one] - served[other]) > _ROUNDING:
            return bool(served[one] > served[other])
        return bool(total[one] < (1.0 - by) * total[other])

    def best_of(members: list[int]) -> int:
        best = members[0]
        for member in members[1:]:
            if better(member, best, by=0.0):
                best = member
        return best

    by_family: dict[Hashable, list[int]] = {}
    for index, variant in enumerate(variants):
        by_family.setdefault(families[variant.name], []).append(index)
    chosen: set[int] = set()
    for members in by_family.values():
        best = best_of(members)
        standing = best_of([index for index in members if variants[index].name in running] or members[:1])
        chosen.add(best if better(best, standing, by=BETTER) else standing)
    return tuple(variant for index, variant in enumerate(variants) if index in chosen or variant.name in keep)
