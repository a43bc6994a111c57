"""The load of a service as figures for status, Events and gauges. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from medley_operator.api.v1alpha1 import LoadStatus
from medley_operator.domain.load.headroom import SIZE_HEADROOM_PERCENT
from medley_operator.domain.load.plausible import MOST_TOKENS
from medley_operator.domain.values.candidates import DemandChoice, LoadSource
from medley_planner.model import Demand
from medley_planner.units import rate
from medley_planner.workload import mean_generation_tokens, mean_prompt_tokens


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """Rate in requests per second, mean sizes in tokens (0 where nothing is known of them)."""

    rate_rps: float
    prompt_tokens_mean: float
    generation_tokens_mean: float


def figures_of(demand: Demand) -> LoadFigures:
    if demand.rate_rps <= 0:
        return LoadFigures(rate_rps=0.0, prompt_tokens_mean=0.0, generation_tokens_mean=0.0)
    return LoadFigures(
        rate_rps=demand.rate_rps,
        prompt_tokens_mean=mean_prompt_tokens(demand),
        generation_tokens_mean=mean_generation_tokens(demand),
    )


def figures_of_status(load: LoadStatus | None) -> LoadFigures:
    """Figures of the status, which may have been edited by hand: text that is not a rate counts as 0."""
    if load is None:
        return LoadFigures(rate_rps=0.0, prompt_tokens_mean=0.0, generation_tokens_mean=0.0)
    return LoadFigures(
        rate_rps=load.rate_rps,
        prompt_tokens_mean=float(min(max(load.prompt_tokens, 0), MOST_TOKENS)),
        generation_tokens_mean=float(min(max(load.generation_tokens, 0), MOST_TOKENS)),
    )


def load_status(choice: DemandChoice) -> LoadStatus:
    figures = figures_of(choice.demand)
    basis = choice.basis
    margin = basis.forecast_margin if basis is not None else None
    demand = choice.demand
    known = choice.source is not LoadSource.MIN_REPLICAS and figures.rate_rps > 0
    return LoadStatus(
        source=choice.source,
        requests_per_second=rate(figures.rate_rps),
        measured_requests_per_second=rate(basis.measured_rps) if basis is not None else None,
        forecast_margin_percent=round(100 * margin) if margin is not None else None,
        season=basis.season if basis is not None else None,
        prompt_tokens=round(figures.prompt_tokens_mean),
        generation_tokens=round(figures.generation_tokens_mean),
        size_source=demand.size_source.value if known else "",
        size_headroom_percent=(SIZE_HEADROOM_PERCENT[demand.size_source] or None) if known else None,
        prefix_hit_percent=round(100 * demand.prefix_hit_rate) if known and demand.prefix_hit_rate > 0 else None,
        schedule=choice.schedule,
    )
