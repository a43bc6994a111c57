"""The margins that a service's variants are planned with in a round, and what they cost. Pure.

The fixed margin of a variant is what derating and headroom come to; where margins are learned it is the beginning. A
margin is kept for what was known of the engine's speed: where a calibration or a profile comes to know more, a margin
that had grown over the former belief starts again, and one that had shrunk stays at most what is fixed now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from medley_operator.api.v1alpha1 import LLMService, MarginMode
from medley_operator.domain.checks.service_input import ServiceInput
from medley_operator.domain.load.headroom import utilisation_limit
from medley_operator.domain.margins.learn import WindowFacts, after_window
from medley_operator.domain.values.margins import Margin
from medley_operator.domain.values.service_key import ServiceKey
from medley_planner.capacity import LatencyTargets
from medley_planner.capacity.speed import PARTS
from medley_planner.variants import Row

LOADED_USE = 0.5
"""Replicas that carry less than this share of what is planned for them show nothing of their limits."""
SERVED_USE = 1.05
"""Replicas that carry more than this share of it are short of others, whatever their margin is."""
_ROUNDED = 1e-4


@dataclass(frozen=True, slots=True)
class Margins:
    """`learned`: those of variants that requests were seen of, by name; `factors`: on the capacities of all variants
    whose margin is not what headroom and derating come to."""

    learned: Mapping[str, Margin] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)


NO_MARGINS = Margins()
"""None are learned."""


def margins_of(given: ServiceInput) -> Margins:
    """The margins of this round, once all checks have passed; none where they are fixed."""
    scaling = given.service.spec.scaling
    if scaling.margins is MarginMode.FIXED:
        return NO_MARGINS
    limit = utilisation_limit(scaling.headroom_percent, given.choice.demand.size_source)
    observation = given.snapshot.observations.get(ServiceKey.of(given.service))
    latencies = observation.latencies if observation is not None else {}
    learned: dict[str, Margin] = {}
    factors: dict[str, float] = {}
    facts = _facts(given, limit)
    for row in given.offered.rows:
        used = row.capacity.derate * limit
        fixed = 1.0 / used - 1.0
        least, most = given.bounds.margins(fixed)
        start = min(max(fixed, least), most)
        share, known, counts = start, given.memory.margins.get(row.name), latencies.get(row.name)
        if known is not None or counts is not None:
            margin = _of_basis(known, _basis(row), round(start, 4))
            margin = replace(margin, share=min(max(margin.share, least), most))
            if counts is not None and _window_passed(margin, facts):
                margin = after_window(margin, counts, _targets(given.service), facts, least=least, most=most)
            learned[row.name], share = margin, margin.share
        if abs(share - fixed) > _ROUNDED:
            factors[row.name] = 1.0 / (used * (1.0 + share))
    return Margins(learned, factors)


def margin_cost_per_hour(cost_per_hour: float, share: float) -> float:
    """The part of a cost that is for the margin."""
    return cost_per_hour * share / (1.0 + share)


def _facts(given: ServiceInput, limit: float) -> WindowFacts:
    lately, window = given.choice.ready_lately, given.service.spec.workload.window_seconds
    at_seconds = given.snapshot.at_seconds
    since = lately[-1][0] if lately else at_seconds
    use = _use(given, limit)
    return WindowFacts(
        at_seconds=at_seconds,
        unix_seconds=given.snapshot.unix_seconds,
        window_seconds=window,
        lead_seconds=given.lead_seconds,
        loaded=use >= LOADED_USE,
        served=use <= SERVED_USE and (len(lately) < 2 or at_seconds - since >= window),
    )


def _use(given: ServiceInput, limit: float) -> float:
    """The measured rate as a share of what the Ready replicas are planned to carry; infinite without any."""
    measured = given.choice.now.measured_rps if given.choice.now is not None else 0.0
    planned = limit * sum(row.ready * row.replica_rps for row in given.service.status.variants)
    return measured / planned if planned > 0.0 else float("inf")


def _window_passed(margin: Margin, facts: WindowFacts) -> bool:
    """Whether the window holds none of the requests of the last one; rounds come more often."""
    return margin.looked_at is None or facts.at_seconds - margin.looked_at >= facts.window_seconds


def _of_basis(known: Margin | None, basis: str, fixed: float) -> Margin:
    if known is None:
        return Margin(share=fixed, basis=basis)
    if known.basis == basis:
        return known
    return Margin(share=min(known.share, fixed), basis=basis, looked_at=known.looked_at)


def _basis(row: Row) -> str:
    speed = row.replica.speed
    return " ".join([speed.provenance.value, *(f"{getattr(speed.factors, part):.2f}" for part in PARTS)])


def _targets(service: LLMService) -> LatencyTargets:
    slo = service.spec.slo
    return LatencyTargets(slo.ttft_seconds, slo.tpot_seconds, float(slo.percentile))
