"""Which load to plan one service for, and why: live, static, the minimum, or none at all (hold). Pure.

Missing data and missing traffic are not the same: a service whose metrics are lost keeps its plan, one that really has
no request falls to its minimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medley_operator.api.v1alpha1 import LLMService, LoadStatus, StaticWorkload, WorkloadSource
from medley_operator.domain.load.doubt import (
    PodCount,
    have_joined,
    held_down,
    held_up,
    jump_message,
    load_jump,
    not_fallen,
    ready_lately,
    settled_ready,
)
from medley_operator.domain.load.figures import figures_of_status
from medley_operator.domain.load.planned_rate import NO_EVENTS, RECONCILE_SECONDS, forecast_rate
from medley_operator.domain.load.plausible import plausible
from medley_operator.domain.load.schedule import LoadSchedule
from medley_operator.domain.load.sizes import sizes_ahead
from medley_operator.domain.values.candidates import DemandChoice, LoadSource
from medley_operator.domain.values.memories import ServiceMemory
from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_planner.model import Bucket, Demand, SizeSource
from medley_planner.workload import SEASON_STEP_SECONDS, Season, adopt, demand_from_means, drifts, samples_in_window

NOMINAL_PROMPT_TOKENS, NOMINAL_GENERATION_TOKENS = 128.0, 32.0
"""Size to compare pools by while no request was ever seen and none is described."""
NO_QUESTION = Observation(reason=MetricsReason.MISSING, message="this service was not queried in Prometheus")


def choose_demand(
    service: LLMService,
    observation: Observation | None,
    *,
    memory: ServiceMemory,
    has_plan: bool,
    at_seconds: float,
    lead_seconds: float = 0.0,
    history: Sequence[tuple[float, float]] = (),
    season: Sequence[tuple[float, float]] = (),
    ready_replicas: int = 0,
    schedule: LoadSchedule = NO_EVENTS,
) -> DemandChoice:
    """`has_plan`: there is a last plan that could be held. `at_seconds`: when the observation was made.

    `lead_seconds`: the longest that a replica of the service takes to start. `history`: (time, rate) of before the
    operator started, on the clock of `at_seconds`; used where no rates are remembered. `season`: the same of more days,
    which takes the place of the one before. `ready_replicas`: those of the
    service's own Deployments. `schedule`: known events, on the clock of `at_seconds`.
    """
    window_seconds = service.spec.workload.window_seconds
    if history and len(memory.forecaster) == 0:
        usual = schedule.usual_history(history, window_seconds=window_seconds)
        memory = replace(memory, forecaster=memory.forecaster.with_samples(usual))
    if season:
        # Means over a step and over the window are of the same moment where their middles are.
        later = (window_seconds - SEASON_STEP_SECONDS) / 2
        usual = schedule.usual_history(season, window_seconds=SEASON_STEP_SECONDS)
        usual = [(at + later, rate_rps) for at, rate_rps in usual]
        memory = replace(memory, forecaster=replace(memory.forecaster, season=Season.of(usual)))
    ready = ready_lately(memory.ready_lately, ready_replicas, at_seconds=at_seconds, window_seconds=window_seconds)
    seen = plausible(observation) if observation is not None else NO_QUESTION
    lead = {"lead_seconds": lead_seconds, "at_seconds": at_seconds}
    seen, sizes = sizes_ahead(service, seen, memory.sizes, ready_replicas=ready_replicas, **lead)
    choice = _choose(
        service,
        seen,
        memory=replace(memory, ready_lately=ready),
        has_plan=has_plan,
        schedule=schedule,
        **lead,
    )
    if choice.source is LoadSource.STATIC:
        most = schedule.most_factor(at_seconds, at_seconds + lead_seconds + RECONCILE_SECONDS)
        choice = replace(choice, demand=replace(choice.demand, rate_rps=most * choice.demand.rate_rps))
    # Whatever is planned this time, the rates that were seen are kept.
    forecaster = choice.forecaster if len(choice.forecaster) else memory.forecaster
    return replace(choice, forecaster=forecaster, sizes=sizes, ready_lately=ready, schedule=schedule.status(at_seconds))


def _choose(
    service: LLMService,
    seen: Observation,
    *,
    memory: ServiceMemory,
    has_plan: bool,
    at_seconds: float,
    lead_seconds: float,
    schedule: LoadSchedule,
) -> DemandChoice:
    had_metrics = memory.had_metrics or _planned_from_metrics(service.status.load)
    if service.spec.workload.source is WorkloadSource.STATIC:
        return _static(
            service, had_metrics=had_metrics, reason=MetricsReason.STATIC, message="planning for spec.workload.static"
        )
    if seen.reason is MetricsReason.FOUND:
        memory = replace(memory, had_metrics=had_metrics, demand=memory.demand if memory.had_metrics else None)
        return _live(service, seen, memory=memory, at_seconds=at_seconds, lead_seconds=lead_seconds, schedule=schedule)
    if had_metrics and has_plan:
        return DemandChoice(
            demand=memory.demand or _last_demand(service),
            source=LoadSource.PROMETHEUS,
            hold=True,
            had_metrics=True,
            reason=seen.reason,
            message=seen.message,
            basis=memory.basis,
            jump=memory.jump,
        )
    return _static(service, had_metrics=had_metrics, reason=seen.reason, message=seen.message)


def _planned_from_metrics(load: LoadStatus | None) -> bool:
    return load is not None and load.source == LoadSource.PROMETHEUS


def _live(
    service: LLMService,
    seen: Observation,
    *,
    memory: ServiceMemory,
    at_seconds: float,
    lead_seconds: float,
    schedule: LoadSchedule,
) -> DemandChoice:
    """`memory.demand` is one that was measured, or None: any measurement replaces the user's guess."""
    current = memory.demand
    asked = seen.demand if seen.demand is not None and seen.demand.rate_rps > 0 else None
    window_seconds = service.spec.workload.window_seconds
    lately = memory.ready_lately
    pods = PodCount(
        ready=lately[-1][1],
        settled=settled_ready(lately, at_seconds=at_seconds),
        seen=seen.pods,
        joined=have_joined(lately, at_seconds=at_seconds, window_seconds=window_seconds),
    )
    jump = None
    if asked is not None:
        jump = load_jump(current, asked, memory.jump, at_seconds=at_seconds, window_seconds=window_seconds)
    forecasts = forecast_rate(
        service,
        asked.rate_rps if asked is not None else 0.0,
        forecaster=memory.forecaster,
        lead_seconds=lead_seconds,
        at_seconds=at_seconds,
        believed=jump is None and not pods.partial,
        schedule=schedule,
    )
    if asked is None and not memory.had_metrics:
        message = "Prometheus scrapes this service, but it has not received a request yet"
        return _static(service, had_metrics=False, reason=MetricsReason.FOUND, message=message)
    drifting_since = None
    planned = forecasts.planned_rate(
        current.rate_rps if current is not None else None, falling_since=memory.falling_since
    )
    falling_since = planned.falling_since
    if asked is not None:
        new = replace(asked, rate_rps=planned.rate_rps)
        new = new if jump is None else held_down(new, jump)
        demand, drifting_since = _adopted(service, new, current, memory.drifting_since, at_seconds=at_seconds)
        message = "Prometheus has the load of this service"
    elif current is not None and (forecasts.pausing or (forecasts.at_lead is None and planned.rate_rps > 0)):
        new = demand = current
        message = "Prometheus shows no requests for this service now"
    else:
        new = demand = _no_traffic(service, memory)
        message = "Prometheus shows no requests for this service"
    reason = MetricsReason.FOUND
    if jump is not None and asked is not None:
        reason, message = MetricsReason.JUMP, jump_message(asked, demand, window=service.spec.workload.window)
    if pods.partial and current is not None:
        demand, falling_since = held_up(current, demand), None
        if pods.told:
            reason, message = MetricsReason.PARTIAL, pods.message
    elif pods.joined and current is not None and memory.jump is None:
        # A load that was not believed is none to stay at.
        demand = not_fallen(current, demand)
    return DemandChoice(
        demand=demand,
        source=LoadSource.PROMETHEUS,
        hold=False,
        had_metrics=True,
        reason=reason,
        message=message,
        drifting_since=drifting_since,
        falling_since=falling_since,
        basis=memory.basis if current is not None and demand == current else forecasts.basis,
        now=forecasts.basis,
        jump=jump,
        forecaster=forecasts.forecaster,
    )


def _adopted(
    service: LLMService, new: Demand, current: Demand | None, drifting_since: float | None, *, at_seconds: float
) -> tuple[Demand, float | None]:
    """The new demand, or the one that the plan was made for while they differ by no more than noise; drifting since.

    A difference that could be noise is believed after two windows without a break: by then it is made of new requests.
    """
    window_seconds = service.spec.workload.window_seconds
    samples = samples_in_window(current, new, window_seconds=window_seconds)
    if current is None or adopt(current, new, samples=samples):
        return new, None
    if not drifts(current, new):
        return current, None
    since = at_seconds if drifting_since is None else drifting_since
    return (new, None) if at_seconds - since >= 2 * window_seconds else (current, since)


def _static(service: LLMService, *, had_metrics: bool, reason: MetricsReason, message: str) -> DemandChoice:
    """The static workload, or where there is none the minimum of replicas."""
    static = service.spec.workload.static
    if static is None:
        source, demand = LoadSource.MIN_REPLICAS, _idle(_nominal_bucket(service), SizeSource.STATIC)
        message = (
            f"{message}; planning spec.scaling.minReplicas until there is data. Set spec.workload.static to plan for "
            "more"
        )
    else:
        source, demand = LoadSource.STATIC, _static_demand(static, max_tokens=service.spec.model.max_model_len)
        if reason is not MetricsReason.STATIC:
            message = f"{message}; planning for spec.workload.static"
    return DemandChoice(
        demand=demand, source=source, hold=False, had_metrics=had_metrics, reason=reason, message=message
    )


def _static_demand(static: StaticWorkload, *, max_tokens: int) -> Demand:
    rate_rps = static.rate_rps
    if rate_rps <= 0:
        bucket = Bucket(prompt_tokens=float(static.prompt_tokens), generation_tokens=float(static.generation_tokens))
        return _idle(bucket, SizeSource.STATIC)
    return demand_from_means(
        rate_rps,
        prompt_tokens=static.prompt_tokens,
        generation_tokens=static.generation_tokens,
        max_tokens=max_tokens,
    )


def _idle(bucket: Bucket, size_source: SizeSource) -> Demand:
    return Demand(rate_rps=0.0, buckets=(bucket,), shares=(1.0,), size_source=size_source)


def _no_traffic(service: LLMService, memory: ServiceMemory) -> Demand:
    """A rate of 0 over the sizes that were seen last, so that pools are compared by them."""
    last = memory.demand or _last_demand(service)
    return Demand(rate_rps=0.0, buckets=last.buckets, shares=last.shares, size_source=last.size_source)


def _nominal_bucket(service: LLMService) -> Bucket:
    longest = service.spec.model.max_model_len
    return Bucket(
        prompt_tokens=min(NOMINAL_PROMPT_TOKENS, longest / 2),
        generation_tokens=min(NOMINAL_GENERATION_TOKENS, longest / 4),
    )


def _last_demand(service: LLMService) -> Demand:
    """After a restart: the load of the last plan, read from the status."""
    figures = figures_of_status(service.status.load)
    known = figures.prompt_tokens_mean > 0 and figures.generation_tokens_mean > 0
    bucket = (
        Bucket(prompt_tokens=figures.prompt_tokens_mean, generation_tokens=figures.generation_tokens_mean)
        if known
        else _nominal_bucket(service)
    )
    return Demand(rate_rps=figures.rate_rps, buckets=(bucket,), shares=(1.0,), size_source=SizeSource.INDEPENDENT)
