"""Whether a plan that was made by simulation waits until its capacities are simulated again. Pure.

An operator that starts without its tables knows capacities by the closed form only. Planned by that, what runs would
move, and move back when the tables are there. So a plan that rests on simulation is kept while they are made, for a
limited time, unless its service was changed or has outgrown it.
"""

from __future__ import annotations

from collections.abc import Sequence

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.load.figures import figures_of_status
from medley_operator.domain.values.candidates import VariantCandidate, Waiting
from medley_planner.capacity import CapacityBasis
from medley_planner.model import Demand

MOST_SECONDS = 600.0
"""Longest wait: some fifty tables at 10 s each. Then the closed form counts."""
OUTGROWN = 1.25
"""A load this many times the plan's is planned at once: replicas that are late cost more than a plan that moves."""


def waiting(
    service: LLMService,
    variants: Sequence[VariantCandidate],
    *,
    demand: Demand,
    since_seconds: float | None,
    at_seconds: float,
) -> Waiting | None:
    """The running variants that were simulated when the plan was made and are not now; None where there are none.

    Also None where the plan is not to be kept: the spec has changed, or the load has outgrown the plan.
    `since_seconds`: since when it has waited, as far as remembered.
    """
    if service.metadata.generation != service.status.observed_generation:
        return None
    if demand.rate_rps > OUTGROWN * figures_of_status(service.status.load).rate_rps:
        return None
    simulated = {
        row.name for row in service.status.variants if row.desired > 0 and row.capacity_basis == CapacityBasis.SIMULATED
    }
    lacking = sorted(
        known.variant.name
        for known in variants
        if known.basis is CapacityBasis.CLOSED_FORM and known.variant.name in simulated
    )
    if not lacking:
        return None
    since = at_seconds if since_seconds is None else since_seconds
    return Waiting(variants=tuple(lacking), since_seconds=since, overdue=at_seconds - since >= MOST_SECONDS)
