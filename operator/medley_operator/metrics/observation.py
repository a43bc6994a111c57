"""From the figures of one service to its demand, or to the reason why there is none. Pure.

**Arrivals.** Engines count requests when they finish, so completions lag arrivals while a queue builds up. Over any
span, arrivals = completions + growth of what is in flight (running + waiting). Both are taken per pod between the same
first and last sample (`increase` and `delta`), so a pod that drains or dies within the window adds exactly what it
saw; a difference of the sums "now" and "a window ago" would take the requests that a killed pod held off the rate. What
a new pod took before its first sample is missing; `domain.load.doubt` follows no fall meanwhile.

**Covered time.** `increase` gives requests, and they are divided by the time that the service was scraped within the
window, not by the window: a service that is a minute old has a minute's requests. What pods of an older service saw
before a new pod joined is part of the same window, so one divisor per service is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from medley_operator.domain.values.snapshot import MetricsReason, Observation
from medley_operator.metrics.by_service import SizeFigures
from medley_operator.metrics.errors import InvalidMetricsError, MissingMetricsError, StaleMetricsError
from medley_operator.metrics.queries import MODEL, SEEN_WITHIN, FigureRole, coverage_step_seconds
from medley_operator.metrics.service_series import ServiceSeries
from medley_operator.metrics.sizes import JointFigures, LiveLoad, demand_of
from medley_planner.workload import BadHistogram

STALE_SECONDS = 60.0
STALE_SCRAPES = 3
"""Newest sample older than both: stale."""
COVERED_SECONDS = 60.0
COVERED_SHARE = 4
"""A rate needs this much data, or this fraction (1 / 4) of a shorter window: less is noise."""
COVERED_STEPS = 4
"""And this many steps of the resolution at which the start of the data is known: at most 25 % error in the divisor."""


def needed_seconds(window_seconds: int) -> float:
    """How long a service must have been scraped before its rate counts."""
    return max(
        min(window_seconds / COVERED_SHARE, COVERED_SECONDS), COVERED_STEPS * coverage_step_seconds(window_seconds)
    )


def observe_live(
    question: ServiceSeries,
    *,
    now: float,
    figures: Mapping[FigureRole, float],
    prompt: SizeFigures,
    generation: SizeFigures,
    joint: JointFigures,
) -> Observation:
    """The observation of a service that has live series. Raises a MetricsError where they do not give a demand."""
    load = _load(question, now=now, figures=figures)
    pods = int(figures[FigureRole.PODS]) if FigureRole.PODS in figures else None
    window = f"the last {load.covered_seconds:.0f} s"
    if load.completed == 0:
        if load.in_flight > 0:
            raise MissingMetricsError(
                f"{question.series(question.names.completed[0])} {question.where} shows no finished request in "
                f"{window} while {load.in_flight:g} are in flight; sizes are known when the first one finishes"
            )
        return Observation(reason=MetricsReason.FOUND, message=f"no request in {window}", pods=pods)
    try:
        demand, untold = demand_of(question, load, prompt=prompt, generation=generation, joint=joint)
    except BadHistogram as error:
        raise InvalidMetricsError(
            f"{question.series('')} {question.where} has no sizes, although {load.completed:.0f} requests finished in "
            f"{window}: {error}. Compare the engine's /metrics"
        ) from error
    return Observation(
        reason=MetricsReason.FOUND,
        demand=demand,
        samples=load.completed,
        pods=pods,
        message=f"{load.completed:.0f} requests finished in {window}, {load.rate_rps:.3g} req/s arrive"
        + (f"; joint sizes: {demand.size_source.value}, because {untold}" if untold else ""),
    )


def foreign_models(question: ServiceSeries, names: Sequence[str], served: str) -> MissingMetricsError:
    """Why pods that export several models do not show the service's own."""
    return MissingMetricsError(
        f"{question.series(question.names.running[0])} {question.where} reports the models {', '.join(names)} "
        f'({MODEL}), but not "{served}"; set spec.model.name to the model that this service serves'
    )


def explain_absence(
    question: ServiceSeries, absence: Mapping[FigureRole, float]
) -> MissingMetricsError | StaleMetricsError:
    """Why a service without live series has none."""
    series = question.series(question.names.running[0])
    targets, up = absence.get(FigureRole.TARGETS, 0.0), absence.get(FigureRole.TARGETS_UP, 0.0)
    if targets == 0:
        scraped = "Prometheus scrapes no target of it: check that its pods run, and that"
    elif up == 0:
        scraped = f"its {targets:g} targets do not answer: check that its pods are Ready and that"
    else:
        scraped = f"{up:g} of its {targets:g} targets answer, but do not export it: check the engine's version and that"
    way_out = f"{scraped} Prometheus scrapes the engine pods and keeps their labels (docs/metrics.md)"
    if absence.get(FigureRole.SEEN, 0.0) > 0:
        return StaleMetricsError(f"series {series} {question.where} ended less than {SEEN_WITHIN} ago: {way_out}")
    return MissingMetricsError(f"there is no series {series} {question.where}: {way_out}")


def _load(question: ServiceSeries, *, now: float, figures: Mapping[FigureRole, float]) -> LiveLoad:
    names = question.names
    newest = figures[FigureRole.NEWEST]
    earliest = max(figures.get(FigureRole.EARLIEST, newest), now - question.window_seconds)
    scrapes = figures.get(FigureRole.SCRAPES, 0.0)
    _not_stale(question, age=now - newest, span=newest - earliest, scrapes=scrapes)
    if scrapes < 2:
        raise MissingMetricsError(
            f"{question.series(names.running[0])} {question.where} has {scrapes:g} sample in the last "
            f"{question.window_seconds} s, but a rate needs two; wait if the pods are new, or set "
            "spec.workload.window to at least four scrape intervals"
        )
    completed = _figure(question, figures, FigureRole.COMPLETED, names.completed)
    running = _figure(question, figures, FigureRole.RUNNING, names.running)
    waiting = _figure(question, figures, FigureRole.WAITING, names.waiting)
    growth = _figure(question, figures, FigureRole.RUNNING_GROWTH, names.running, signed=True)
    growth += _figure(question, figures, FigureRole.WAITING_GROWTH, names.waiting, signed=True)
    covered = now - earliest
    if covered < needed_seconds(question.window_seconds):
        raise MissingMetricsError(
            f"{question.series(names.running[0])} {question.where} began {covered:.0f} s ago, but a rate needs "
            f"{needed_seconds(question.window_seconds):.0f} s of data; wait"
        )
    return LiveLoad(
        completed=completed,
        in_flight=running + waiting,
        growth=growth,
        rate_rps=max(0.0, completed + growth) / covered,
        covered_seconds=covered,
        scrapes=scrapes,
    )


def _not_stale(question: ServiceSeries, *, age: float, span: float, scrapes: float) -> None:
    interval = span / (scrapes - 1) if scrapes >= 2 else 0.0
    limit = max(STALE_SECONDS, STALE_SCRAPES * interval)
    if age > limit:
        raise StaleMetricsError(
            f"the newest sample of {question.series(question.names.running[0])} {question.where} is {age:.0f} s old, "
            f"more than {limit:.0f} s: check that Prometheus still scrapes the engine pods, and its clock"
        )


def _figure(
    question: ServiceSeries,
    figures: Mapping[FigureRole, float],
    role: FigureRole,
    names: tuple[str, ...],
    *,
    signed: bool = False,
) -> float:
    value = figures.get(role)
    if value is None:
        raise MissingMetricsError(
            f"there is no series {question.series(' or '.join(names))} {question.where}, although its pods are "
            "scraped: check the engine's version and that no relabelling rule drops it (docs/metrics.md)"
        )
    if not math.isfinite(value) or (value < 0 and not signed):
        raise InvalidMetricsError(
            f"{question.series(names[0])} {question.where} has the impossible value {value:g} for {role.value}: the "
            "engine or its scraping is broken. Compare the engine's /metrics"
        )
    return value
