"""The operator's metrics of power in plans: what each power domain leaves for replicas, and the price of a watt. Pure.

Apart: watts are a matter of clusters with power domains alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medley_operator.domain.load.figures import LoadFigures
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.values.gauges import GaugeFamily, GaugeSample
from medley_planner.fleet_plan import PlanOrFailure
from medley_planner.model import LimitKind, Plan

_LABELS = ("domain",)
_JOULES_PER_KWH = 3.6e6
_PLANNED = GaugeFamily(
    "medley_power_planned_watts",
    _LABELS,
    "Watts that the planned replicas are expected to add to the power domain; absent while no plan is made.",
)
_AVAILABLE = GaugeFamily(
    "medley_power_available_watts",
    _LABELS,
    "Watts that the power domain leaves for planned replicas, beside its nodes, idle GPUs and what others draw.",
)
_PRICE = GaugeFamily(
    "medley_power_watt_price_per_hour_dollars",
    _LABELS,
    "What one more watt of the power domain would save, in US dollars per hour; absent where it is not known.",
)

_UNCONFIRMED = GaugeFamily(
    "medley_power_unconfirmed_seconds",
    _LABELS,
    "Seconds since the controller of power answered for the power domain; absent while it does. Plans put no more "
    "replicas there meanwhile.",
)

POWER_GAUGES = (_PLANNED, _AVAILABLE, _PRICE, _UNCONFIRMED)


def energy_per_million_tokens(outcome: ServiceDecision, load: LoadFigures) -> float | None:
    """In kWh: what the planned replicas draw, over the tokens of the planned load. None where that is not known."""
    known = {each.variant.name: each.draws_watts for each in outcome.candidate.variants}
    watts = [(row.desired, known.get(row.name)) for row in outcome.rows if row.desired]
    tokens = load.rate_rps * (load.prompt_tokens_mean + load.generation_tokens_mean)
    if not watts or not tokens > 0.0 or any(each is None for _, each in watts):
        return None
    return sum(count * (each or 0.0) for count, each in watts) / (tokens * _JOULES_PER_KWH) * 1e6


def power_samples(outcome: PlanOrFailure | None, unconfirmed: Mapping[str, float]) -> Iterator[GaugeSample]:
    """The series of all domains, those of pools with a budget of their own included. `unconfirmed`: seconds by name."""
    for name, seconds in unconfirmed.items():
        yield GaugeSample(_UNCONFIRMED.name, (name,), seconds)
    for limit in outcome.limits if isinstance(outcome, Plan) else ():
        if limit.kind is LimitKind.POWER:
            yield GaugeSample(_PLANNED.name, (limit.name,), limit.used)
            yield GaugeSample(_AVAILABLE.name, (limit.name,), limit.limit)
            if limit.shadow_price_per_hour is not None:
                yield GaugeSample(_PRICE.name, (limit.name,), limit.shadow_price_per_hour)
