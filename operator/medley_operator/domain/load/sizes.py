"""The sizes to plan for while new replicas start: those that are measured, longer where they grow steadily. Pure.

What is measured is the mean of a window, so of half a window ago; a replica that is created now serves a lead time
later.

Apart: the load that is chosen (`demand`) is then judged as if these sizes had been measured.
"""

from __future__ import annotations

from dataclasses import replace

from medley_operator.api.v1alpha1 import ForecastMode, LLMService
from medley_operator.domain.load.planned_rate import RECONCILE_SECONDS
from medley_operator.domain.values.snapshot import Observation
from medley_planner.workload import SizeTrend, lengthened, mean_generation_tokens, mean_prompt_tokens


def sizes_ahead(
    service: LLMService,
    seen: Observation,
    trend: SizeTrend,
    *,
    lead_seconds: float,
    at_seconds: float,
    ready_replicas: int,
) -> tuple[Observation, SizeTrend]:
    """The observation with the sizes of the end of the lead time, and the trend with those that it shows.

    `seen`: a plausible one. Sizes of a part of the pods say nothing about a trend. With mode Off they stay as they are.
    """
    demand = seen.demand
    if demand is None or demand.rate_rps <= 0 or (seen.pods is not None and seen.pods < ready_replicas):
        return seen, trend
    window_seconds = service.spec.workload.window_seconds
    means = mean_prompt_tokens(demand), mean_generation_tokens(demand)
    trend = trend.after(at_seconds, *means, window_seconds=window_seconds)
    if service.spec.scaling.forecast.mode is not ForecastMode.AUTO:
        return seen, trend
    ahead_seconds = window_seconds / 2 + lead_seconds + RECONCILE_SECONDS
    prompt, generation = trend.growth(ahead_seconds, window_seconds=window_seconds)
    longer = lengthened(demand, prompt=prompt, generation=generation, max_tokens=service.spec.model.max_model_len)
    return replace(seen, demand=longer), trend
